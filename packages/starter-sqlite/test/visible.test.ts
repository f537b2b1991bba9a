import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { type P2PRecord, type P2PValue, TaggedValue, valueType } from "@omni/p2p-core/starter";
import { assertSameRecords } from "@omni/p2p-testkit";
import Database from "better-sqlite3";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sqliteStarter } from "../src/index.ts";
import { at, cleanUp, databaseWith, open, query, recordsIn, temporaryFolder, write } from "./support.ts";

/** Whether a cell can say something of a value: all but null, and NaN where the column is not one of texts. */
function canBeSeen(value: P2PValue): boolean {
  return value !== null && !(typeof value === "number" && Number.isNaN(value));
}

/** Whether what others read in a cell is the value. */
function isSeen(value: P2PValue, cell: unknown): boolean {
  switch (valueType(value)) {
    case "boolean":
      return cell === Number(value) || cell === String(value);
    case "number":
    case "bigint":
      return Number(cell) === Number(value) && (typeof cell !== "string" || cell === String(value));
    case "string":
      return cell === value || (typeof cell === "number" && cell === Number(value));
    case "date": {
      const iso = (value as Date).toISOString();
      return cell === iso || cell === (value as Date).getTime() || String(cell) === iso;
    }
    case "bytes":
      return Buffer.compare(cell as Buffer, value as Uint8Array) === 0;
    default:
      return typeof cell === "string" && (cell[0] === "{" || cell[0] === "[");
  }
}

const values: fc.Arbitrary<P2PValue> = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.double(),
  fc.integer(),
  fc.constantFrom(Number.NaN, -0, 1e300, 2 ** 53, 2 ** 62, -(2 ** 63), Number.POSITIVE_INFINITY),
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
  fc.constantFrom(5n, 2n ** 62n, 2n ** 63n, 10n ** 400n),
  fc.string(),
  fc.constantFrom(
    "12",
    "012",
    " 5 ",
    "1e3",
    "[1]",
    "{}",
    "true",
    "2024-01-02T03:04:05.006Z",
    "12345678901234567",
    "0x10",
  ),
  fc.date({ noInvalidDate: true }),
  fc.uint8Array({ maxLength: 6 }),
  fc.array(fc.oneof(fc.integer(), fc.string(), fc.constant(null)), { maxLength: 3 }),
  fc.dictionary(fc.constantFrom("a", "b"), fc.oneof(fc.integer(), fc.bigInt(), fc.boolean()), { maxKeys: 2 }),
  fc.constant(new TaggedValue("mongodb:objectId", "64b7f0c2a1b2c3d4e5f60718")),
);
const fields = ["a", "b", "c", "d"];
const record = fc.dictionary(fc.constantFrom(...fields), values, { maxKeys: 4 });
/** A field is of one kind, or null, in a batch; so that columns get types, which later values then do not fit. */
const sameKind = fc
  .tuple(
    fc.array(fc.subarray(fields), { minLength: 1, maxLength: 4 }),
    fc.record({ a: values, b: values, c: values, d: values }),
  )
  .map(([present, row]) => present.map((names) => Object.fromEntries(names.map((name) => [name, row[name as "a"]]))));
const batches = fc.array(fc.oneof(sameKind, fc.array(record, { minLength: 1, maxLength: 4 })), {
  minLength: 1,
  maxLength: 5,
});

describe.each(["never", "always"])("a table of ours, with thread=%s", (thread) => {
  test("shows every value that a cell can say, whatever came first, and gives back equal records", async () => {
    await fc.assert(
      fc.asyncProperty(batches, async (parts) => {
        const file = `${temporaryFolder()}/v.db`;
        const target = await open(at(file, { thread, table: "t" }), "target");
        let next = 0;
        const written: P2PRecord[] = [];
        for (const part of parts) {
          const records = part.map((row) => ({ ...row, id: `r${next++}` }) as P2PRecord);
          expect(await write(target, records)).toMatchObject({ written: records.length, failures: [] });
          written.push(...records);
        }
        await target.close();
        assertSameRecords(await recordsIn(file, { table: "t" }), written);
        const db = new Database(file, { readonly: true });
        try {
          for (const { id, ...row } of written) {
            const cells = db.prepare('SELECT * FROM t WHERE "id" = ?').get(id) as Record<string, unknown>;
            for (const [field, value] of Object.entries(row)) {
              if (!canBeSeen(value!)) continue;
              expect(isSeen(value!, cells[field]), `${field}: ${valueType(value!)} as ${String(cells[field])}`).toBe(
                true,
              );
            }
          }
          expect(db.pragma("integrity_check", { simple: true })).toBe("ok");
        } finally {
          db.close();
        }
      }),
      { numRuns: thread === "never" ? 150 : 12, seed: 14 },
    );
  }, 60_000);

  test("gives a column the type of its first value when all of the first batch was null", async () => {
    const file = `${temporaryFolder()}/late.db`;
    const target = await open(at(file, { thread, table: 'a "t' }), "target");
    const nothing = { list: null, yes: null, when: null, object: null, text: null, never: null };
    const late = { list: [1], yes: true, when: new Date(0), object: { a: 1 }, text: "x", never: null };
    const records: P2PRecord[] = [
      { id: 1, ...nothing },
      { id: 2, ...nothing },
      { id: 3, ...late },
      { id: 4, ...nothing, text: "y" },
      { id: 5, ...late, list: "no list" },
    ];
    for (const part of [records.slice(0, 2), records.slice(2, 4), records.slice(4)]) await write(target, part);
    await target.close();
    assertSameRecords(await recordsIn(file), records);
    expect(query(file, `SELECT name, type FROM pragma_table_info('a "t')`)).toEqual([
      { name: "id", type: "INTEGER" },
      { name: "list", type: "JSON" },
      { name: "yes", type: "BOOLEAN" },
      { name: "when", type: "TIMESTAMP" },
      { name: "object", type: "JSON" },
      { name: "text", type: "TEXT" },
      { name: "never", type: "" },
      { name: "_p2p", type: "TEXT" },
    ]);
    expect(query(file, `SELECT list, yes, "when", object, text, _p2p FROM "a ""t" WHERE id IN (3, 5)`)).toEqual([
      { list: "[1]", yes: 1, when: "1970-01-01T00:00:00.000Z", object: '{"a":1}', text: "x", _p2p: null },
      {
        list: "no list",
        yes: 1,
        when: "1970-01-01T00:00:00.000Z",
        object: '{"a":1}',
        text: "x",
        _p2p: '{"types":{"list":"plain"}}',
      },
    ]);
  });
});

test("a type is also given by a later run, and not where others have put values", async () => {
  const file = `${temporaryFolder()}/later.db`;
  const first = await open(at(file), "target");
  await write(first, [{ id: 1, a: null, b: null }]);
  await first.close();
  const db = new Database(file);
  db.exec("INSERT INTO records (id, b) VALUES (2, 'theirs')");
  db.close();
  const second = await open(at(file), "target");
  await write(second, [{ id: 3, a: [1], b: [2] }]);
  await second.close();
  expect(query(file, "SELECT type FROM pragma_table_info('records') WHERE name IN ('a', 'b')")).toEqual([
    { type: "JSON" },
    { type: "" },
  ]);
  assertSameRecords(await recordsIn(file), [
    { id: 1, a: null, b: null },
    { id: 2, a: null, b: "theirs" },
    { id: 3, a: [1], b: [2] },
  ]);
});

test("sidecars of earlier versions, beside which the cell is empty, are read, and stand beside new ones", async () => {
  const file = databaseWith(`
    CREATE TABLE records ("id" INTEGER PRIMARY KEY NOT NULL, "a" , "n" NUMERIC, "_p2p" TEXT);
    INSERT INTO records VALUES (1, NULL, 1, '{"values":{"a":[1,2]}}'), (2, NULL, NULL, '{"values":{"n":"text"}}'),
      (3, NULL, 1208925819614629174706176.0, '{"values":{"a":true,"n":{"$p2p":"bigint","value":"1208925819614629174706176"}}}')`);
  const records = await recordsIn(file);
  assertSameRecords(records, [
    { id: 1, a: [1, 2], n: 1 },
    { id: 2, a: null, n: "text" },
    { id: 3, a: true, n: 2n ** 80n },
  ]);
  const target = await open(at(file), "target");
  await write(target, [{ id: 4, a: { b: 1 }, n: 2 }]);
  await target.close();
  assertSameRecords(await recordsIn(file), [...records, { id: 4, a: { b: 1 }, n: 2 }]);
});

test("a where finds values that stand in a column of another type", async () => {
  const file = `${temporaryFolder()}/found.db`;
  const target = await open(at(file), "target");
  const records: P2PRecord[] = [
    { id: 1, t: "1", n: 1 },
    { id: 2, t: 1, n: "1" },
    { id: 3, t: true, n: true },
    { id: 4, t: 5n, n: 5n },
    { id: 5, t: new Date(0), n: new Date(0) },
    { id: 6, t: null, n: null },
  ];
  await write(target, records.slice(0, 1));
  await write(target, records.slice(1));
  await target.close();
  const source = await open(at(file), "source");
  const found = async (where: Record<string, unknown>) => {
    const ids: unknown[] = [];
    const read = source.readFromSource({ where } as never, { batchSize: 9, signal: new AbortController().signal });
    for await (const { records: some } of read) ids.push(...some.map(({ id }) => id));
    expect(await source.count({ where } as never, new AbortController().signal)).toBe(ids.length);
    return ids;
  };
  expect(await found({ t: "1" })).toEqual([1]);
  expect(await found({ t: 1 })).toEqual([2]);
  expect(await found({ n: 1 })).toEqual([1]);
  expect(await found({ n: "1" })).toEqual([2]);
  expect(await found({ t: true })).toEqual([3]);
  expect(await found({ n: true })).toEqual([3]);
  expect(await found({ t: new Date(0) })).toEqual([5]);
  expect(await found({ n: { gte: new Date(0) } })).toEqual([5]);
  expect(await found({ t: { gt: 4 } })).toEqual([4]);
});

async function copy(source: unknown, target: unknown, query_ = {}) {
  const manager = new DefaultP2PConnectionManager();
  manager.registerService("sqlite", sqliteStarter);
  cleanUp(() => manager.close());
  const connection = await manager.establish(source as string, target as string, { batch_size: 2 });
  const result = await manager.transferThroughConnection(connection.connectionId, query_);
  const verified = await manager.verify(connection.connectionId, query_);
  return { result, verified, connection };
}

describe("a copy from SQLite to SQLite", () => {
  const schema = (file: string, table: string) =>
    query(file, `SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info('${table}')`);

  test("keeps declared types, NOT NULL, defaults, unique and composite keys, and WITHOUT ROWID", async () => {
    const source = databaseWith(`
      CREATE TABLE "my prices" (shop TEXT COLLATE NOCASE NOT NULL, item INTEGER, price REAL NOT NULL DEFAULT 1.5,
        amount DECIMAL(10, 2), doc JSON, at DATETIME, yes BOOLEAN DEFAULT 0, note VARCHAR(20) DEFAULT 'it''s', code TEXT UNIQUE,
        PRIMARY KEY (item DESC, shop)) WITHOUT ROWID;
      INSERT INTO "my prices" VALUES ('a', 1, 1.0, 2, NULL, NULL, NULL, NULL, 'x'),
        ('b', 1, 3, 2.5, NULL, 5, 2, 7, 'y'), ('B2', 2, 3, 'text', '[1, 2]', '2024', 1, x'00', NULL),
        ('c', 2, 3, 9e999, '{"a":1}', '2024-01-02T03:04:05.006Z', 'maybe', '12', NULL)`);
    const target = `${temporaryFolder()}/copy.db`;
    const { result, verified, connection } = await copy(at(source), at(target));
    expect(connection.targetEndpoint.metadata).toEqual({ table: "my prices" });
    expect(result).toMatchObject({ successCount: 4, failureCount: 0 });
    expect(verified).toMatchObject({ equal: true, sourceCount: 4, targetCount: 4 });
    expect(schema(target, "my prices")).toEqual(schema(source, "my prices"));
    const all =
      'SELECT *, typeof(price) p, typeof(amount) a, typeof(at) t, price / 2 AS half FROM "my prices" ORDER BY item, shop';
    expect(query(target, all)).toEqual(query(source, all));
    expect(query(target, "SELECT wr FROM pragma_table_list WHERE name = 'my prices'")).toEqual([{ wr: 1 }]);
    const db = new Database(target);
    expect(() => db.exec("INSERT INTO \"my prices\" (shop, item) VALUES ('A', 1)")).toThrow(/UNIQUE/);
    expect(() => db.exec("INSERT INTO \"my prices\" (shop, item, code) VALUES ('z', 1, 'x')")).toThrow(/UNIQUE/);
    db.close();
  });

  test("keeps values of other types than their column's, as SQLite does", async () => {
    const source = databaseWith(`
      CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, r REAL, b BLOB, x, j JSON, d DATE);
      INSERT INTO t VALUES (1, 'abc', 'def', 'text', 5, 'plain', 7.5), (2, 1.5, x'01', 6, 'x', 12, x'02'),
        (3, 9223372036854775807, 9e999, NULL, 2.5, '{"a": 1}', NULL), (4, 9e999, -9e999, x'', 9007199254740993, NULL, '')`);
    const target = `${temporaryFolder()}/copy.db`;
    const { result } = await copy(at(source), at(target));
    expect(result).toMatchObject({ successCount: 4, failureCount: 0 });
    const all = "SELECT *, typeof(n), typeof(r), typeof(b), typeof(x), typeof(j), typeof(d) FROM t";
    const db = [source, target].map((file) => {
      const opened = new Database(file, { readonly: true });
      const rows = opened.prepare(all).safeIntegers(true).all();
      opened.close();
      return rows;
    });
    expect(db[1]).toEqual(db[0]);
  });

  test("of chosen fields has their columns and the key, and a table without a key keeps its rowids", async () => {
    const source = databaseWith(`CREATE TABLE t (a REAL, b TEXT NOT NULL, c);
      INSERT INTO t (rowid, a, b) VALUES (7, 1, 'x'), (9, 2, 'y')`);
    const target = `${temporaryFolder()}/copy.db`;
    await copy(at(source), at(target), { fields: ["a"] });
    expect(schema(target, "t")).toEqual([{ name: "a", type: "REAL", notnull: 0, dflt_value: null, pk: 0 }]);
    expect(query(target, "SELECT rowid, a / 4 AS q FROM t")).toEqual([
      { rowid: 7, q: 0.25 },
      { rowid: 9, q: 0.5 },
    ]);
  });

  test("of a table of ours is one of ours, column by column", async () => {
    const source = `${temporaryFolder()}/own.db`;
    const made = await open(at(source, { table: "docs" }), "target");
    const records: P2PRecord[] = [
      { id: 1, a: null, b: 1 },
      { id: 2, a: null, b: 2n, c: "x" },
      { id: "three", a: [1] },
    ];
    for (const one of records) await write(made, [one]);
    await made.close();
    const target = `${temporaryFolder()}/copy.db`;
    await copy(at(source), at(target));
    expect(schema(target, "docs")).toEqual(schema(source, "docs"));
    expect(query(target, "SELECT * FROM docs")).toEqual(query(source, "SELECT * FROM docs"));
    assertSameRecords(await recordsIn(target), records);
  });

  test("through a transform makes a table of what comes out", async () => {
    const source = databaseWith(
      "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL); INSERT INTO t VALUES (1, 'x')",
    );
    const target = `${temporaryFolder()}/copy.db`;
    const manager = new DefaultP2PConnectionManager();
    manager.registerService("sqlite", sqliteStarter);
    cleanUp(() => manager.close());
    const { connectionId } = await manager.establish(at(source), at(target));
    await manager.transferThroughConnection(connectionId, {}, { transform: ({ id }) => ({ id, b: [true] }) });
    expect(query(target, "SELECT * FROM t")).toEqual([{ id: 1, b: "[true]", _p2p: null }]);
  });
});
