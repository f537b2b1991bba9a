import {
  type IdRef,
  type LookUpOutcome,
  type P2PDataTransferService,
  type P2PId,
  type P2PQuery,
  type P2PRecord,
  TaggedValue,
} from "@omni/p2p-core/starter";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { at, calm, databaseWith, open, overTheWire, readAll, rejection, write } from "./support.ts";

async function lookUp(service: P2PDataTransferService, ids: readonly P2PId[], query: P2PQuery = {}) {
  const refs: IdRef[] = ids.map((id) => ({ id }));
  return service.lookUp!(refs, query, { signal: calm() });
}

/** The record of an outcome, or its state. */
function told(outcome: LookUpOutcome): unknown {
  if (outcome.state === "wanted") return outcome.record;
  return outcome.state === "failed" ? outcome.error.code : outcome.state;
}

async function source(sql: string, options: Record<string, unknown> = {}): Promise<P2PDataTransferService> {
  return open(at(databaseWith(sql), { table: "t", ...options }), "source");
}

describe("ids of every kind and form", () => {
  test.for([
    {
      name: "INTEGER PRIMARY KEY",
      sql: "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'a'), (9007199254740993, 'b')",
      ids: [1, 2n ** 53n + 1n],
    },
    {
      name: "text",
      sql: "CREATE TABLE t (id TEXT PRIMARY KEY, v); INSERT INTO t VALUES ('x', 1), ('1', 2), ('ü€😀', 3)",
      ids: ["x", "1", "ü€😀"],
    },
    {
      name: "reals",
      sql: "CREATE TABLE t (id REAL PRIMARY KEY, v); INSERT INTO t VALUES (1.5, 1), (1e300, 2), (3, 4)",
      ids: [1.5, 1e300, 3],
    },
    {
      name: "bytes without rowid",
      sql: "CREATE TABLE t (id BLOB PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO t VALUES (x'00ff', 1)",
      ids: [new Uint8Array([0, 255])],
    },
    {
      name: "dates",
      sql: "CREATE TABLE t (id DATETIME PRIMARY KEY, v); INSERT INTO t VALUES ('2024-01-02T03:04:05.006Z', 1)",
      ids: [new Date("2024-01-02T03:04:05.006Z")],
    },
    {
      name: "booleans",
      sql: "CREATE TABLE t (id BOOLEAN PRIMARY KEY, v); INSERT INTO t VALUES (1, 1), (0, 2)",
      ids: [true, false],
    },
    {
      name: "any type at once",
      sql: "CREATE TABLE t (id PRIMARY KEY, v); INSERT INTO t VALUES (31, 'n'), ('31', 's'), (x'31', 'b'), (2.5, 'r')",
      ids: [31, "31", new Uint8Array([0x31]), 2.5],
    },
    {
      name: "another case of letters",
      sql: "CREATE TABLE t (id TEXT COLLATE NOCASE PRIMARY KEY, v); INSERT INTO t VALUES ('Abc', 1)",
      ids: ["Abc"],
    },
    {
      name: "a composite key",
      sql: "CREATE TABLE t (a INTEGER, b TEXT, PRIMARY KEY (a, b)); INSERT INTO t VALUES (1, 'x'), (1, 'y'), (9007199254740993, 'z')",
      ids: ['["a"]', "x"].slice(2).concat(['[1,"x"]', '[1,"y"]', '[{"$p2p":"bigint","value":"9007199254740993"},"z"]']),
    },
    {
      name: "a composite key of bytes, dates and JSON without rowid",
      sql: `CREATE TABLE t (a BLOB, b DATE, c JSON, d BOOLEAN, PRIMARY KEY (a, b, c, d)) WITHOUT ROWID; INSERT INTO t VALUES (x'01', '2024-01-02T03:04:05.006Z', '{"x":[1]}', 1)`,
      ids: undefined,
    },
    {
      name: "JSON",
      sql: `CREATE TABLE t (id JSON PRIMARY KEY, v); INSERT INTO t VALUES ('{"$p2p":"date","value":"2024-01-02T03:04:05.006Z"}', 1), ('{"a":1}', 2), ('plain', 3)`,
      ids: undefined,
    },
    { name: "no key", sql: "CREATE TABLE t (v); INSERT INTO t VALUES ('a'), ('b')", ids: [1, 2] },
    {
      name: "an id that is not the key",
      sql: "CREATE TABLE t (code TEXT PRIMARY KEY, id); INSERT INTO t VALUES ('c', 5)",
      ids: ["c"],
    },
    {
      name: "bytes and texts that others put into a table of ours",
      sql: "CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, _p2p TEXT); INSERT INTO t VALUES (x'ab', NULL), ('x', NULL)",
      ids: [new Uint8Array([0xab]), "x"],
    },
    {
      name: "texts and reals among bigints of ours",
      sql: "CREATE TABLE t (id BIGINT PRIMARY KEY NOT NULL, _p2p TEXT); INSERT INTO t VALUES (5, NULL), ('x', NULL), (1.5, NULL), (x'ab', NULL)",
      ids: [5n, "x", 1.5, new Uint8Array([0xab])],
    },
    {
      name: "a virtual table",
      sql: "CREATE VIRTUAL TABLE t USING fts5(body); INSERT INTO t VALUES ('a'), ('b')",
      ids: [1, 2],
    },
    {
      name: "texts of UTF-16",
      sql: "PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (id TEXT PRIMARY KEY, v); INSERT INTO t VALUES ('ü€😀', 3)",
      ids: ["ü€😀"],
    },
  ] as { name: string; sql: string; ids: P2PId[] | undefined }[])("$name", async ({ sql, ids }) => {
    const service = await source(sql);
    const { records } = await readAll(service);
    if (ids !== undefined) expect(new Set(records.map(({ id }) => id))).toEqual(new Set(ids));
    expect(records.length).toBeGreaterThan(0);
    // Each as reading gives it, and none that is not there.
    const found = await lookUp(service, [...records.map(({ id }) => id), "nobody", 77, -5n]);
    expect(found.map(told)).toEqual([...records, "absent", "absent", "absent"]);
  });

  test("an id of another form leads to the record of the same text, unless its own is there", async () => {
    const service = await source(
      "CREATE TABLE t (id PRIMARY KEY, v); INSERT INTO t VALUES (1, 'n'), (2, 'n'), ('2', 's'), (x'ab', 'b')",
    );
    const found = await lookUp(service, ["1", 1n, "2", 2, 2n, "ab", "1.0", "01"]);
    const n = { id: 1, v: "n" };
    expect(found.map(told).slice(0, 4)).toEqual([n, n, { id: "2", v: "s" }, { id: 2, v: "n" }]);
    expect(found[4]).toMatchObject({ state: "wanted" });
    expect(found.map(told).slice(5)).toEqual([{ id: new Uint8Array([0xab]), v: "b" }, "absent", "absent"]);
  });

  test("the form that was asked for decides, whatever the query makes of another", async () => {
    const service = await source(
      "CREATE TABLE t (id PRIMARY KEY, v); INSERT INTO t VALUES (1, 'wanted'), ('1', 'unwanted'), (2, 'unwanted')",
    );
    const found = await lookUp(service, [1, "1", 1n, "2"], { where: { v: "wanted" } });
    expect(found.map(told)).toEqual([{ id: 1, v: "wanted" }, "unwanted", { id: 1, v: "wanted" }, "unwanted"]);
  });

  test("ids of all kinds in a table of ours", async () => {
    const ids: P2PId[] = [
      "a",
      1,
      2n,
      1.5,
      true,
      new Date(0),
      new Uint8Array([1, 2]),
      new TaggedValue("x:y", "tag"),
      { a: 1 },
    ];
    for (const first of ["text", 7, 7n]) {
      const file = databaseWith("");
      const target = await open(at(file, { table: "t" }), "target");
      await write(target, [{ id: first, v: 0 }]);
      await write(
        target,
        ids.map((id, v) => ({ id, v })),
      );
      const found = await lookUp(target, [...ids, "1", "nobody"]);
      expect(found.map(told)).toEqual([...ids.map((id, v) => ({ id, v })), { id: 1, v: 1 }, "absent"]);
    }
  });

  test("a text that is not valid UTF-8 is no absence", async () => {
    for (const options of ["", "WITHOUT ROWID"]) {
      const service = await source(
        `CREATE TABLE t (id TEXT PRIMARY KEY, v) ${options}; INSERT INTO t VALUES (CAST(x'78ff' AS TEXT), 1), ('y\ufffd', 2), (CAST(x'7aff' AS TEXT), 3), (CAST(x'7afe' AS TEXT), 4)`,
      );
      const found = await lookUp(service, ["x\ufffd", "y\ufffd", "z\ufffd", "n\ufffd"], { where: { v: { lt: 2 } } });
      expect(found.map(told)).toEqual([{ id: "x\ufffd", v: 1 }, "unwanted", "READ_FAILED", "absent"]);
      expect((await readAll(service, { where: { id: "x\ufffd" } })).records).toEqual([{ id: "x\ufffd", v: 1 }]);
    }
  });
});

describe("what becomes of a look-up", () => {
  const rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)";
  const many =
    `CREATE TABLE t (id INTEGER PRIMARY KEY, type TEXT, v); CREATE INDEX types ON t (type); INSERT INTO t ${rows.slice(0)} SELECT i, 'x', i FROM n`.replace(
      /INSERT INTO t WITH/,
      "INSERT INTO t WITH",
    );

  test("ten thousand at once, with repeats, in their order", async () => {
    const service = await source(many);
    const ids = Array.from({ length: 10_000 }, (_, i) => (i * 7919) % 15_000);
    const found = await lookUp(service, ids, { type: "x", where: { v: { gt: 100 } }, fields: ["v"] });
    expect(found.map(told)).toEqual(
      ids.map((id) => (id === 0 || id > 12_000 ? "absent" : id <= 100 ? "unwanted" : { id, v: id })),
    );
    const [one, two] = await lookUp(service, [5, 5]);
    expect(told(one!)).toEqual(told(two!));
    expect(told(one!)).not.toBe(told(two!));
    expect(await lookUp(service, [])).toEqual([]);
  });

  test("ten thousand composite keys", async () => {
    const service = await source(
      `CREATE TABLE t (a INTEGER, b TEXT, v, PRIMARY KEY (a, b)); INSERT INTO t ${rows} SELECT i, 'b' || i, i FROM n`,
    );
    const found = await lookUp(
      service,
      Array.from({ length: 10_000 }, (_, i) => `[${i + 1},"b${i + 1}"]`),
      { fields: ["v"] },
    );
    expect(found.map(told)).toEqual(
      Array.from({ length: 10_000 }, (_, i) => ({ id: `[${i + 1},"b${i + 1}"]`, v: i + 1 })),
    );
  });

  test("a condition does not lead away from the key", async () => {
    const service = await source(
      `CREATE TABLE t (id INTEGER PRIMARY KEY, type TEXT, v); CREATE INDEX types ON t (type); INSERT INTO t ${rows.replace("12000", "400000")} SELECT i, 'x', i FROM n`,
    );
    const start = performance.now();
    for (let i = 0; i < 300; i++) await lookUp(service, [i + 1], { type: "x" });
    // Through the index of the condition, each would go through 400,000 rows.
    expect(performance.now() - start).toBeLessThan(5000);
  });

  test("limit, offset and another store's query are refused; order and parts are not", async () => {
    const service = await source(many);
    for (const query of [{ limit: 5 }, { offset: 1 }, { native: { redis: {} } } as P2PQuery]) {
      expect(await rejection(lookUp(service, [1], query))).toMatchObject({ code: "UNSUPPORTED_QUERY" });
    }
    expect((await lookUp(service, [1], { orderBy: "v" })).map(told)).toEqual([{ id: 1, type: "x", v: 1 }]);
    const parts = await service.partitions({ fields: [] }, 3, calm());
    const states = [];
    for (const part of parts)
      states.push((await lookUp(service, [1, 6000, 12_000, 12_001], overTheWire(part))).map(told));
    expect(states).toEqual([
      [{ id: 1 }, "unwanted", "unwanted", "absent"],
      ["unwanted", { id: 6000 }, "unwanted", "absent"],
      ["unwanted", "unwanted", { id: 12_000 }, "absent"],
    ]);
  });

  test("a record that is none is a failure, and no absence", async () => {
    const service = await source(
      "CREATE TABLE t (id TEXT PRIMARY KEY, v JSON); INSERT INTO t VALUES ('', 1), ('deep', NULL), ('ok', NULL)",
    );
    expect((await lookUp(service, ["", "ok"])).map(told)).toEqual(["INVALID_RECORD", { id: "ok", v: null }]);
  });

  test("a failing call throws", async () => {
    const service = await source("CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'no json')");
    const native = { sqlite: { where: "json_extract(v, '$.a') = 1" } };
    expect(await rejection(lookUp(service, [1], { native }))).toMatchObject({ code: "READ_FAILED" });
    expect(
      await rejection(service.lookUp!([{ id: 1 }], {}, { signal: AbortSignal.abort(new Error("called off")) })),
    ).toMatchObject({ message: "called off" });
  });
});

describe("views and native queries, which are read by a process of their own", () => {
  const sql =
    "CREATE TABLE o (id INTEGER PRIMARY KEY, v); INSERT INTO o VALUES (1, 'a'), (2, 'b'), (3, 'c'); CREATE VIEW t AS SELECT id, v FROM o WHERE id < 3";

  test("a view", async () => {
    const service = await source(sql, { key: "id" });
    expect(service.capabilities).toMatchObject({ lookUp: true, deletes: false, changes: false });
    expect((await lookUp(service, [1, 2, 3, "1"], { where: { v: "a" } })).map(told)).toEqual([
      { id: 1, v: "a" },
      "unwanted",
      "absent",
      { id: 1, v: "a" },
    ]);
  });

  test("a SELECT and a condition", async () => {
    const service = await open(at(databaseWith(sql), { table: "o" }), "source");
    const select = { sqlite: { sql: "SELECT id AS n, v, ? AS p FROM o", key: "n", params: [new Date(0)] } };
    expect((await lookUp(service, [1, 9], { native: select, where: { v: { prefix: "a" } } })).map(told)).toEqual([
      { id: 1, n: 1, v: "a", p: new Date(0).toISOString() },
      "absent",
    ]);
    const where = { sqlite: { where: "v > ? OR v = 'a'", params: ["b"] } };
    expect((await lookUp(service, [1, 2, 3], { native: where })).map(told)).toEqual([
      { id: 1, v: "a" },
      "unwanted",
      { id: 3, v: "c" },
    ]);
  });

  test("a key that is not unique is a failure", async () => {
    const service = await source(
      "CREATE TABLE o (id, v); INSERT INTO o VALUES (1, 'a'), (1, 'b'), (2, 'c'); CREATE VIEW t AS SELECT * FROM o",
      { key: "id" },
    );
    expect((await lookUp(service, [1, 2])).map(told)).toEqual(["READ_FAILED", { id: 2, v: "c" }]);
    expect((await lookUp(service, [1, 2], { where: { v: "a" } })).map(told)).toEqual(["READ_FAILED", "unwanted"]);
  });

  test("one that never ends is called off", async () => {
    const endless =
      "CREATE VIEW t AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS id FROM n WHERE i < 0";
    const service = await source(endless, { key: "id" });
    const start = performance.now();
    const looking = service.lookUp!([{ id: 1 }], {}, { signal: AbortSignal.timeout(500) });
    expect(await rejection(looking)).toMatchObject({ name: "TimeoutError" });
    expect(performance.now() - start).toBeLessThan(5000);
  });
});

describe("look-ups and reading agree on every condition", () => {
  const value = fc.oneof(
    fc.constantFrom(null, true, false, 0, -0, 1, 2, 1.5, 1n, 2n ** 60n, 2n ** 80n, "", "a", "ab", "1", "b\ufffd", "😀"),
    fc.constantFrom(new Date(0), new Date("2024-01-02T03:04:05.006Z"), new Uint8Array([1]), new Uint8Array()),
    fc.integer({ min: -3, max: 3 }),
  );
  const scalar = value.filter((given) => given !== null);
  const condition = fc.oneof(
    value,
    fc.record({ ne: value }),
    fc.record({ in: fc.array(value, { maxLength: 3 }) }),
    fc.record({ exists: fc.boolean() }),
    fc.record({ prefix: fc.constantFrom("", "a", "ab", "1", "😀") }),
    ...(["gt", "gte", "lt", "lte"] as const).map((operator) => scalar.map((given) => ({ [operator]: given }))),
  );
  const where = fc.dictionary(fc.constantFrom("id", "f", "g", "h"), condition, { maxKeys: 3 });
  const id = fc.oneof(
    fc.integer({ min: 0, max: 9 }),
    fc.constantFrom("a", "ab", "1", "x", "😀"),
    fc.constantFrom(5n, true, new Date(0), new Uint8Array([1])),
  );
  const field = fc.oneof(
    value,
    fc.constant(undefined),
    fc.constantFrom([1, "a"], { a: 1 }, new TaggedValue("x:y", "a")),
  );
  const records = fc.uniqueArray(fc.record({ id, f: field, g: field, h: field }), {
    maxLength: 12,
    selector: ({ id }) => String(id),
  });

  async function agree(service: P2PDataTransferService, ids: readonly P2PId[], query: P2PQuery): Promise<void> {
    const all = await readAll(service);
    const given = await readAll(service, query);
    const found = await lookUp(service, [...all.records.map((record) => record.id), ...ids], query);
    const text = (record: P2PRecord) =>
      JSON.stringify(record.id, (_, inner) => (typeof inner === "bigint" ? `${inner}n` : inner)) + typeof record.id;
    const wanted = new Map(given.records.map((record) => [text(record), record]));
    for (const [at, record] of all.records.entries()) {
      expect([record.id, told(found[at]!)]).toEqual([record.id, wanted.get(text(record)) ?? "unwanted"]);
    }
  }

  test("in tables of ours", async () => {
    await fc.assert(
      fc.asyncProperty(records, where, fc.boolean(), async (some, conditions, project) => {
        const target = await open(at(databaseWith(""), { table: "t" }), "target");
        await write(target, [{ id: "first", f: "a", g: 1 }]);
        const defined = some.map((record) =>
          Object.fromEntries(Object.entries(record).filter(([, v]) => v !== undefined)),
        );
        if (defined.length > 0) await write(target, defined as P2PRecord[]);
        await agree(target, [], { where: conditions, ...(project ? { fields: ["g"] } : {}) });
        await target.close();
      }),
      { numRuns: 60 },
    );
  });

  test("in tables of others", async () => {
    const cell = fc.constantFrom(
      "NULL",
      "0",
      "1",
      "-1",
      "2.5",
      "1152921504606846976",
      "'a'",
      "'ab'",
      "'1'",
      "''",
      "x'01'",
      "x''",
      "'2024-01-02T03:04:05.006Z'",
      "'[1]'",
      "'{\"a\":1}'",
    );
    const integers = new Set(["0", "1", "-1"]);
    const type = fc.constantFrom(
      "",
      "INTEGER",
      "REAL",
      "TEXT",
      "TEXT COLLATE NOCASE",
      "BLOB",
      "NUMERIC",
      "BOOLEAN",
      "DATE",
      "JSON",
    );
    await fc.assert(
      fc.asyncProperty(
        type,
        fc.tuple(type, type),
        fc.uniqueArray(cell, { maxLength: 6 }),
        fc.array(fc.tuple(cell, cell), { minLength: 6, maxLength: 6 }),
        where,
        async (key, [f, g], keys, cells, conditions) => {
          const rows = keys
            .map(
              (k, i) =>
                `INSERT OR IGNORE INTO t VALUES (${key === "INTEGER" && !integers.has(k) ? keys.length + i : k}, ${cells[i]!.join(", ")});`,
            )
            .join("");
          const service = await source(
            `CREATE TABLE t (id ${key} NOT NULL, f ${f}, g ${g}, PRIMARY KEY (id)) ${key === "INTEGER" ? "" : "WITHOUT ROWID"}; ${rows.replaceAll("VALUES (NULL", "VALUES ('n'")}`,
          );
          const { records: all } = await readAll(service);
          // An empty text or list of bytes is no id, so that these are failures in either.
          if (
            all.every(
              (record) =>
                record.id !== "" &&
                !(record.id instanceof Uint8Array && record.id.length === 0) &&
                !Array.isArray(record.id),
            )
          )
            await agree(service, [], { where: conditions });
          await service.close();
        },
      ),
      { numRuns: 150 },
    );
  });
});
