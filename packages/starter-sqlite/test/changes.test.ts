import { copyFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { type ChangeFeed, type JsonValue, type P2PId, parseEndpoint } from "@omni/p2p-core/starter";
import Database from "better-sqlite3";
import { afterEach, describe, expect, test } from "vitest";
import { sqliteStarter } from "../src/index.ts";
import { at, calm, cleanUp, databaseWith, open, query, rejection, write } from "./support.ts";

const control = sqliteStarter.changes!;
const context = () => ({ role: "source" as const, signal: calm(), connectTimeoutMs: 2000 });
const enable = (file: string, metadata: Record<string, unknown> = {}) =>
  control.enable(parseEndpoint(at(file, metadata)), context());
const disable = (file: string, metadata: Record<string, unknown> = {}, follower?: string) =>
  control.disable(parseEndpoint(at(file, metadata)), context(), follower);
const status = (file: string, metadata: Record<string, unknown> = {}) =>
  control.status(parseEndpoint(at(file, metadata)), context());

const stops: AbortController[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop.abort();
});

/** What a feed tells after a position until it has nothing more to tell. */
async function told(feed: ChangeFeed, after: JsonValue, follower = "f") {
  const stop = new AbortController();
  stops.push(stop);
  const ids: P2PId[] = [];
  let cursor = after;
  let committedAt: Date | undefined;
  for await (const batch of feed.read({ follower, after, maxWaitMs: 60, signal: stop.signal })) {
    cursor = JSON.parse(JSON.stringify(batch.cursor)) as JsonValue;
    if (batch.refs.length === 0) break;
    ids.push(...batch.refs.map(({ id }) => id));
    committedAt = batch.committedAt ?? committedAt;
  }
  return { ids, cursor, committedAt };
}

/** A table that is followed, and a program that writes it. */
async function followed(sql: string, metadata: Record<string, unknown> = { table: "t" }, pragmas = "") {
  const file = databaseWith(`PRAGMA journal_mode = wal; ${sql}`);
  await enable(file, metadata);
  const app = new Database(file);
  cleanUp(() => void app.close());
  if (pragmas !== "") app.exec(pragmas);
  const service = await open(at(file, metadata), "source");
  const feed = service.changes!;
  const start = await feed.now("f", calm());
  /** The ids that are told of what the program does. */
  const after = async (change: string) => {
    const from = await feed.now("other", calm());
    app.exec(change);
    const { ids } = await told(feed, from);
    return [...new Set(ids)].sort();
  };
  return { file, app, feed, service, start, after };
}

describe("the ids that are told", () => {
  test("are those of inserts, updates and deletes, in the form in which reading gives them", async () => {
    const { app, feed, start } = await followed(
      "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a')",
    );
    expect((await told(feed, start)).ids).toEqual([]);
    const before = Date.now();
    app.exec("INSERT INTO t VALUES (2, 'b'); UPDATE t SET v = 'c' WHERE id = 1; DELETE FROM t WHERE id = 2");
    const { ids, cursor, committedAt } = await told(feed, start);
    expect(ids).toEqual([2, 1, 2]);
    expect(Math.abs(committedAt!.getTime() - before)).toBeLessThan(2000);
    expect((await told(feed, cursor)).ids).toEqual([]);
    app.exec("INSERT INTO t VALUES (9007199254740993, 'large')");
    expect((await told(feed, cursor)).ids).toEqual([9007199254740993n]);
  });

  test.each([
    ["texts", "CREATE TABLE t (id TEXT PRIMARY KEY)", "INSERT INTO t VALUES ('1'), ('雪')", ["1", "雪"]],
    ["no type", "CREATE TABLE t (id PRIMARY KEY)", "INSERT INTO t VALUES ('1'), (2), (2.5)", ["1", 2, 2.5]],
    ["a real number", "CREATE TABLE t (id REAL PRIMARY KEY)", "INSERT INTO t VALUES (3)", [3]],
    [
      "composite keys",
      "CREATE TABLE t (a, b, PRIMARY KEY (a, b))",
      "INSERT INTO t VALUES ('x', 1), ('x', '1')",
      ['["x","1"]', '["x",1]'],
    ],
    [
      "WITHOUT ROWID",
      "CREATE TABLE t (id TEXT PRIMARY KEY, v) WITHOUT ROWID",
      "INSERT INTO t VALUES ('a', 1); UPDATE t SET v = 2",
      ["a"],
    ],
    ["STRICT", "CREATE TABLE t (id INT PRIMARY KEY, v ANY) STRICT", "INSERT INTO t VALUES (7, 1); DELETE FROM t", [7]],
    [
      "a generated key",
      "CREATE TABLE t (v INT, id INT AS (v * 2) STORED UNIQUE)",
      "INSERT INTO t (v) VALUES (1); UPDATE t SET v = 2",
      [2, 4],
    ],
    [
      "odd names",
      'CREATE TABLE "t" ("k ""ey" TEXT PRIMARY KEY, "new" INT UNIQUE)',
      `INSERT INTO t VALUES ('a', 1)`,
      ["a"],
    ],
    [
      "NULL in a key",
      "CREATE TABLE t (id TEXT PRIMARY KEY)",
      "INSERT INTO t VALUES (NULL); UPDATE t SET id = 'a'",
      ["a"],
    ],
    ["dates and booleans", "CREATE TABLE t (id BOOLEAN PRIMARY KEY)", "INSERT INTO t VALUES (1)", [true]],
  ])("with %s", async (_, sql, change, expected) => {
    const { after } = await followed(sql);
    expect(await after(change)).toEqual(expected);
  });

  test("name both keys of a row whose key changes, in the case of letters too", async () => {
    const { after } = await followed("CREATE TABLE t (id TEXT PRIMARY KEY COLLATE NOCASE); INSERT INTO t VALUES ('a')");
    expect(await after("UPDATE t SET id = 'b'")).toEqual(["a", "b"]);
    expect(await after("UPDATE t SET id = 'B'")).toEqual(["B", "b"]);
    expect(await after("INSERT OR REPLACE INTO t VALUES ('b')")).toEqual(["B", "b"]);
  });

  test("are those of tables of our own, with ids of every kind", async () => {
    for (const first of [1, "a", 5n]) {
      const file = databaseWith("");
      const target = await open(at(file, { table: "t" }), "target");
      await write(target, [{ id: first, v: 1 }]);
      await enable(file, { table: "t" });
      const start = await target.changes!.now("f", calm());
      const ids = ["hashed", 1.5, 2, 3n, "4"];
      await write(
        target,
        ids.map((id) => ({ id, v: "x" })),
      );
      const { ids: inserted, cursor } = await told(target.changes!, start);
      expect(inserted).toEqual(ids);
      await target.deleteFromTarget!(
        ids.map((id) => ({ id })),
        { signal: calm() },
      );
      expect((await told(target.changes!, cursor)).ids.map(String).sort()).toEqual(ids.map(String).sort());
      expect((await target.lookUp!([{ id: inserted[0]! }], {}, { signal: calm() }))[0]!.state).toBe("absent");
    }
  });

  test("are none of a transaction or a savepoint that was rolled back", async () => {
    const { after } = await followed("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    const change =
      "BEGIN; INSERT INTO t VALUES (1); ROLLBACK; BEGIN; INSERT INTO t VALUES (2); SAVEPOINT s; INSERT INTO t VALUES (3); ROLLBACK TO s; COMMIT";
    expect(await after(change)).toEqual([2]);
  });

  test("are those of DELETE without a condition, of UPSERT, and of cascades", async () => {
    const { after } = await followed(
      "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE t (id INTEGER PRIMARY KEY, p REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE); " +
        "INSERT INTO p VALUES (1), (2); INSERT INTO t VALUES (10, 1), (11, 1), (12, 2)",
      { table: "t" },
      "PRAGMA foreign_keys = ON",
    );
    expect(await after("DELETE FROM p WHERE id = 1")).toEqual([10, 11]);
    expect(await after("UPDATE p SET id = 3")).toEqual([12]);
    expect(await after("INSERT INTO t VALUES (12, 3) ON CONFLICT DO UPDATE SET p = 3")).toEqual([12]);
    expect(await after("DELETE FROM t")).toEqual([12]);
  });

  test.each(["ON", "OFF"])("are those of rows that REPLACE deletes, with recursive_triggers %s", async (recursive) => {
    const { after, app } = await followed(
      "CREATE TABLE t (id TEXT PRIMARY KEY, u INT UNIQUE, n TEXT NOT NULL DEFAULT 'd' UNIQUE, a INT, b INT, e TEXT, g INT AS (a + 1) UNIQUE); " +
        "CREATE UNIQUE INDEX ab ON t (a, b COLLATE NOCASE DESC); CREATE UNIQUE INDEX ex ON t (lower(e) COLLATE NOCASE, /* , */ id || '(') WHERE e > 'a' AND e <> ';'; CREATE UNIQUE INDEX part ON t (e) WHERE b = 99;" +
        "INSERT INTO t VALUES ('a', 1, 'na', 1, 1, 'e1'), ('b', 2, 'nb', 2, 2, 'e2'), ('c', 3, 'd', 3, 99, 'e3')",
      { table: "t" },
      `PRAGMA recursive_triggers = ${recursive}`,
    );
    expect(await after("INSERT OR REPLACE INTO t VALUES ('x', 1, 'nx', 10, 1, 'x')")).toEqual(["a", "x"]);
    expect(await after("REPLACE INTO t (id, u, n) VALUES ('y', 30, NULL)")).toEqual(["c", "y"]);
    expect(await after("UPDATE OR REPLACE t SET u = 2 WHERE id = 'x'")).toEqual(["b", "x"]);
    expect(await after("INSERT OR REPLACE INTO t (id, n, a) VALUES ('z', 'nz', 10)")).toEqual(["x", "z"]);
    expect(
      await after("INSERT OR REPLACE INTO t (rowid, id, n) SELECT rowid, 'w', 'nw' FROM t WHERE id = 'z'"),
    ).toEqual(["w", "z"]);
    app.exec("INSERT INTO t (id, n, b, e) VALUES ('p', 'np', 99, 'same'), ('q', 'nq', 98, 'same')");
    expect(await after("INSERT OR REPLACE INTO t (id, n, b, e) VALUES ('r', 'nr', 99, 'same')")).toEqual(["p", "r"]);
    expect(await after("UPDATE OR REPLACE t SET b = 99 WHERE id = 'q'")).toEqual(["q", "r"]);
    expect(await after("UPDATE t SET u = 77 WHERE id = 'w'")).toEqual(["w"]);
  });

  test("are those of an index on expressions", async () => {
    const { after } = await followed(
      "CREATE TABLE t (id INTEGER PRIMARY KEY, mail TEXT); CREATE UNIQUE INDEX i ON t (lower(mail) -- by letters\n, substr(mail, 1, 2)); INSERT INTO t VALUES (1, 'A@b')",
    );
    expect(await after("INSERT OR REPLACE INTO t VALUES (2, 'A@B')")).toEqual([1, 2]);
  });

  test("come from a program that has the file attached, in a rollback journal, and when a lock is over", async () => {
    const file = databaseWith("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    await enable(file);
    const other = new Database(":memory:");
    other.exec(`ATTACH '${file}' AS a; CREATE TABLE t (id); INSERT INTO a.t VALUES (5); INSERT INTO t VALUES (6)`);
    other.close();
    const { ids } = await told((await open(at(file, { table: "t" }), "source")).changes!, await startOf(file));
    expect(ids).toEqual([5]);
    const writer = new Database(file);
    const reading = told((await open(at(file, { table: "t" }), "source")).changes!, await startOf(file));
    writer.exec("BEGIN EXCLUSIVE; INSERT INTO t VALUES (7)");
    await new Promise((resolve) => setTimeout(resolve, 100));
    writer.exec("COMMIT");
    writer.close();
    expect((await reading).ids.at(-1)).toBe(7);
  });
});

/** A position from before everything that a journal holds. */
async function startOf(file: string): Promise<JsonValue> {
  const [row] = query(
    file,
    'SELECT r.epoch, j.seq, j."at" FROM p2p_changes AS r, p2p_changes_1 AS j ORDER BY seq LIMIT 1',
  );
  return row as JsonValue;
}

describe("what a journal keeps", () => {
  test("is what some follower has not settled; the newest row stays, so that numbers never begin anew", async () => {
    const { file, app, feed, start } = await followed("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    await feed.now("slow", calm());
    app.exec("INSERT INTO t SELECT value FROM json_each('[1,2,3,4,5]')");
    const { cursor } = await told(feed, start);
    await feed.acknowledge!("f", cursor, calm());
    const held = async () => (await status(file, { table: "t" })).kept.map((one) => [one.follower, one.heldChanges]);
    expect(await held()).toEqual([
      ["slow", 5],
      ["f", 0],
    ]);
    await feed.release!("slow", calm());
    await feed.acknowledge!("f", cursor, calm());
    app.exec("INSERT INTO t VALUES (6); DELETE FROM sqlite_sequence");
    const next = await told(feed, cursor);
    expect(next.ids).toEqual([6]);
    await feed.acknowledge!("f", next.cursor, calm());
    expect(query(file, "SELECT count(*) AS n FROM p2p_changes_1")).toEqual([{ n: 1 }]);
    app.exec("DELETE FROM sqlite_sequence; INSERT INTO t VALUES (7)");
    expect((await told(feed, next.cursor)).ids).toEqual([7]);
    expect((await disable(file, { table: "t" }, "f")).kept).toEqual([]);
  });

  test("has a limit: a follower that comes too late is told that changes are lost, and begins anew", async () => {
    const { file, app, feed, start } = await followed("CREATE TABLE t (id INTEGER PRIMARY KEY)", {
      table: "t",
      journalLimit: 20,
    });
    app.exec(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) INSERT INTO t SELECT i FROM n",
    );
    expect(query(file, "SELECT count(*) <= 22 AS few FROM p2p_changes_1")).toEqual([{ few: 1 }]);
    expect(await rejection(told(feed, start))).toMatchObject({ code: "CHANGES_LOST" });
    expect((await status(file, { table: "t" })).kept[0]).toMatchObject({
      follower: "f",
      trouble: expect.stringContaining("mirror"),
    });
    const again = await feed.now("f", calm());
    app.exec("DELETE FROM t WHERE id = 1");
    expect((await told(feed, again)).ids).toEqual([1]);
    expect((await status(file, { table: "t" })).kept[0]).not.toHaveProperty("trouble");
    // Another limit is written without losing anything.
    await enable(file, { table: "t", journalLimit: 50 });
    expect((await told(feed, again)).ids).toEqual([1]);
  });

  test("position and empty batches come while nothing happens, and the signal ends it", async () => {
    const { feed, start } = await followed("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    const stop = new AbortController();
    const batches = feed.read({ follower: "f", after: start, maxWaitMs: 20, signal: stop.signal });
    for await (const batch of batches) {
      expect(batch).toEqual({ refs: [], cursor: start });
      break;
    }
    const reading = told(feed, start);
    stops.at(-1)!.abort(new Error("enough"));
    expect((await rejection(reading)).message).toBe("enough");
  });
});

describe("what makes a feed deaf is never silent", () => {
  const lost = { code: "CHANGES_LOST" };
  const rebuilds = {
    "create, copy, drop, rename":
      "BEGIN; CREATE TABLE n (id INTEGER PRIMARY KEY, v); INSERT INTO n SELECT id, v FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t; COMMIT",
    "rename, create, copy, drop":
      "ALTER TABLE t RENAME TO o; CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t SELECT id, v FROM o; DROP TABLE o",
    "rename, create, and the old one kept": "ALTER TABLE t RENAME TO o; CREATE TABLE t (id INTEGER PRIMARY KEY, v)",
    "a column with a default": "ALTER TABLE t ADD COLUMN w DEFAULT 5",
    "a column renamed": "ALTER TABLE t RENAME COLUMN v TO w",
    "the key renamed": "ALTER TABLE t RENAME COLUMN id TO no",
    "a new unique index": "CREATE UNIQUE INDEX i ON t (v)",
    "a trigger dropped": "DROP TRIGGER p2p_changes_1_delete",
    "the journal emptied": "DELETE FROM p2p_changes_1",
    "the followers dropped": "DROP TABLE p2p_followers",
    "the journal and its triggers dropped":
      "DROP TRIGGER p2p_changes_1_insert; DROP TRIGGER p2p_changes_1_update; DROP TRIGGER p2p_changes_1_delete; DROP TABLE p2p_changes_1",
  };

  test.each(Object.entries(rebuilds))("%s", async (_, change) => {
    const { file, app, feed, start } = await followed(
      "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 1)",
    );
    app.exec(change);
    expect(await rejection(told(feed, start))).toMatchObject(lost);
    expect(await status(file, { table: "t" })).toMatchObject({
      state: "off",
      detail: expect.stringContaining("changes enable"),
    });
    // A follow puts it in order by itself.
    const again = await feed.now("f", calm());
    app.exec(`INSERT INTO t SELECT 2, 2${change.includes("ADD COLUMN") ? ", 2" : ""}`);
    expect((await told(feed, again)).ids).toEqual([2]);
    expect(await rejection(told(feed, start))).toMatchObject(lost);
    expect(await status(file, { table: "t" })).toMatchObject({ state: "on" });
  });

  test("while it is read, too; VACUUM and other tables do no harm", async () => {
    const { app, feed, start } = await followed("CREATE TABLE t (id INTEGER PRIMARY KEY, v); CREATE TABLE u (id)");
    const reading = told(feed, start);
    app.exec("VACUUM; DROP TABLE u; CREATE INDEX i ON t (v); ANALYZE");
    expect((await reading).ids).toEqual([]);
    const stop = new AbortController();
    stops.push(stop);
    const batches = feed.read({ follower: "f", after: start, maxWaitMs: 10, signal: stop.signal });
    await batches[Symbol.asyncIterator]().next();
    app.exec("ALTER TABLE t ADD COLUMN w");
    await expect(async () => {
      for await (const { refs } of batches) expect(refs).toEqual([]);
    }).rejects.toMatchObject(lost);
  });

  test("a table that is dropped or renamed, a file that is replaced or deleted", async () => {
    const renamed = await followed("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    renamed.app.exec("ALTER TABLE t RENAME TO o");
    const dropped = await followed("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    dropped.app.exec("DROP TABLE t");
    const errors = await Promise.all([rejectionOf(renamed), rejectionOf(dropped)]);
    expect(errors.map(({ code }) => code)).toEqual(["SOURCE_NOT_FOUND", "SOURCE_NOT_FOUND"]);
    // What it has left behind can be taken away.
    expect(await disable(dropped.file, { table: "t" })).toMatchObject({ state: "unavailable" });
    expect(query(dropped.file, "SELECT name FROM sqlite_schema WHERE name LIKE 'p2p%'")).toEqual([]);

    const replaced = await followed("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    renameSync(databaseWith("CREATE TABLE t (id INTEGER PRIMARY KEY)"), replaced.file);
    expect((await rejectionOf(replaced)).code).toBe("STORE_CHANGED");
    expect((await rejection(replaced.feed.now("f", calm()))).code).toBe("STORE_CHANGED");
    rmSync(replaced.file);
    expect((await rejectionOf(replaced)).code).toBe("SOURCE_NOT_FOUND");

    async function rejectionOf({ feed, start }: { feed: ChangeFeed; start: JsonValue }) {
      const read = async () => {
        for await (const { refs } of feed.read({ follower: "f", after: start, maxWaitMs: 50, signal: calm() }))
          expect(refs).toEqual([]);
      };
      return rejection(read());
    }
  });

  test("a backup that is restored in place", async () => {
    const { file, app, feed, service, start } = await followed("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    app.exec("INSERT INTO t VALUES (1)");
    const { cursor: early } = await told(feed, start);
    app.pragma("wal_checkpoint(TRUNCATE)");
    const backup = join(dirname(file), "backup.db");
    copyFileSync(file, backup);
    app.exec("INSERT INTO t VALUES (2)");
    const { cursor } = await told(feed, early);
    await service.close();
    app.close();
    copyFileSync(backup, file);
    const back = (await open(at(file, { table: "t" }), "source")).changes!;
    expect(await rejection(told(back, cursor))).toMatchObject(lost);
    await new Promise((resolve) => setTimeout(resolve, 3));
    const later = new Database(file);
    later.exec("INSERT INTO t VALUES (3), (4)");
    later.close();
    expect(await rejection(told(back, cursor))).toMatchObject(lost);
    expect((await told(back, early)).ids).toEqual([3, 4]);
  });

  test("a position of another store, or none at all", async () => {
    const { feed } = await followed("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    for (const position of [null, 5, "x", {}, { epoch: "x", seq: 1, at: 1 }]) {
      expect(await rejection(told(feed, position))).toMatchObject(lost);
    }
  });
});

describe("changes enable and disable", () => {
  test("leave no trace of their own, and touch nothing of the user's", async () => {
    const sql =
      "CREATE TABLE t (id INTEGER PRIMARY KEY, v); CREATE TABLE u (id TEXT PRIMARY KEY); CREATE TRIGGER mine AFTER INSERT ON t BEGIN SELECT 1; END; CREATE TABLE p2p_changes_x (id)";
    const file = databaseWith(sql);
    const schema = () =>
      query(file, "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name");
    const before = schema();
    expect(await status(file, { table: "t" })).toMatchObject({
      state: "off",
      detail: expect.stringContaining("omni-p2p changes enable 'sqlite:"),
    });
    expect(await enable(file, { table: "t" })).toMatchObject({ state: "on", kept: [] });
    const made = schema();
    expect(await enable(file, { table: "T" })).toMatchObject({ state: "on" });
    expect(schema()).toEqual(made);
    await enable(file, { table: "u" });
    expect(await disable(file, { table: "u" })).toMatchObject({ state: "off" });
    expect(schema()).toEqual(made);
    await disable(file, { table: "t" });
    expect(schema()).toEqual(before);
    expect(await disable(file, { table: "t" })).toMatchObject({ state: "off" });
  });

  test("the journal is no store: it is neither listed nor read nor written", async () => {
    const file = databaseWith("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    await enable(file);
    const { collections } = await sqliteStarter.inspect!(parseEndpoint(at(file)), context());
    expect(collections.map(({ name }) => name)).toEqual(["t"]);
    expect((await open(at(file), "source")).capabilities.changes).toBe(true);
    for (const role of ["source", "target"] as const) {
      for (const table of ["p2p_changes", "P2P_FOLLOWERS", "p2p_changes_1"])
        expect((await rejection(open(at(file, { table }), role))).code).toBe("INVALID_ENDPOINT");
    }
  });

  test.each([
    ["a view", "CREATE TABLE x (id INTEGER PRIMARY KEY); CREATE VIEW t AS SELECT * FROM x", { key: "id" }, "view"],
    ["a virtual table", "CREATE VIRTUAL TABLE t USING fts5(a)", {}, "virtual table"],
    ["a table without a key", "CREATE TABLE t (a)", {}, "PRIMARY KEY"],
    [
      "names that are taken",
      "CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE VIEW p2p_changes AS SELECT 1",
      {},
      "rename it",
    ],
    [
      "another name that is taken",
      "CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE TABLE P2P_changes_1 (a)",
      {},
      "rename it",
    ],
  ])("cannot be had for %s, and say why", async (_, sql, metadata, why) => {
    const file = databaseWith(sql);
    const before = query(file, "SELECT * FROM sqlite_schema");
    const error = await rejection(enable(file, { table: "t", ...metadata }));
    expect(error).toMatchObject({ code: "CHANGES_UNAVAILABLE", message: expect.stringContaining(why) });
    expect(query(file, "SELECT * FROM sqlite_schema")).toEqual(before);
    const feed = (await open(at(file, { table: "t", ...metadata }), "source")).changes!;
    expect(await rejection(feed.now("f", calm()))).toMatchObject({ code: "CHANGES_UNAVAILABLE" });
  });

  test("a feed that is off, or was turned off, names the command", async () => {
    const file = databaseWith("CREATE TABLE t (id INTEGER PRIMARY KEY, k INT NOT NULL UNIQUE)");
    const feed = (await open(at(file, { table: "t" }), "source")).changes!;
    const unavailable = {
      code: "CHANGES_UNAVAILABLE",
      message: expect.stringContaining("omni-p2p changes enable 'sqlite:"),
    };
    expect(await rejection(feed.now("f", calm()))).toMatchObject(unavailable);
    await enable(file, { table: "t" });
    const start = await feed.now("f", calm());
    await disable(file, { table: "t" });
    expect(await rejection(told(feed, start))).toMatchObject(unavailable);
    // Another key is another journal.
    await enable(file, { table: "t", key: "k" });
    expect(await rejection(feed.now("f", calm()))).toMatchObject(unavailable);
    const byKey = (await open(at(file, { table: "t", key: "k" }), "source")).changes!;
    const from = await byKey.now("f", calm());
    const app = new Database(file);
    app.exec("INSERT INTO t VALUES (1, 10); INSERT OR REPLACE INTO t VALUES (1, 11)");
    app.close();
    expect(new Set((await told(byKey, from)).ids)).toEqual(new Set([10, 11]));
  });

  test("a missing file is not made", async () => {
    const file = databaseWith("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    rmSync(file);
    expect((await rejection(enable(file, { table: "t" }))).code).toBe("SOURCE_NOT_FOUND");
    expect((await rejection(disable(file, { table: "t" }))).code).toBe("SOURCE_NOT_FOUND");
  });
});
