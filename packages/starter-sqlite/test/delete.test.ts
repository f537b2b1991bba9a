import {
  type DeleteRef,
  type P2PDataTransferService,
  type P2PId,
  type P2PRecord,
  recordDigest,
  TaggedValue,
} from "@omni/p2p-core/starter";
import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { at, calm, databaseWith, open, query, readAll, recordsIn, rejection, write } from "./support.ts";

async function target(sql: string, options: Record<string, unknown> = {}) {
  const file = databaseWith(sql);
  return { file, service: await open(at(file, { table: "t", ...options }), "target") };
}

function remove(service: P2PDataTransferService, refs: readonly (P2PId | { ref: DeleteRef })[]) {
  const all = refs.map((ref) =>
    typeof ref === "object" && "ref" in ref ? (ref.ref as DeleteRef) : { id: ref as P2PId },
  );
  return service.deleteFromTarget!(all, { signal: calm() });
}

const numbers = (count: number) =>
  `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count}) SELECT`;

describe("deleting by id", () => {
  test("ids of all kinds and forms in a table of ours, for a reader that opens later", async () => {
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
      const { file, service } = await target("");
      await write(service, [{ id: first, v: 0 }]);
      await write(
        service,
        ids.map((id, v) => ({ id, v, list: [v] })),
      );
      expect(await remove(service, [...ids.slice(1), "1", "nobody"])).toEqual({
        deleted: 8,
        absent: 2,
        changed: [],
        failures: [],
      });
      const left = await recordsIn(file);
      expect(new Set(left.map(({ id }) => id))).toEqual(new Set([first, "a"]));
      // Other forms of the same ids.
      expect(await remove(service, [String(first), "a", new Date(0).toISOString()])).toMatchObject({
        deleted: 2,
        absent: 1,
      });
      expect(await recordsIn(file)).toEqual([]);
    }
  });

  test.for([
    {
      name: "INTEGER PRIMARY KEY",
      sql: "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (9007199254740993, 'c')",
    },
    {
      name: "text without rowid",
      sql: "CREATE TABLE t (id TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO t VALUES ('a', 1), ('b' || char(0) || 'c', 2), ('b' || char(0) || 'd', 2)",
    },
    {
      name: "reals without rowid",
      sql: "CREATE TABLE t (id REAL PRIMARY KEY) WITHOUT ROWID; INSERT INTO t VALUES (0.1), (0.1 + 1e-17), (0.30000000000000004), (0.3)",
    },
    {
      name: "a composite key in another collation",
      sql: "CREATE TABLE t (a TEXT, b INTEGER, v, PRIMARY KEY (a COLLATE NOCASE DESC, b)) WITHOUT ROWID; INSERT INTO t VALUES ('x', 1, 1), ('x', 2, 2), ('y', 9007199254740993, 3)",
    },
    {
      name: "a composite key with a rowid",
      sql: "CREATE TABLE t (a DATE, b BLOB, v, PRIMARY KEY (a, b)); INSERT INTO t VALUES ('2024-01-02T03:04:05.006Z', x'00', 1), ('plain', 'text', 2)",
    },
    {
      name: "any type at once",
      sql: "CREATE TABLE t (id PRIMARY KEY, v); INSERT INTO t VALUES (31, 'n'), ('31', 's'), (x'31', 'b'), (2.5, 'r')",
    },
    { name: "a key of booleans", sql: "CREATE TABLE t (id BOOLEAN PRIMARY KEY); INSERT INTO t VALUES (0), (1)" },
    {
      name: "text among integers",
      sql: "CREATE TABLE t (id INT PRIMARY KEY, v); INSERT INTO t VALUES (5, 1), ('abc', 2)",
    },
  ])("$name", async ({ sql }) => {
    const { file, service } = await target(sql);
    const records = (await readAll(service, {}, { batchSize: 100 })).records;
    const [first, ...others] = records as [P2PRecord, ...P2PRecord[]];
    expect(
      await remove(
        service,
        others.map(({ id }) => id),
      ),
    ).toMatchObject({ deleted: others.length, failures: [] });
    expect(await recordsIn(file)).toEqual([first]);
    expect(
      await remove(
        service,
        [...records, ...records].map((record) => ({ ref: { id: record.id, expected: recordDigest(record) } })),
      ),
    ).toMatchObject({
      deleted: 1,
      absent: records.length * 2 - 1,
    });
    expect(query(file, "SELECT * FROM t")).toEqual([]);
  });

  test("what no row can have is absent", async () => {
    const { service } = await target(
      "CREATE TABLE t (a INTEGER, b TEXT, PRIMARY KEY (a, b)); INSERT INTO t VALUES (1, 'x')",
    );
    expect(await remove(service, ["x", "[1]", '["x","y"]', 5, { a: 1 }, '[1,"x"]'])).toMatchObject({
      deleted: 1,
      absent: 5,
    });
  });

  test("ten thousand at once, with repeats: each is deleted once and absent once", async () => {
    const { file, service } = await target(
      `CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t ${numbers(12_000)} i, i FROM n`,
    );
    const ids = Array.from({ length: 10_000 }, (_, i) => i + 5000);
    expect(await remove(service, [...ids, ...ids])).toEqual({
      deleted: 7001,
      absent: 12_999,
      changed: [],
      failures: [],
    });
    expect(query(file, "SELECT count(*) AS n FROM t")).toEqual([{ n: 4999 }]);
    expect(await remove(service, [])).toEqual({ deleted: 0, absent: 0, changed: [], failures: [] });
  });

  test("one row under two ids of its collation is deleted once", async () => {
    const { service } = await target(
      "CREATE TABLE t (id TEXT COLLATE NOCASE PRIMARY KEY); INSERT INTO t VALUES ('Abc')",
    );
    expect(await remove(service, ["ABC", "abc"])).toMatchObject({ deleted: 1, absent: 1 });
  });

  test("a target that is not there yet has none of them", async () => {
    const { file, service } = await target("");
    expect(await remove(service, [1, 2])).toEqual({ deleted: 0, absent: 2, changed: [], failures: [] });
    expect(query(file, "SELECT * FROM sqlite_schema")).toEqual([]);
  });

  test("after the writes before it, by whichever thread they are written", async () => {
    for (const thread of ["never", "always"]) {
      const { file, service } = await target("", { thread });
      const batches = Array.from({ length: 5 }, (_, b) =>
        Array.from({ length: 100 }, (_, i) => ({ id: b * 100 + i, v: i })),
      );
      const writing = batches.map((batch) => write(service, batch));
      const removing = remove(
        service,
        batches.flat().map(({ id }) => id),
      );
      const again = write(service, [{ id: 1, v: "again" }]);
      await Promise.all(writing);
      expect(await removing).toMatchObject({ deleted: 500 });
      await again;
      expect(await recordsIn(file)).toEqual([{ id: 1, v: "again" }]);
    }
  });
});

describe("the expected digest", () => {
  test("one that is not so any more stays, and is told by its place", async () => {
    const { file, service } = await target("");
    const records: P2PRecord[] = Array.from({ length: 3000 }, (_, i) => ({
      id: `k${i}`,
      n: i,
      mixed: i % 2 ? "x" : [i],
      at: new Date(i),
    }));
    await write(service, records);
    const refs = records.map((record) => ({ ref: { id: record.id, expected: recordDigest(record) } }));
    await write(service, [
      { ...records[7]!, n: -1 },
      { ...records[2500]!, more: 1n },
    ]);
    expect(await remove(service, refs)).toEqual({ deleted: 2998, absent: 0, changed: [7, 2500], failures: [] });
    expect((await recordsIn(file)).map(({ id }) => id)).toEqual(["k7", "k2500"]);
    // The second says nothing of what is expected.
    expect(await remove(service, [refs[7]!, "k7"])).toEqual({ deleted: 1, absent: 0, changed: [0], failures: [] });
  });

  test("is that of the record as reading gives it, large integers included", async () => {
    const { service } = await target(
      "CREATE TABLE t (id TEXT PRIMARY KEY, v); INSERT INTO t VALUES ('a', 1), ('b', 9007199254740993)",
    );
    const { records } = await readAll(service);
    const refs = records.map((record) => ({ ref: { id: record.id, expected: recordDigest(record) } }));
    expect(await remove(service, refs)).toMatchObject({ deleted: 2 });
  });
});

describe("rows that cannot be deleted", () => {
  const children = `CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t ${numbers(3000)} i, i FROM n;
    CREATE TABLE child (id INTEGER PRIMARY KEY, parent REFERENCES t (id)); INSERT INTO child VALUES (1, 5), (2, 2000);`;

  test.for(["on", "deferred"])(
    "a foreign key that refers to one is its failure, the others are deleted: %s",
    async (foreignKeys) => {
      const sql = foreignKeys === "on" ? children : children.replaceAll("3000", "20").replace("2000", "9");
      const { file, service } = await target(sql, { foreignKeys });
      const count = foreignKeys === "on" ? 3000 : 20;
      const second = foreignKeys === "on" ? 2000 : 9;
      const result = await remove(service, [...Array.from({ length: count }, (_, i) => i + 1), 5]);
      expect(result).toMatchObject({ deleted: count - 2, absent: 0, changed: [] });
      expect(result.failures.map(({ index, id, error }) => [index, id, error.code])).toEqual([
        [4, 5, "WRITE_FAILED"],
        [second - 1, second, "WRITE_FAILED"],
        [count, 5, "WRITE_FAILED"],
      ]);
      expect(result.failures[0]!.error.message).toMatch(/foreignKeys/);
      expect(query(file, "SELECT id FROM t")).toEqual([{ id: 5 }, { id: second }]);
    },
  );

  test("a key that is deferred by its table", async () => {
    const sql = `${children.replaceAll("3000", "20").replace("2000", "9").replace("REFERENCES t (id)", "REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED")}`;
    const { file, service } = await target(sql);
    const result = await remove(service, [4, 5, 6, 4]);
    expect(result).toMatchObject({ deleted: 2, absent: 1, failures: [{ index: 1 }] });
    expect(query(file, "SELECT count(*) AS n FROM t")).toEqual([{ n: 18 }]);
  });

  test("an abort is heard while each is tried alone", async () => {
    const { file, service } = await target(children, { foreignKeys: "deferred" });
    const controller = new AbortController();
    const refs = Array.from({ length: 3000 }, (_, i) => ({ id: i + 1 }));
    const removing = service.deleteFromTarget!(refs, { signal: controller.signal });
    setTimeout(() => controller.abort(new Error("called off")), 30);
    expect(await rejection(removing)).toMatchObject({ message: "called off" });
    expect(query(file, "SELECT id FROM t WHERE id IN (5, 3000)")).toHaveLength(2);
  });

  test("rows that refer to each other go, in whichever order they are named", async () => {
    const chain = `CREATE TABLE t (id INTEGER PRIMARY KEY, up REFERENCES t (id)); INSERT INTO t ${numbers(3000)} i, nullif(i - 1, 0) FROM n;
      CREATE TABLE child (parent REFERENCES t (id)); INSERT INTO child VALUES (1);`;
    for (const turned of [false, true]) {
      const { service } = await target(chain);
      const ids = Array.from({ length: 3000 }, (_, i) => i + 1);
      const result = await remove(service, turned ? ids.reverse() : ids);
      expect(result).toMatchObject({ deleted: 2999, failures: [{ id: 1 }] });
    }
  });

  test("cascades count as deleted", async () => {
    const { file, service } = await target(
      "CREATE TABLE t (id INTEGER PRIMARY KEY, up REFERENCES t (id) ON DELETE CASCADE); INSERT INTO t VALUES (1, NULL), (2, 1), (3, 2), (4, NULL)",
    );
    expect(await remove(service, [1, 2, 3, 9])).toMatchObject({ deleted: 3, absent: 1, failures: [] });
    expect(query(file, "SELECT id FROM t")).toEqual([{ id: 4 }]);
  });

  test.for([
    ["ABORT", "BEFORE", "RAISE(ABORT, 'no')"],
    ["FAIL", "AFTER", "RAISE(FAIL, 'no')"],
    ["ROLLBACK", "AFTER", "RAISE(ROLLBACK, 'no')"],
    ["IGNORE", "BEFORE", "RAISE(IGNORE)"],
  ])("a trigger that refuses: %s", async ([, when, raise]) => {
    const { file, service } = await target(
      `CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t ${numbers(10)} i, i FROM n; CREATE TABLE log (id);
       CREATE TRIGGER g ${when} DELETE ON t BEGIN INSERT INTO log VALUES (old.id); SELECT ${raise} WHERE old.id = 3; END;`,
    );
    const result = await remove(service, [1, 2, 3, 4, 99]);
    expect(result).toMatchObject({
      deleted: 3,
      absent: 1,
      failures: [{ index: 2, id: 3, error: { code: "WRITE_FAILED" } }],
    });
    expect(query(file, "SELECT id FROM t")).toHaveLength(7);
    if (when === "AFTER") expect(query(file, "SELECT id FROM log")).toEqual([{ id: 1 }, { id: 2 }, { id: 4 }]);
  });

  test("a trigger that puts a row back, and one of another table that refuses", async () => {
    const { service } = await target(
      `CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 1), (2, 2);
       CREATE TRIGGER g AFTER DELETE ON t WHEN old.id = 1 BEGIN INSERT INTO t VALUES (old.id, 'back'); END;`,
    );
    expect(await remove(service, [1, 2])).toMatchObject({ deleted: 1, failures: [{ index: 0 }] });
    const other = await target(
      `CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 1), (2, 2), (3, 3);
       CREATE TABLE c (p REFERENCES t (id) ON DELETE CASCADE); INSERT INTO c VALUES (1), (2);
       CREATE TRIGGER g AFTER DELETE ON c WHEN old.p = 2 BEGIN SELECT RAISE(FAIL, 'no'); END;`,
    );
    expect(await remove(other.service, [1, 2, 3])).toMatchObject({ deleted: 2, failures: [{ index: 1 }] });
    expect(query(other.file, "SELECT p FROM c")).toEqual([{ p: 2 }]);
  });
});

describe("what is refused as a whole", () => {
  test("tables without a key, views, sources", async () => {
    const sql =
      "CREATE TABLE t (v); INSERT INTO t VALUES (1); CREATE TABLE k (id PRIMARY KEY); INSERT INTO k VALUES (1); CREATE VIEW w AS SELECT * FROM k";
    const { file, service } = await target(sql);
    expect(service.capabilities.deletes).toBe(false);
    expect(await rejection(remove(service, [1]))).toMatchObject({
      code: "TARGET_NOT_WRITABLE",
      message: expect.stringMatching(/PRIMARY KEY/),
    });
    const view = await open(at(file, { table: "w", key: "id" }), "target");
    expect(view.capabilities.deletes).toBe(false);
    expect(await rejection(remove(view, [1]))).toMatchObject({ code: "TARGET_NOT_WRITABLE" });
    const source = await open(at(file, { table: "k" }), "source");
    expect(await rejection(remove(source, [1]))).toMatchObject({ code: "TARGET_NOT_WRITABLE" });
    const keyed = await open(at(file, { table: "k" }), "target");
    expect(keyed.capabilities).toMatchObject({ deletes: true, lookUp: true, changes: true });
    expect(query(file, "SELECT (SELECT count(*) FROM t) + (SELECT count(*) FROM k) AS n")).toEqual([{ n: 2 }]);
  });

  test("an abort before the commit takes all back", async () => {
    const { file, service } = await target(
      `CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t ${numbers(200_000)} i FROM n`,
    );
    const controller = new AbortController();
    const refs = Array.from({ length: 200_000 }, (_, i) => ({ id: i + 1 }));
    const removing = service.deleteFromTarget!(refs, { signal: controller.signal });
    setTimeout(() => controller.abort(new Error("called off")), 30);
    expect(await rejection(removing)).toMatchObject({ message: "called off" });
    expect(query(file, "SELECT count(*) AS n FROM t")).toEqual([{ n: 200_000 }]);
    expect(await remove(service, [1])).toMatchObject({ deleted: 1 });
  });

  test("a look-up does not see what is taken back", async () => {
    const { service } = await target(
      `CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t ${numbers(100_000)} i FROM n`,
    );
    const controller = new AbortController();
    const refs = Array.from({ length: 100_000 }, (_, i) => ({ id: i + 1 }));
    const removing = service.deleteFromTarget!(refs, { signal: controller.signal });
    await new Promise((resolve) => setTimeout(resolve, 30));
    const looking = service.lookUp!([{ id: 1 }], {}, { signal: calm() });
    controller.abort(new Error("called off"));
    expect(await rejection(removing)).toMatchObject({ message: "called off" });
    expect(await looking).toEqual([{ state: "wanted", record: { id: 1 } }]);
  });

  test("a lock that does not go away", async () => {
    const { file } = await target("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
    const service = await open(at(file, { table: "t" }), "target", 200);
    const other = new Database(file);
    other.exec("BEGIN IMMEDIATE");
    expect(await rejection(remove(service, [1]))).toMatchObject({ code: "BUSY", retryable: true });
    other.exec("ROLLBACK");
    other.close();
    expect(await remove(service, [1])).toMatchObject({ deleted: 1 });
  });
});
