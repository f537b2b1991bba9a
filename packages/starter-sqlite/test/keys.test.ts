import { idKey, type P2PId, type P2PRecord, TaggedValue } from "@omni/p2p-core/starter";
import { assertSameRecords } from "@omni/p2p-testkit";
import { describe, expect, test } from "vitest";
import { at, databaseWith, open, overTheWire, query, readAll, recordsIn, write } from "./support.ts";

interface KeyCase {
  readonly name: string;
  readonly create: string;
  readonly withoutRowid?: boolean;
  readonly rows: string;
  readonly ids: readonly unknown[];
  readonly options?: Record<string, unknown>;
}

const numbered = (expression: string): string =>
  `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25) INSERT INTO t ${expression} FROM n`;
const ids = (make: (i: number) => unknown): unknown[] => Array.from({ length: 25 }, (_, at) => make(at + 1));

const KEYS: readonly KeyCase[] = [
  { name: "INTEGER PRIMARY KEY", create: "id INTEGER PRIMARY KEY, v", rows: "SELECT i * 3, i", ids: ids((i) => i * 3) },
  {
    name: "INTEGER PRIMARY KEY DESC, which is no rowid",
    create: "id INTEGER PRIMARY KEY DESC, v",
    rows: "SELECT i * 3, i",
    ids: ids((i) => i * 3),
  },
  {
    name: "negative and huge integers",
    create: "id INTEGER PRIMARY KEY, v",
    rows: "SELECT CASE WHEN i < 5 THEN -9223372036854775808 + i WHEN i > 20 THEN 9223372036854775807 - i ELSE i END, i",
    ids: ids((i) => (i < 5 ? -(2n ** 63n) + BigInt(i) : i > 20 ? 2n ** 63n - 1n - BigInt(i) : i)),
  },
  {
    name: "text",
    create: "id TEXT PRIMARY KEY, v",
    rows: "SELECT 'k' || (97 * i % 31), i",
    ids: ids((i) => `k${(97 * i) % 31}`),
  },
  {
    name: "text without rowid, and without regard to case",
    create: "id TEXT COLLATE NOCASE PRIMARY KEY, v",
    withoutRowid: true,
    rows: "SELECT char(64 + i) || 'x', i",
    ids: ids((i) => `${String.fromCharCode(64 + i)}x`),
  },
  {
    name: "real numbers without rowid",
    create: "id REAL PRIMARY KEY, v",
    withoutRowid: true,
    rows: "SELECT i / 8.0 - 1, i",
    ids: ids((i) => i / 8 - 1),
  },
  {
    name: "bytes without rowid",
    create: "id BLOB PRIMARY KEY, v",
    withoutRowid: true,
    rows: "SELECT CAST(char(i + 100) AS BLOB), i",
    ids: ids((i) => new TextEncoder().encode(String.fromCharCode(i + 100))),
  },
  {
    name: "a key of another name",
    create: "code TEXT PRIMARY KEY, v",
    rows: "SELECT 'c' || i, i",
    ids: ids((i) => `c${i}`),
  },
  {
    name: "a composite key",
    create: "a INTEGER, b TEXT, v, PRIMARY KEY (a, b)",
    rows: "SELECT i % 3, 'b' || i, i",
    ids: ids((i) => JSON.stringify([i % 3, `b${i}`])),
  },
  {
    name: "a composite key without rowid",
    create: "a INTEGER, b TEXT, v, PRIMARY KEY (a, b)",
    withoutRowid: true,
    rows: "SELECT i % 3, 'b' || i, i",
    ids: ids((i) => JSON.stringify([i % 3, `b${i}`])),
  },
  {
    name: "a composite key without rowid in two directions and a collation",
    create: "a INTEGER, b TEXT, v, PRIMARY KEY (b COLLATE RTRIM DESC, a)",
    withoutRowid: true,
    rows: "SELECT i, 'b' || (i % 4), i",
    ids: ids((i) => JSON.stringify([`b${i % 4}`, i])),
  },
  {
    name: "a composite key with a huge integer and bytes",
    create: "a INTEGER, b BLOB, v, PRIMARY KEY (a, b)",
    withoutRowid: true,
    rows: "SELECT 9007199254740993 + i % 2, CAST(char(100 + i) AS BLOB), i",
    ids: ids((i) =>
      JSON.stringify([
        { $p2p: "bigint", value: String(2n ** 53n + 1n + BigInt(i % 2)) },
        { $p2p: "bytes", value: Buffer.from([100 + i]).toString("base64") },
      ]),
    ),
  },
  { name: "no key: the rowid", create: "v", rows: "SELECT i", ids: ids((i) => i) },
  {
    name: "a unique column id without a primary key",
    create: "v, id TEXT UNIQUE",
    rows: "SELECT i, 'u' || i",
    ids: ids((i) => `u${i}`),
  },
  {
    name: "an id that is not the key",
    create: "code TEXT PRIMARY KEY, id INTEGER, _id TEXT, v",
    rows: "SELECT 'c' || i, i * 2, 'x', i",
    ids: ids((i) => `c${i}`),
  },
  {
    name: "a column that is called rowid",
    create: "rowid TEXT, v",
    rows: "SELECT 'r' || i, i",
    ids: ids((i) => i),
  },
  {
    name: "a key that is called rowid, and all its other names",
    create: "rowid TEXT NOT NULL PRIMARY KEY, _rowid_, oid, v",
    rows: "SELECT 'r' || (i + 100), i, i, i",
    ids: ids((i) => `r${i + 100}`),
  },
  {
    name: "the option key",
    create: "n INTEGER PRIMARY KEY, slug TEXT NOT NULL UNIQUE, v",
    rows: "SELECT i, 's' || (50 - i), i",
    ids: ids((i) => `s${50 - i}`),
    options: { key: "slug" },
  },
];

describe("vouching that ids are distinct", () => {
  /** For each batch of one record: its id, and whether it was vouched for. */
  async function vouched(sql: string, options: Record<string, unknown> = {}) {
    const source = await open(at(databaseWith(sql), { table: "t", ...options }), "source");
    const { batches } = await readAll(source, {}, { batchSize: 1 });
    return batches.map(({ records, distinct }) => [records[0]!.id, distinct] as const);
  }

  test("is done for a key of texts, but for texts that bytes could be", async () => {
    const ids = await vouched(
      "CREATE TABLE t (id TEXT PRIMARY KEY); INSERT INTO t VALUES ('doc-1'), (2), ('abc'), ('ab12'), (x'ab12');",
    );
    expect(ids).toHaveLength(5);
    for (const [id, distinct] of ids)
      expect([id, distinct]).toEqual([id, id === "doc-1" || id === "2" || id === "abc"]);
  });

  test("is not done for texts that are no UTF-8, which are one when they are read", async () => {
    const ids = await vouched(
      "CREATE TABLE t (id TEXT PRIMARY KEY); INSERT INTO t VALUES (CAST(x'78ff' AS TEXT)), (CAST(x'78fe' AS TEXT)), ('y');",
    );
    expect(ids).toEqual([
      ["x\ufffd", false],
      ["x\ufffd", false],
      ["y", true],
    ]);
  });

  test("is done for a rowid, and not for keys of any type, composite keys and views", async () => {
    const rows = "INSERT INTO t VALUES (1, 'x'), (2, 'y');";
    expect(await vouched(`CREATE TABLE t (id INTEGER PRIMARY KEY, v); ${rows}`)).toEqual([
      [1, true],
      [2, true],
    ]);
    for (const table of [
      "CREATE TABLE t (id PRIMARY KEY, v);",
      "CREATE TABLE t (id REAL PRIMARY KEY, v);",
      "CREATE TABLE t (a INTEGER, v TEXT, PRIMARY KEY (a, v));",
    ]) {
      const ids = await vouched(table + rows);
      expect(ids.map(([, distinct]) => distinct)).toEqual([false, false]);
    }
    const view = "CREATE TABLE o (id TEXT PRIMARY KEY); INSERT INTO o VALUES ('x'); CREATE VIEW t AS SELECT id FROM o;";
    expect((await vouched(view, { key: "id" })).map(([, distinct]) => distinct ?? false)).toEqual([false]);
  });

  test("is done as well where a process of its own reads", async () => {
    for (const [sql, expected] of [
      ["CREATE TABLE t (id TEXT PRIMARY KEY); INSERT INTO t VALUES ('doc-1')", true],
      ["CREATE TABLE t (id PRIMARY KEY); INSERT INTO t VALUES ('doc-1')", false],
    ] as const) {
      for (const isolate of ["always", "never"]) {
        expect(await vouched(sql, { isolate })).toEqual([["doc-1", expected]]);
      }
    }
  });

  test("is done for a table of ours where the ids are texts or integers as they stand there", async () => {
    for (const [records, expected] of [
      [[{ id: "x" }, { id: "y" }], true],
      [[{ id: 1 }, { id: 2 }], true],
      [[{ id: "x" }, { id: 2 }], false],
      [[{ id: 1 }, { id: "x" }], false],
    ] as const) {
      const file = databaseWith("");
      const target = await open(at(file, { table: "docs" }), "target");
      await write(target, records);
      await target.close();
      const source = await open(at(file, { table: "docs" }), "source");
      const { batches } = await readAll(source);
      expect(batches.every(({ distinct }) => distinct)).toBe(expected);
    }
  });
});

describe("reading tables that others made", () => {
  for (const { name, create, rows, ids: expected, withoutRowid, options = {} } of KEYS) {
    const table = `CREATE TABLE t (${create})${withoutRowid ? " WITHOUT ROWID" : ""};`;
    test(name, async () => {
      const file = databaseWith(table + numbered(rows));
      const source = await open(at(file, { table: "t", ...options }), "source");
      const { records, failures, batches } = await readAll(source);
      expect(failures).toEqual([]);
      expect(records.map((record) => show(record.id)).sort()).toEqual(expected.map(show).sort());
      expect(new Set(records.map(({ v }) => v)).size).toBe(25);
      expect(records[0]!.id instanceof Uint8Array && records[0]!.id.constructor).not.toBe(Buffer);

      for (const [at, batch] of batches.entries()) {
        const rest = await readAll(source, {}, { after: overTheWire(batch.cursor) });
        assertSameRecords(
          rest.records,
          batches.slice(at + 1).flatMap((later) => later.records),
          { ordered: true },
        );
      }
      for (const parts of [2, 3, 7]) {
        const read = [];
        for (const part of await source.partitions({}, parts, AbortSignal.timeout(5000))) {
          read.push(...(await readAll(source, overTheWire(part))).records);
        }
        assertSameRecords(read, records, { context: `${parts} parts` });
      }
      for (const record of records) {
        const found = await readAll(source, { where: { id: record.id as string } });
        assertSameRecords(found.records, [record]);
      }
      expect(await source.count({}, AbortSignal.timeout(5000))).toBe(25);
      const sorted = await readAll(source, { orderBy: { field: "v", direction: "desc" } });
      expect(sorted.records.map(({ v }) => v)).toEqual(ids((i) => 26 - i));
    });

    test(`${name}: written back, the table is the same`, async () => {
      const file = databaseWith(table + numbered(rows));
      const records = await recordsIn(file, { table: "t", ...options });
      const empty = databaseWith(table);
      for (const mode of ["upsert", "skip"] as const) {
        const target = await open(at(empty, { table: "t", ...options }), "target");
        const result = await write(target, records, mode);
        expect(result.failures.map(({ error }) => error.message)).toEqual([]);
        expect(result).toMatchObject(mode === "upsert" ? { written: 25, skipped: 0 } : { written: 0, skipped: 25 });
        await target.close();
      }
      const target = await open(at(empty, { table: "t", ...options }), "target");
      const again = await write(target, records, "insert");
      expect(again.failures.map(({ error }) => error.code)).toEqual(ids(() => "DUPLICATE_ID"));
      await target.close();
      const order = "SELECT * FROM t ORDER BY v";
      expect(query(empty, order)).toEqual(query(file, order));
      assertSameRecords(await recordsIn(empty, { table: "t", ...options }), records);
    });
  }

  test("a column id that is not the key steps aside, to a name that is free", async () => {
    const file = databaseWith(
      "CREATE TABLE t (code TEXT PRIMARY KEY, id INTEGER, _id TEXT); INSERT INTO t VALUES ('a', 5, 'x')",
    );
    expect(await recordsIn(file)).toEqual([{ id: "a", code: "a", __id: 5, _id: "x" }]);
  });

  test("rows whose key is NULL are failures, and the others are read", async () => {
    const file = databaseWith(
      "CREATE TABLE t (id TEXT PRIMARY KEY, v); INSERT INTO t VALUES ('a', 1), (NULL, 2), ('b', 3), (NULL, 4), (NULL, 5)",
    );
    const source = await open(at(file), "source");
    const { records, failures, batches } = await readAll(source, {}, { batchSize: 2 });
    expect(records.map(({ id }) => id)).toEqual(["a", "b"]);
    expect(failures.map(({ id, error }) => [id, error.code])).toEqual([
      ["rowid 2", "INVALID_RECORD"],
      ["rowid 4", "INVALID_RECORD"],
      ["rowid 5", "INVALID_RECORD"],
    ]);
    for (const [at, batch] of batches.entries()) {
      const rest = await readAll(source, {}, { after: overTheWire(batch.cursor), batchSize: 2 });
      expect(rest.records.length + rest.failures.length).toBe(Math.max(0, 5 - (at + 1) * 2));
    }
  });

  test("field and id of a key must agree", async () => {
    const file = databaseWith(
      "CREATE TABLE t (code TEXT PRIMARY KEY, v); CREATE TABLE c (a, b, v, PRIMARY KEY (a, b))",
    );
    const single = await open(at(file, { table: "t" }), "target");
    const first = await write(single, [
      { id: "a", code: "b" },
      { id: "c", v: 1 },
      { id: 5, code: "5" },
    ]);
    expect(first.failures.map(({ index, error }) => [index, error.code])).toEqual([[0, "INVALID_RECORD"]]);
    expect(query(file, "SELECT * FROM t")).toEqual([
      { code: "c", v: 1 },
      { code: "5", v: null },
    ]);
    const composite = await open(at(file, { table: "c" }), "target");
    const records: P2PRecord[] = [
      { id: '["x",1]', v: 1 },
      { id: '["x",2]', a: "x", b: 3 },
      { id: "free", a: "y", b: 1 },
      { id: '["z",1]', a: "z", v: 2 },
      { id: "free" },
    ];
    const second = await write(composite, records);
    expect(second.failures.map(({ index }) => index)).toEqual([1, 2, 4]);
    expect(query(file, "SELECT * FROM c")).toEqual([
      { a: "x", b: 1, v: 1 },
      { a: "z", b: 1, v: 2 },
    ]);
  });

  test.each([
    ["TEXT", [5, 1.5, 12n, 2n ** 70n, true, new Date(0), new TaggedValue("mongodb:objectId", "65f0"), "a"], []],
    ["INTEGER", [5, 12n, "7", 2n ** 60n], [true, new TaggedValue("mongodb:objectId", "65f0"), "a", 2n ** 70n]],
    ["REAL", [1.5, "7", 12n], [true, 2n ** 60n, 2n ** 70n, "a"]],
    ["BOOLEAN", [true], [1, 0n, "true"]],
    ["NUMERIC", [new Date(0), 12n, new TaggedValue("mongodb:objectId", "65f0")], [true, 2n ** 70n]],
  ] as [string, P2PId[], P2PId[]][])(
    "a %s key of another's table holds ids that come back as the same text, and refuses others",
    async (declared, held, refused) => {
      for (const key of ["id", "code"]) {
        const file = databaseWith(`CREATE TABLE t (${key} ${declared} PRIMARY KEY NOT NULL, v)`);
        const store = await open(at(file, { table: "t", ...(key === "code" && { key }) }), "target");
        const all = [...held, ...refused];
        const { failures } = await write(
          store,
          all.map((id, v) => ({ id, v })),
        );
        expect(failures.map(({ id, error }) => [id, error.code])).toEqual(refused.map((id) => [id, "TYPE_MISMATCH"]));
        const back = await recordsIn(file, { table: "t", ...(key === "code" && { key }) });
        expect(back.map(({ id }) => idKey(id)).sort()).toEqual(held.map(idKey).sort());
      }
    },
  );

  test("a key that is not unique is refused, and so is one that is no column", async () => {
    const file = databaseWith("CREATE TABLE t (a PRIMARY KEY, b)");
    for (const key of ["b", "c", "a,b"]) {
      for (const role of ["source", "target"] as const) {
        await expect(open(at(file, { table: "t", key }), role)).rejects.toMatchObject({ code: "INVALID_ENDPOINT" });
      }
    }
  });
});

function show(value: unknown): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : String(value);
}
