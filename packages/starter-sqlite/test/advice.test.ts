import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { sqliteStarter } from "../src/index.ts";
import { at, cleanUp, databaseWith, open, query, readAll, rejection, temporaryFolder, write } from "./support.ts";

function newManager() {
  const manager = new DefaultP2PConnectionManager();
  manager.registerService("sqlite", sqliteStarter);
  cleanUp(() => manager.close());
  return manager;
}

describe.each(["source", "target"] as const)("a locked %s", (locked) => {
  test.each([300, 1000])(
    "says BUSY and what to do within a connection_timeout of %i ms, not that it gives no answer",
    async (connection_timeout) => {
      const free = databaseWith("CREATE TABLE t (id INTEGER PRIMARY KEY)");
      const held = databaseWith("CREATE TABLE t (id INTEGER PRIMARY KEY)");
      const db = new Database(held);
      cleanUp(() => void db.close());
      db.exec("BEGIN EXCLUSIVE");
      const [source, target] = locked === "source" ? [held, free] : [free, held];
      const error = await rejection(
        newManager().establish(at(source, { table: "t" }), at(target), { connection_timeout }),
      );
      expect(error).toMatchObject({ code: "BUSY", retryable: true });
      expect(error.message).toContain("is locked by another process");
      expect(error.message).toContain("connection_timeout");
    },
  );
});

test("a file that cannot be read in its folder says why, by its cause", (context) => {
  if (process.getuid?.() !== 0) {
    console.log("sqlite: not run: reading without the right to write (only root can begin a process without it)");
    return context.skip();
  }
  const folder = temporaryFolder();
  chmodSync(folder, 0o755);
  const original = join(folder, "original.db");
  const db = new Database(original);
  db.pragma("journal_mode = wal");
  db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY)");
  const place = (name: string, files: readonly [from: string, to: string][]) => {
    mkdirSync(join(folder, name));
    for (const [from, to] of files) copyFileSync(from, join(folder, name, to));
    chmodSync(join(folder, name), 0o555);
    return join(folder, name, "a.db");
  };
  const killed = place("killed", [
    [original, "a.db"],
    [`${original}-wal`, "a.db-wal"],
  ]);
  db.close();
  const clean = place("clean", [[original, "a.db"]]);
  const rolled = join(folder, "rolled.db");
  const hot = new Database(rolled);
  hot.exec("CREATE TABLE t (id); PRAGMA cache_size = 1; BEGIN");
  for (let i = 0; i < 2000; i++) hot.prepare("INSERT INTO t VALUES (?)").run("x".repeat(1000));
  const journal = place("journal", [
    [rolled, "a.db"],
    [`${rolled}-journal`, "a.db-journal"],
  ]);
  hot.close();
  const script = join(folder, "open.ts");
  writeFileSync(
    script,
    `import { parseEndpoint } from ${JSON.stringify(import.meta.resolve("@omni/p2p-core"))};
    import { sqliteStarter } from ${JSON.stringify(new URL("../src/index.ts", import.meta.url).href)};
    const context = { role: "source", signal: new AbortController().signal, connectTimeoutMs: 1000 };
    for (const file of process.argv.slice(2)) {
      const error = await sqliteStarter.open(parseEndpoint("sqlite:" + file), context).catch((thrown) => thrown);
      console.log(JSON.stringify([error.code, error.message]));
    }`,
  );
  const { stdout, stderr } = spawnSync(process.execPath, [script, killed, clean, journal], {
    uid: 65534,
    gid: 65534,
    encoding: "utf8",
  });
  const said = stdout.trim().split("\n");
  expect(said, stderr).toHaveLength(3);
  const [one, two, three] = said.map((line) => JSON.parse(line) as [string, string]);
  for (const [code, message] of [one!, two!]) {
    expect(code).toBe("CONNECTION_FAILED");
    expect(message).toContain("WAL mode");
    expect(message).toContain("journal_mode = delete");
    expect(message).not.toContain("was killed");
  }
  expect(three![0]).toBe("CONNECTION_FAILED");
  expect(three![1]).toContain("was killed and left a journal");
});

describe("foreign keys", () => {
  const SQL = `CREATE TABLE parents (id INTEGER PRIMARY KEY);
    CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parents, next INTEGER REFERENCES children);`;

  test("that lead nowhere name the option, and the rest is written", async () => {
    const target = await open(at(databaseWith(SQL), { table: "children" }), "target");
    const { written, failures } = await write(target, [
      { id: 1, parent: 9 },
      { id: 2, parent: null },
    ]);
    expect(written).toBe(1);
    expect(failures[0]).toMatchObject({ index: 0, error: { code: "WRITE_FAILED" } });
    expect(failures[0]!.error.message).toContain("foreignKeys");
  });

  test("can be checked at the end of a batch, whose records may then come in any order", async () => {
    const file = databaseWith(SQL);
    const records = [
      { id: 1, next: 2 },
      { id: 2, next: 3 },
      { id: 3, next: null },
    ];
    const target = await open(at(file, { table: "children", foreignKeys: "deferred" }), "target");
    expect(await write(target, records)).toMatchObject({ written: 3, failures: [] });
    const second = [
      { id: 4, next: 5 },
      { id: 5, next: 6 },
      { id: 6, next: null },
      { id: 7, parent: 9 },
    ];
    const { written, failures } = await write(target, second);
    expect(written).toBe(3);
    expect(failures.map(({ index, error }) => [index, error.message])).toEqual([
      [3, expect.stringContaining("foreignKeys")],
    ]);
  });

  test.each(["never", "always"])(
    "can be left unchecked, so that tables come in any order (thread=%s)",
    async (thread) => {
      const file = databaseWith(SQL);
      const target = await open(at(file, { table: "children", foreignKeys: "off", thread }), "target");
      expect(await write(target, [{ id: 1, parent: 9 }])).toMatchObject({ written: 1, failures: [] });
      expect(query(file, 'SELECT "table" FROM pragma_foreign_key_check')).toEqual([{ table: "children" }]);
    },
  );
});

describe("a table that grows while it is read", () => {
  test.each<[string, object]>([
    ["in its order", {}],
    ["with a condition", { where: { n: { gte: 0 } } }],
    ["with a condition that an index serves", { where: { m: 1 } }],
    ["sorted by an index", { orderBy: { field: "n" } }],
    ["sorted without one", { orderBy: { field: "v" } }],
  ])("ends at what was there at the start, %s", async (_, asked) => {
    const file =
      databaseWith(`CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, m INTEGER, v TEXT); CREATE INDEX i ON t (n);
      CREATE INDEX j ON t (m);
      WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 50) INSERT INTO t SELECT i, i, 1, 'v' || i FROM c`);
    const source = await open(at(file, { table: "t" }), "source");
    const db = new Database(file);
    cleanUp(() => void db.close());
    const copy = db.prepare("INSERT INTO t VALUES (?, ?, 1, 'z')");
    let read = 0;
    for await (const { records } of source.readFromSource(asked, {
      batchSize: 7,
      signal: new AbortController().signal,
    })) {
      read += records.length;
      for (const { id } of records) copy.run(Number(id) + 1000, Number(id) + 1000);
      expect(read).toBeLessThanOrEqual(50);
    }
    expect(read).toBe(50);
    expect((await readAll(source, {}, { batchSize: 1000 })).records).toHaveLength(100);
  });

  test("without rowids, and without a key", async () => {
    const file =
      databaseWith(`CREATE TABLE w (a TEXT, b INTEGER, PRIMARY KEY (a, b DESC)) WITHOUT ROWID; CREATE TABLE k (v);
      INSERT INTO w VALUES ('a', 1), ('a', 2), ('b', 1); INSERT INTO k VALUES (1), (2), (3)`);
    const db = new Database(file);
    cleanUp(() => void db.close());
    for (const [table, add] of [
      ["w", "INSERT INTO w VALUES ('c', ?)"],
      ["k", "INSERT INTO k VALUES (?)"],
    ]) {
      const source = await open(at(file, { table }), "source");
      let read = 0;
      for await (const { records } of source.readFromSource(
        {},
        { batchSize: 1, signal: new AbortController().signal },
      )) {
        read += records.length;
        db.prepare(add!).run(read + 10);
        expect(read).toBeLessThanOrEqual(3);
      }
      expect(read).toBe(3);
    }
  });
});

describe("the table of a target that names none", () => {
  test("is that of the source, named or the only one; and of another's records it is records", async () => {
    const source = databaseWith("CREATE TABLE notes (id INTEGER PRIMARY KEY); INSERT INTO notes VALUES (1)");
    const target = join(temporaryFolder(), "t.db");
    const manager = newManager();
    const { connectionId, targetEndpoint } = await manager.establish(at(source), at(target));
    expect(targetEndpoint.metadata?.table).toBe("notes");
    await manager.transferThroughConnection(connectionId, {});
    expect(query(target, "SELECT * FROM notes")).toEqual([{ id: 1 }]);
    const self = await manager.establish(at(source), at(source));
    expect(self.targetEndpoint.metadata?.table).toBe("notes");
    expect(query(source, "SELECT name FROM sqlite_schema")).toEqual([{ name: "notes" }]);
    expect(await rejection(manager.establish(at(join(temporaryFolder(), "none.db")), at(target)))).toMatchObject({
      code: "SOURCE_NOT_FOUND",
    });
  });
});
