import { type P2PRecord, type P2PValue, setField, TaggedValue } from "@omni/p2p-core/starter";
import { assertSameRecords } from "@omni/p2p-testkit";
import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { at, databaseWith, open, query, readAll, recordsIn, temporaryFolder, write } from "./support.ts";

describe("values of tables that others made", () => {
  const read = async (type: string, cell: string): Promise<P2PValue | undefined> => {
    const file = databaseWith(`CREATE TABLE t (id INTEGER PRIMARY KEY, v ${type}); INSERT INTO t VALUES (1, ${cell})`);
    return (await recordsIn(file))[0]!.v;
  };

  test.each<[type: string, cell: string, value: P2PValue]>([
    ["INTEGER", "5", 5],
    ["INTEGER", "9007199254740991", 9007199254740991],
    ["INTEGER", "9007199254740992", 9007199254740992n],
    ["INTEGER", "-9007199254740993", -9007199254740993n],
    ["BIGINT", "5", 5],
    ["REAL", "5", 5],
    ["REAL", "9007199254740993", 9007199254740992],
    ["REAL", "9e999", Number.POSITIVE_INFINITY],
    ["NUMERIC", "1e15", 1e15],
    ["TEXT", "5", "5"],
    ["TEXT", "char(97, 0, 98)", "a\u0000b"],
    ["TEXT", "x'0102'", Uint8Array.of(1, 2)],
    ["BLOB", "x''", new Uint8Array(0)],
    ["BLOB", "'text'", "text"],
    ["", "NULL", null],
    ["BOOLEAN", "1", true],
    ["BOOL", "0", false],
    ["BOOLEAN", "2", 2],
    ["BOOLEAN", "'yes'", "yes"],
    ["DATETIME", "'2024-01-02T03:04:05.006Z'", new Date("2024-01-02T03:04:05.006Z")],
    ["DATETIME", "'2024-01-02 03:04:05'", "2024-01-02 03:04:05"],
    ["DATETIME", "'2024-13-45T03:04:05.006Z'", "2024-13-45T03:04:05.006Z"],
    ["DATE", "'2024-01-02'", "2024-01-02"],
    ["TIMESTAMP", "1704164645", 1704164645],
    ["TEXT", "'2024-01-02T03:04:05.006Z'", "2024-01-02T03:04:05.006Z"],
    ["JSON", `'{"a":[1,null]}'`, { a: [1, null] }],
    ["JSON", `'{"a": 1}'`, '{"a": 1}'],
    ["JSON", `'{"n":12345678901234567890}'`, '{"n":12345678901234567890}'],
    ["JSON", "'plain'", "plain"],
    ["TEXT", `'{"a":1}'`, '{"a":1}'],
  ])("%s %s", async (type, cell, value) => {
    const found = await read(type, cell);
    expect(found).toEqual(value);
    if (found instanceof Uint8Array) expect(found.constructor).toBe(Uint8Array);
  });

  test("one huge integer among many rows makes no other number a bigint", async () => {
    const file = databaseWith("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, r REAL, b BLOB)", (db) => {
      const insert = db.prepare("INSERT INTO t VALUES (?, ?, ?, ?)");
      for (let i = 0; i < 50; i++) insert.run(i, i === 33 ? 2n ** 62n + 1n : i, i / 2, Buffer.from([i]));
    });
    const records = await recordsIn(file);
    for (const [i, record] of records.entries()) {
      expect(record).toEqual({ id: i, n: i === 33 ? 2n ** 62n + 1n : i, r: i / 2, b: Uint8Array.of(i) });
    }
  });

  test("generated columns are read, and never written", async () => {
    const sql = "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, twice AS (a * 2), stored AS (a + 1) STORED)";
    const file = databaseWith(`${sql}; INSERT INTO t (id, a) VALUES (1, 5)`);
    const records = await recordsIn(file);
    expect(records).toEqual([{ id: 1, a: 5, twice: 10, stored: 6 }]);
    const target = await open(at(file, { table: "t" }), "target");
    expect(await write(target, [{ id: 2, a: 7, twice: 99 }, ...records])).toMatchObject({ written: 2, failures: [] });
    expect(await recordsIn(file)).toEqual([...records, { id: 2, a: 7, twice: 14, stored: 8 }]);
  });

  test("a value goes into another's column only without loss", async () => {
    const types = ["INTEGER", "REAL", "TEXT", "BOOLEAN", "DATETIME", "JSON", "BLOB"];
    const date = new Date("2024-01-02T03:04:05.006Z");
    const cases: [P2PValue, Record<string, unknown>][] = [
      [5, { INTEGER: 5, REAL: 5, TEXT: "5", DATETIME: 5, JSON: 5, BLOB: 5 }],
      [1, { INTEGER: 1, REAL: 1, TEXT: "1", BOOLEAN: 1, DATETIME: 1, JSON: 1, BLOB: 1 }],
      [1.5, { INTEGER: 1.5, REAL: 1.5, TEXT: "1.5", DATETIME: 1.5, JSON: 1.5, BLOB: 1.5 }],
      [Number.NaN, {}],
      [2n ** 70n, { REAL: 2 ** 70, TEXT: "1180591620717411303424" }],
      [true, { INTEGER: 1, REAL: 1, TEXT: "true", BOOLEAN: 1 }],
      ["abc", { TEXT: "abc", DATETIME: "abc", JSON: "abc", BLOB: "abc" }],
      ["12", { INTEGER: 12, REAL: 12, TEXT: "12", DATETIME: 12, BLOB: "12" }],
      ["012", { TEXT: "012", BLOB: "012" }],
      [date, { TEXT: date.toISOString(), DATETIME: date.toISOString() }],
      [{ a: 1 }, { TEXT: '{"a":1}', JSON: '{"a":1}' }],
      ["[1]", { TEXT: "[1]", DATETIME: "[1]", BLOB: "[1]" }],
      [
        new TaggedValue("mongodb:objectId", "6f"),
        { TEXT: '{"$p2p":"mongodb:objectId","value":"6f"}', JSON: '{"$p2p":"mongodb:objectId","value":"6f"}' },
      ],
    ];
    const columns = types.map((type, i) => `c${i} ${type}`).join(", ");
    const file = databaseWith(`CREATE TABLE t (id INTEGER PRIMARY KEY, ${columns})`);
    const target = await open(at(file, { table: "t" }), "target");
    for (const [value, held] of cases) {
      for (const [i, type] of types.entries()) {
        const { failures } = await write(target, [{ id: 1, [`c${i}`]: value }]);
        const [row] = query(file, `SELECT c${i} AS v FROM t`) as { v: unknown }[];
        const what = `${String(value)} in ${type}`;
        if (type in held) {
          expect(failures, what).toEqual([]);
          expect(row!.v, what).toBe(held[type]);
        } else {
          expect(failures[0]?.error.code, what).toBe("TYPE_MISMATCH");
          expect(failures[0]?.error.message, what).toContain(`"c${i}"`);
        }
      }
    }
  });
});

describe("values of tables that this starter makes", () => {
  const written = async (records: readonly P2PRecord[]): Promise<string> => {
    const file = `${temporaryFolder()}/own.db`;
    const target = await open(at(file), "target");
    const { failures } = await write(target, records);
    expect(failures).toEqual([]);
    await target.close();
    return file;
  };

  test("declared types carry the kinds of value, and the cells are plain", async () => {
    const date = new Date("2024-01-02T03:04:05.006Z");
    const record = {
      id: 7,
      text: "a",
      number: 5,
      fraction: 5.5,
      large: 12n,
      yes: true,
      when: date,
      bytes: Uint8Array.of(1),
      list: [1, "a"],
      object: { a: null },
      nothing: null,
    };
    const file = await written([record]);
    expect(query(file, "SELECT name, type FROM pragma_table_info('records')")).toEqual([
      { name: "id", type: "INTEGER" },
      { name: "text", type: "TEXT" },
      { name: "number", type: "NUMERIC" },
      { name: "fraction", type: "NUMERIC" },
      { name: "large", type: "BIGINT" },
      { name: "yes", type: "BOOLEAN" },
      { name: "when", type: "TIMESTAMP" },
      { name: "bytes", type: "BLOB" },
      { name: "list", type: "JSON" },
      { name: "object", type: "JSON" },
      { name: "nothing", type: "" },
      { name: "_p2p", type: "TEXT" },
    ]);
    expect(query(file, "SELECT *, typeof(number) AS type FROM records")).toEqual([
      {
        id: 7,
        text: "a",
        number: 5,
        fraction: 5.5,
        large: 12,
        yes: 1,
        when: "2024-01-02T03:04:05.006Z",
        bytes: Buffer.from([1]),
        list: '[1,"a"]',
        object: '{"a":null}',
        nothing: null,
        _p2p: null,
        type: "integer",
      },
    ]);
    assertSameRecords(await recordsIn(file), [record]);
  });

  test("fields that only some records have come after the sidecar, and need no word in it", async () => {
    const records = [
      { id: "a", always: 1, some: "x" },
      { id: "b", always: null },
      { id: "c", always: 3, some: null },
    ];
    const file = await written(records);
    expect(query(file, "SELECT name FROM pragma_table_info('records')")).toEqual(
      ["id", "always", "_p2p", "some"].map((name) => ({ name })),
    );
    expect(query(file, "SELECT id, _p2p FROM records")).toEqual([
      { id: "a", _p2p: null },
      { id: "b", _p2p: null },
      { id: "c", _p2p: '{"values":{"some":null}}' },
    ]);
    assertSameRecords(await recordsIn(file), records);
  });

  test("fields that come later get columns, and the rows before do not change", async () => {
    const file = await written([{ id: 1, a: 1 }]);
    const target = await open(at(file), "target");
    const later: P2PRecord[] = [
      { id: 2, a: 2, b: "x" },
      { id: 3, c: [1] },
      { id: 4, a: null, b: null, d: 1n },
    ];
    await write(target, later);
    await target.close();
    assertSameRecords(await recordsIn(file), [{ id: 1, a: 1 }, ...later]);
    expect(query(file, "SELECT name, type FROM pragma_table_info('records')")).toEqual([
      { name: "id", type: "INTEGER" },
      { name: "a", type: "NUMERIC" },
      { name: "_p2p", type: "TEXT" },
      { name: "b", type: "TEXT" },
      { name: "c", type: "JSON" },
      { name: "d", type: "BIGINT" },
    ]);
  });

  test("what others write over a cell is newer than the sidecar", async () => {
    const file = await written([
      { id: 1, n: Number.NaN, big: 1, mixed: "x" },
      { id: 2, n: 1, big: 2n ** 80n, mixed: 5 },
      { id: 3, n: -0, big: 3, mixed: new Date(5) },
    ]);
    const db = new Database(file);
    db.exec("UPDATE records SET n = 7; UPDATE records SET big = 8 WHERE id = 2; UPDATE records SET mixed = 'new'");
    db.exec(
      "INSERT INTO records (id, n, mixed) VALUES (4, 2, 'plain'); UPDATE records SET _p2p = 'no json' WHERE id = 1",
    );
    db.close();
    assertSameRecords(await recordsIn(file), [
      { id: 1, n: 7, big: 1, mixed: "new" },
      { id: 2, n: 7, big: 8, mixed: "new" },
      { id: 3, n: 7, big: 3, mixed: "new" },
      { id: 4, n: 2, big: null, mixed: "plain" },
    ]);
  });

  test("rows with a sidecar among many without are found on every page, also without the index that leads to them", async () => {
    const records = Array.from({ length: 300 }, (_, i) => ({
      id: `r${i}`,
      n: i % 37 === 5 ? Number.NaN : i,
      ...(i % 3 === 0 ? { some: i } : {}),
    }));
    const file = await written(records);
    for (const sql of ["", 'DROP INDEX "_p2p_records"']) {
      const db = new Database(file);
      db.exec(sql);
      db.close();
      const source = await open(at(file), "source");
      for (const batchSize of [1, 10, 299, 1000]) {
        assertSameRecords((await readAll(source, {}, { batchSize })).records, records, { ordered: true });
      }
      assertSameRecords(
        (await readAll(source, { fields: ["some"] }, { batchSize: 7 })).records,
        records.map(({ id, some }) => ({ id, ...(some === undefined ? {} : { some }) })),
      );
      await source.close();
    }
  });

  test("ids of any type are kept in a table whose first ids were integers", async () => {
    const file = await written([{ id: 1 }, { id: 2 }]);
    const target = await open(at(file), "target");
    const others: P2PRecord[] = [
      { id: "abc", n: 1 },
      { id: 1.5 },
      { id: 2n ** 63n },
      { id: 2n ** 62n },
      { id: -(2n ** 63n) },
      { id: new Date(0) },
      { id: Uint8Array.of(1, 2) },
      { id: true },
      { id: "05" },
      { id: { a: 1 } },
      { id: new TaggedValue("x:y", "z") },
      { id: "长".repeat(3000) },
      { id: "a\u0000b" },
      { id: 5n },
      { id: "6" },
      { id: -0 },
    ];
    expect(await write(target, others)).toMatchObject({ written: others.length, failures: [] });
    expect(await write(target, others, "skip")).toMatchObject({ skipped: others.length });
    const source = await open(at(file), "source");
    const { records } = await readAll(source);
    assertSameRecords(records, [{ id: 1 }, { id: 2 }, ...others]);
    for (const record of records) {
      const found = await readAll(source, { where: { id: record.id as string } }).catch(() => undefined);
      if (found !== undefined) assertSameRecords(found.records, [record]);
    }
    expect(query(file, "SELECT id FROM records WHERE id BETWEEN 0 AND 10 ORDER BY id")).toEqual(
      [0, 1, 2, 5, 6].map((id) => ({ id })),
    );
  });

  test("names of fields that SQLite cannot tell apart or say go into the sidecar", async () => {
    const fields = [
      "Name",
      "name",
      "NAME",
      "ID",
      "_P2P",
      "_p2p",
      "a\u0000b",
      "rowid",
      "_rowid_",
      "oid",
      "",
      'a"b',
      "a;b",
      "É",
      "é",
      "__proto__",
    ];
    const entries: [string, P2PValue][] = [["id", "x"], ...fields.map((field, i): [string, P2PValue] => [field, i])];
    const record: Record<string, P2PValue> = {};
    for (const [field, value] of entries) setField(record, field, value);
    const file = await written([record as P2PRecord]);
    assertSameRecords(await recordsIn(file), [record as P2PRecord]);
    const names = query(file, "SELECT name FROM pragma_table_info('records')").map(
      (row) => (row as { name: string }).name,
    );
    expect(names).toEqual(["id", "Name", "rowid", "oid", "", 'a"b', "a;b", "É", "é", "__proto__", "_p2p"]);
  });

  test("more fields than SQLite has columns", async () => {
    const record = { id: 1, ...Object.fromEntries(Array.from({ length: 2500 }, (_, i) => [`f${i}`, i])) };
    const file = await written([record]);
    assertSameRecords(await recordsIn(file), [record]);
    const target = await open(at(file), "target");
    const next = { id: 2, ...Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`g${i}`, "x"])) };
    expect(await write(target, [next])).toMatchObject({ written: 1 });
    await target.close();
    assertSameRecords(await recordsIn(file), [record, next]);
  });
});
