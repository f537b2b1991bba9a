import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { parseEndpoint } from "@omni/p2p-core/starter";
import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { sqliteStarter } from "../src/index.ts";
import { at, calm, cleanUp, databaseWith, open, query, readAll, rejection, temporaryFolder } from "./support.ts";

const ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS id FROM n";
const HOSTILE = `CREATE TABLE docs (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO docs VALUES (1, 'a'), (2, 'b');
  CREATE VIEW trap AS ${ENDLESS};`;

/** What becomes of work that is called off after 300 ms. */
async function calledOff(work: (signal: AbortSignal) => Promise<unknown>) {
  const controller = new AbortController();
  const reason = new Error("called off");
  let ticks = 0;
  const ticker = setInterval(() => ticks++, 10);
  const since = performance.now();
  setTimeout(() => controller.abort(reason), 300);
  const error = await rejection(work(controller.signal));
  clearInterval(ticker);
  expect(error).toBe(reason);
  expect(performance.now() - since).toBeLessThan(2000);
  // The event loop was free meanwhile.
  expect(ticks).toBeGreaterThan(5);
}

describe("what never ends is ended", () => {
  const drain = async (batches: AsyncIterable<unknown>) => {
    for await (const _ of batches) {
      // Nothing comes.
    }
  };

  test("a native query", async () => {
    const source = await open(at(databaseWith(HOSTILE), { table: "docs" }), "source");
    const asked = { native: { sqlite: { sql: ENDLESS } } };
    await calledOff((signal) => drain(source.readFromSource(asked, { batchSize: 10, signal })));
    await calledOff((signal) => source.count(asked, signal));
    const where = { native: { sqlite: { where: `v = (${ENDLESS})` } } };
    await calledOff((signal) => drain(source.readFromSource(where, { batchSize: 10, signal })));
    // The source is of use all the same.
    expect((await readAll(source)).records).toHaveLength(2);
    expect((await readAll(source, { native: { sqlite: { where: "id = ?", params: [2] } } })).records).toEqual([
      { id: 2, v: "b" },
    ]);
  });

  test("a view of a stranger's file", async () => {
    const source = await open(at(databaseWith(HOSTILE), { table: "trap", key: "id" }), "source");
    await calledOff((signal) => drain(source.readFromSource({}, { batchSize: 10, signal })));
    await calledOff((signal) =>
      drain(source.readFromSource({ orderBy: { field: "id" } } as never, { batchSize: 10, signal })),
    );
    await calledOff((signal) => source.count({}, signal));
  });

  test("a transfer, at its timeout, and the process is let go", async () => {
    const file = databaseWith(HOSTILE);
    const script = join(temporaryFolder(), "run.ts");
    writeFileSync(
      script,
      `import { DefaultP2PConnectionManager } from ${JSON.stringify(import.meta.resolve("@omni/p2p-core"))};
      import { sqliteStarter } from ${JSON.stringify(new URL("../src/index.ts", import.meta.url).href)};
      const manager = new DefaultP2PConnectionManager();
      manager.registerService("sqlite", sqliteStarter);
      const { connectionId } = await manager.establish(${JSON.stringify(`sqlite:${file}?table=trap&key=id`)}, ${JSON.stringify(`sqlite:${file}.copy`)}, { transfer_timeout: 400 });
      const error = await manager.transferThroughConnection(connectionId, {}).catch((thrown) => thrown);
      console.log(error.code);
      await manager.close();`,
    );
    const child = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
    cleanUp(() => void child.kill("SIGKILL"));
    let said = "";
    child.stdout.on("data", (text) => {
      said += text;
    });
    const [code] = await once(child, "exit");
    expect(said.trim()).toBe("TIMEOUT");
    expect(code).toBe(0);
  }, 20_000);

  test.each([0, 20, 800])("what is read when the source is closed, after %i ms", async (ms) => {
    const source = await open(at(databaseWith(HOSTILE), { table: "docs" }), "source");
    const counting = rejection(source.count({ native: { sqlite: { sql: ENDLESS } } }, calm()));
    await delay(ms);
    await source.close();
    expect(await counting).toMatchObject({ code: "CLOSED" });
  });

  test("inspecting lists what can be looked at, and why the rest cannot", async () => {
    const file = databaseWith(`${HOSTILE}
      CREATE TABLE base (x); CREATE VIEW broken AS SELECT y FROM base;
      CREATE TABLE "" (id INTEGER PRIMARY KEY);
      CREATE VIRTUAL TABLE words USING fts5(body);
      CREATE TABLE words_of (id INTEGER PRIMARY KEY);`);
    const db = new Database(file);
    db.unsafeMode(true);
    db.pragma("writable_schema = ON");
    db.exec(
      `INSERT INTO sqlite_schema VALUES ('table', 'alien', 'alien', 0, 'CREATE VIRTUAL TABLE alien USING unknown_module(a)')`,
    );
    db.close();
    const context = { role: "source", signal: calm(), connectTimeoutMs: 2000 } as const;
    const { collections } = await sqliteStarter.inspect!(parseEndpoint(at(file)), context);
    const seen = Object.fromEntries(
      collections.map(({ name, records, trouble }) => [name, trouble ?? records ?? "listed"]),
    );
    expect(seen).toEqual({
      "": expect.stringContaining("no name"),
      alien: expect.stringContaining("no such module"),
      base: 0,
      broken: expect.stringContaining("no such column: y"),
      docs: 2,
      trap: "listed",
      words: "listed",
      words_of: 0,
    });
    // One bad thing does not stand in the way of another.
    expect((await readAll(await open(at(file, { table: "docs" }), "source"))).records).toHaveLength(2);
    expect(await rejection(open(at(file, { table: "alien" }), "source"))).toMatchObject({
      message: expect.stringContaining("no such module"),
    });
  });
});

describe("collations that only another program has", () => {
  const foreign = () => {
    const file = databaseWith(`CREATE TABLE t (name TEXT PRIMARY KEY, n INTEGER, x); CREATE INDEX i ON t (n);
      CREATE TABLE w (name TEXT PRIMARY KEY, n) WITHOUT ROWID; CREATE TABLE u (id INTEGER PRIMARY KEY, v TEXT, n);
      CREATE INDEX uv ON u (v);
      INSERT INTO t VALUES ('b', 1, 'p'), ('a', 2, x'01'), ('C', 3, 5); INSERT INTO u VALUES (1, 'x', 1), (2, 'y', 2)`);
    const db = new Database(file);
    db.unsafeMode(true);
    db.pragma("writable_schema = ON");
    db.exec(`UPDATE sqlite_schema SET sql = replace(replace(replace(sql, 'name TEXT', 'name TEXT COLLATE unicase'),
      ', x)', ', x COLLATE LOCALIZED)'), 'v TEXT', 'v TEXT COLLATE LOCALIZED')`);
    db.close();
    return file;
  };

  test("a table with such a key is read by rowid, counted, filtered, sorted, parted and resumed", async () => {
    const source = await open(at(foreign(), { table: "t" }), "source");
    const { records, batches } = await readAll(source, {}, { batchSize: 1 });
    expect(records.map(({ id }) => id)).toEqual(["b", "a", "C"]);
    expect((await readAll(source, {}, { after: batches[0]!.cursor })).records).toEqual(records.slice(1));
    expect(await source.count({}, calm())).toBe(3);
    const ids = async (where: object) => (await readAll(source, { where } as never)).records.map(({ id }) => id);
    expect(await ids({ n: { gt: 1 } })).toEqual(["a", "C"]);
    expect(await ids({ id: "a" })).toEqual(["a"]);
    expect(await ids({ name: { gte: "a" } })).toEqual(["b", "a"]);
    expect(await ids({ name: { lt: "a" } })).toEqual(["C"]);
    expect(await ids({ x: Uint8Array.of(1) })).toEqual(["a"]);
    expect(await ids({ x: 5 })).toEqual(["C"]);
    expect(await ids({ x: { gt: 4 } })).toEqual(["C"]);
    expect(await source.count({ where: { n: { gt: 1 } } }, calm())).toBe(2);
    const sorted = await readAll(source, { orderBy: { field: "name", direction: "desc" } }, { batchSize: 1 });
    expect(sorted.records.map(({ id }) => id)).toEqual(["b", "a", "C"]);
    const parts = await source.partitions({}, 2, calm());
    const found = [];
    for (const part of parts) found.push(...(await readAll(source, part)).records);
    expect(found).toEqual(records);
  });

  test("a table with such an index is counted and copied, and one that is ordered by it says so", async () => {
    const file = foreign();
    const source = await open(at(file, { table: "u" }), "source");
    expect(await source.count({}, calm())).toBe(2);
    expect((await readAll(source)).records).toHaveLength(2);
    const { collections } = await sqliteStarter.inspect!(parseEndpoint(at(file)), {
      role: "source",
      signal: calm(),
      connectTimeoutMs: 2000,
    });
    expect(collections.map(({ name, records }) => [name, records])).toEqual([
      ["t", 3],
      ["u", 2],
      ["w", undefined],
    ]);
    const ordered = await open(at(file, { table: "w" }), "source");
    expect(await rejection(readAll(ordered))).toMatchObject({
      code: "READ_FAILED",
      message: expect.stringContaining("Only the program that made the file has this collation"),
    });
    const manager = new DefaultP2PConnectionManager();
    manager.registerService("sqlite", sqliteStarter);
    cleanUp(() => manager.close());
    const target = `${temporaryFolder()}/copy.db`;
    const { connectionId } = await manager.establish(at(file, { table: "t" }), at(target));
    expect(await manager.transferThroughConnection(connectionId, {})).toMatchObject({
      successCount: 3,
      failureCount: 0,
    });
    expect(query(target, "SELECT name, n, typeof(x) AS x FROM t ORDER BY name")).toEqual([
      { name: "C", n: 3, x: "integer" },
      { name: "a", n: 2, x: "blob" },
      { name: "b", n: 1, x: "text" },
    ]);
  });
});
