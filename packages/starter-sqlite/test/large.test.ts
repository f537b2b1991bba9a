import { monitorEventLoopDelay } from "node:perf_hooks";
import { setImmediate } from "node:timers/promises";
import type { P2PQuery } from "@omni/p2p-core/starter";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { at, calm, databaseWith, open, readAll, rejection, temporaryFolder, write } from "./support.ts";

const MB = 1024 * 1024;

describe("large rows", () => {
  test("tiny rows that are followed by large ones do not fill the memory", async () => {
    const file = databaseWith("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT, bytes BLOB)", (db) => {
      const insert = db.prepare("INSERT INTO t VALUES (?, ?, ?)");
      db.transaction(() => {
        for (let id = 0; id < 500; id++) insert.run(id, "tiny", null);
      })();
      db.exec(
        "WITH RECURSIVE n(i) AS (SELECT 500 UNION ALL SELECT i + 1 FROM n WHERE i < 579) INSERT INTO t SELECT i, hex(zeroblob(3000000)), zeroblob(4000000) FROM n",
      );
    });
    const source = await open(at(file), "source");
    const start = process.memoryUsage.rss();
    let most = 0;
    let count = 0;
    for await (const batch of source.readFromSource({}, { batchSize: 500, batchBytes: 8 * MB, signal: calm() })) {
      const bytes = batch.records.reduce(
        (sum, { body, bytes }) => sum + String(body).length + ((bytes as Uint8Array)?.length ?? 0),
        0,
      );
      if (batch.records.length > 1) expect(bytes).toBeLessThan(9 * MB);
      expect(batch.bytes).toBeGreaterThanOrEqual(bytes);
      most = Math.max(most, process.memoryUsage.rss());
      count += batch.records.length;
    }
    expect(count).toBe(580);
    // Read as one page these rows would be 800 MB.
    expect(most - start).toBeLessThan(500 * MB);
  });

  test("a batch size of a billion is bounded by bytes", async () => {
    const file = databaseWith("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)", (db) => {
      db.exec(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000) INSERT INTO t SELECT i, hex(zeroblob(500)) FROM n",
      );
    });
    const source = await open(at(file), "source");
    const { batches, records } = await readAll(source, {}, { batchSize: 1e9 });
    expect(records).toHaveLength(40_000);
    expect(batches.length).toBeGreaterThan(1);
  });
});

describe("many rows", () => {
  const COUNT = 60_000;
  let file: string;
  let close: () => Promise<void>;
  let source: Awaited<ReturnType<typeof open>>;

  beforeAll(async () => {
    const { mkdtempSync, rmSync } = await import("node:fs");
    const { tmpdir } = await import("node:os");
    const { default: Database } = await import("better-sqlite3");
    const { sqliteStarter } = await import("../src/index.ts");
    const { parseEndpoint } = await import("@omni/p2p-core");
    const folder = mkdtempSync(`${tmpdir()}/p2p-sqlite-`);
    file = `${folder}/many.db`;
    const db = new Database(file);
    db.exec(`
      CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER, kind TEXT, body TEXT);
      CREATE TABLE w (a INTEGER, b TEXT, n INTEGER, kind TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
      WITH RECURSIVE i(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM i WHERE i < ${COUNT - 1})
        INSERT INTO t SELECT 'k' || i, i * 7919 % ${COUNT}, CASE i % 10000 WHEN 5000 THEN 'rare' ELSE 'k' || (i % 10) END, hex(zeroblob(200)) FROM i;
      INSERT INTO w SELECT n % 100, id, n, kind FROM t;
      CREATE INDEX by_kind ON t (kind);
      CREATE INDEX by_n ON t (n, id);`);
    db.close();
    const context = { role: "source", signal: calm(), connectTimeoutMs: 1000 } as const;
    source = await sqliteStarter.open(parseEndpoint(at(file, { table: "t" })), context);
    close = async () => {
      await source.close();
      rmSync(folder, { recursive: true });
    };
  });

  afterAll(() => close());

  test.each<[string, P2PQuery, number]>([
    ["a condition that an index serves", { where: { kind: "rare" } }, 6],
    ["a condition that many rows meet", { where: { kind: "k3" } }, 6000],
    ["a condition that an index serves, but not in order", { where: { n: { gte: 30_000, lt: 30_010 } } }, 10],
    ["a condition that an index serves for half of the rows", { where: { n: { gte: 30_000 } } }, 30_000],
    ["a condition without an index", { where: { body: { prefix: "00" }, kind: { ne: "rare" } } }, COUNT - 6],
    ["a condition without an index that nothing meets", { where: { body: "none" } }, 0],
    ["a list of ids", { where: { id: { in: ["k1", "k50000", "none"] } } }, 2],
    ["a native condition", { native: { sqlite: { where: "n % 10000 = 1" } } }, 6],
    ["an offset and a limit", { offset: 41_000, limit: 12_345 }, 12_345],
    ["an offset and a limit among matches", { where: { body: { prefix: "0" } }, offset: 31_000, limit: 500 }, 500],
  ])("%s: all of them once, in one order", async (_, query, expected) => {
    for (const table of ["t", "w"]) {
      if (table === "w" && (query.where?.body !== undefined || query.where?.id !== undefined)) continue;
      const service = table === "t" ? source : await open(at(file, { table: "w" }), "source");
      const { records } = await readAll(service, query, { batchSize: 1500 });
      expect(records).toHaveLength(expected);
      expect(new Set(records.map(({ id }) => id)).size).toBe(expected);
      expect(await service.count(query, calm())).toBe(expected);
      const small = await readAll(service, { ...query, limit: Math.min(query.limit ?? 2500, 2500) }, { batchSize: 70 });
      expect(small.records.map(({ id }) => id)).toEqual(records.slice(0, 2500).map(({ id }) => id));
    }
  });

  test.each<[string, P2PQuery]>([
    ["by an index", { orderBy: "n", fields: ["n"] }],
    ["without an index", { orderBy: { field: "n", direction: "desc" }, where: { body: { ne: null } }, fields: ["n"] }],
    ["of a part", { orderBy: ["kind", "n"], where: { kind: { gte: "k5" } }, fields: ["n", "kind"] }],
  ])("sorted %s: in order, and resumed in order", async (_, query) => {
    const { records, batches } = await readAll(source, query, { batchSize: 5000 });
    for (const [at, record] of records.entries()) {
      const before = records[at - 1];
      if (before === undefined || record.kind !== before.kind) continue;
      const down = record.n! < before.n!;
      expect(down).toBe(typeof query.orderBy === "object" && "direction" in query.orderBy);
    }
    const rest = await readAll(source, query, { batchSize: 5000, after: batches[2]!.cursor });
    expect(rest.records).toHaveLength(records.length - 15_000);
    expect(rest.records[0]).toEqual(records[15_000]);
    expect(rest.records.at(-1)).toEqual(records.at(-1));
  });

  test("a reader that stops early leaves no temporary table, and can read again", async () => {
    for (let i = 0; i < 3; i++) {
      for await (const batch of source.readFromSource({ orderBy: "body" }, { batchSize: 10, signal: calm() })) {
        expect(batch.records).toHaveLength(10);
        break;
      }
    }
  });

  // A neighbour on the machine can spoil one try; what holds the process up by itself spoils them all.
  test("the process stays awake while rows are read, searched, counted, parted and written", { retry: 5 }, async () => {
    // Not synced: how long the disk takes for that is the machine's affair, and this is about our slices.
    const target = await open(at(`${temporaryFolder()}/awake.db`, { synchronous: "off" }), "target");
    // The machine has other work too: how late timers are beside a loop that pauses every 8 ms is the measure.
    const usual = await lateness(async () => {
      for (let i = 0; i < 60; i++) {
        const end = performance.now() + 8;
        while (performance.now() < end);
        await setImmediate();
      }
    });
    const ours = await lateness(async () => {
      await readAll(source, {}, { batchSize: 100_000 });
      await readAll(source, { where: { body: "none" } });
      await source.count({ where: { body: { ne: "x" } } }, calm());
      await source.partitions({}, 4, calm());
      const { records } = await readAll(source, {}, { batchSize: 500 });
      for (let from = 0; from < records.length; from += 1000) await write(target, records.slice(from, from + 1000));
    });
    expect(ours).toBeLessThan(Math.max(50, usual * 4));
  });

  test("reading is aborted in the middle of a search", async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error("enough")), 5);
    const read = async () => {
      const query = { where: { body: "none" } };
      for (let i = 0; i < 100; i++) {
        for await (const _ of source.readFromSource(query, { batchSize: 10, signal: controller.signal }));
      }
    };
    expect((await rejection(read())).message).toBe("enough");
  });
});

/** How late a timer is at the 99th percentile while something is done, in milliseconds. */
async function lateness(work: () => Promise<void>): Promise<number> {
  const resolution = 5;
  const delay = monitorEventLoopDelay({ resolution });
  delay.enable();
  await work();
  delay.disable();
  return delay.percentile(99) / 1e6 - resolution;
}
