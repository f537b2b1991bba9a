import { unlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay, setImmediate as immediate } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { isP2PError, type P2PRecord, type WriteMode, type WriteResult } from "@omni/p2p-core/starter";
import { describe, expect, test, vi } from "vitest";
import { outputOf, runChild } from "./children.ts";
import { at, cleanUp, databaseWith, open, query, recordsIn, rejection, temporaryFolder, write } from "./support.ts";

const ALWAYS = { thread: "always" } as const;

function batch(from: number, count: number, body = "text"): P2PRecord[] {
  return Array.from({ length: count }, (_, at) => ({ id: from + at, body }));
}

/** The threads that are told something while a test runs. */
function threadsTold(): () => readonly Worker[] {
  const told = vi.spyOn(Worker.prototype, "postMessage");
  cleanUp(() => told.mockRestore());
  return () => [...new Set(told.mock.contexts as Worker[])];
}

describe("a target that is written by a thread", () => {
  test("tells of failed and skipped records what a target without one tells", async () => {
    const schema = `
      CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, age INTEGER CHECK (age < 150));
      INSERT INTO t VALUES (3, 'here', 1)`;
    const records: P2PRecord[] = [
      { id: 1, name: "a", age: 10 },
      { id: 2, name: "b", age: 200 },
      { id: 3, name: "c", age: 30 },
      { id: 4, name: "a", age: 40 },
      { id: 5, name: "e", age: "old" },
      { id: 6, name: "f", unknown: true },
      { id: 7, name: "g", age: 70 },
    ];
    const outcome = async (mode: WriteMode, metadata: object) => {
      const file = databaseWith(schema);
      const target = await open(at(file, { table: "t", ...metadata }), "target");
      return { told: told(await write(target, records, mode)), left: await recordsIn(file) };
    };
    for (const mode of ["upsert", "insert", "skip"] as const) {
      const result = await outcome(mode, ALWAYS);
      expect(result).toEqual(await outcome(mode, { thread: "never" }));
      expect(result.told.failures.length).toBeGreaterThan(2);
    }
  });

  test("rolls the batch back when it is called off, and goes on with the next", async () => {
    const file = join(temporaryFolder(), "aborted.db");
    const target = await open(at(file, ALWAYS), "target");
    await write(target, batch(0, 10));
    const controller = new AbortController();
    const reason = new Error("no more");
    const aborted = target.writeToTarget(batch(10, 200_000), { mode: "upsert", signal: controller.signal });
    const next = write(target, batch(500_000, 10));
    await delay(30);
    controller.abort(reason);
    expect(await rejection(aborted)).toBe(reason);
    expect(await rejection(target.writeToTarget(batch(0, 1), { mode: "upsert", signal: controller.signal }))).toBe(
      reason,
    );
    expect((await next).written).toBe(10);
    expect(query(file, "SELECT count(*) AS n FROM records")).toEqual([{ n: 20 }]);
  });

  test("says that the connection is lost when the thread ends, and writes on without it", async () => {
    const threads = threadsTold();
    const file = join(temporaryFolder(), "ended.db");
    const target = await open(at(file, ALWAYS), "target");
    await write(target, batch(0, 10));
    const cut = [rejection(write(target, batch(10, 100_000))), rejection(write(target, batch(200_000, 10)))];
    expect(threads()).toHaveLength(1);
    await delay(30);
    await threads()[0]!.terminate();
    for (const error of await Promise.all(cut)) {
      expect(isP2PError(error, "CONNECTION_LOST")).toBe(true);
      expect(error.retryable).toBe(true);
    }
    expect(query(file, "SELECT count(*) AS n FROM records")).toEqual([{ n: 10 }]);
    expect((await write(target, batch(10, 10))).written).toBe(10);
    await target.close();
    expect(query(file, "PRAGMA integrity_check")).toEqual([{ integrity_check: "ok" }]);
    expect(query(file, "SELECT count(*) AS n FROM records")).toEqual([{ n: 20 }]);
  });

  test("notices that its file was deleted", async () => {
    const file = join(temporaryFolder(), "deleted.db");
    const target = await open(at(file, ALWAYS), "target");
    await write(target, batch(0, 10));
    unlinkSync(file);
    expect((await rejection(write(target, batch(10, 10)))).code).toBe("CONNECTION_LOST");
  });

  test("waits for a lock without an end to the process's patience", async () => {
    const file = join(temporaryFolder(), "locked.db");
    const target = await open(at(file, ALWAYS), "target", 100);
    await write(target, batch(0, 10));
    const child = runChild(`
      const { default: Database } = await import(${JSON.stringify(import.meta.resolve("better-sqlite3"))});
      const db = new Database(${JSON.stringify(file)});
      db.exec("BEGIN IMMEDIATE");
      console.log("locked");
      // What nobody holds on to is collected as garbage, and its lock goes with it.
      setTimeout(() => db.close(), 60_000);`);
    await new Promise((resolve) => child.stdout!.once("data", resolve));
    const error = await rejection(write(target, batch(10, 10)));
    expect([error.code, error.retryable]).toEqual(["BUSY", true]);
    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("close", resolve));
    expect((await write(target, batch(10, 10))).written).toBe(10);
  });
});

describe("a target that begins a thread by itself", () => {
  test("does so when there is much to write, and keeps the order of batches that wait together", async () => {
    const threads = threadsTold();
    const file = join(temporaryFolder(), "much.db");
    const target = await open(at(file, { thread: "auto" }), "target");
    await write(target, batch(0, 500));
    const latest = performance.now() + 20_000;
    for (let round = 0; threads().length === 0 && performance.now() < latest; round++) {
      const since = performance.now();
      await Promise.all(Array.from({ length: 3 }, (_, turn) => write(target, batch(0, 500, `${round}.${turn}`))));
      // This is the other half of the work, and takes as long.
      const until = 2 * performance.now() - since;
      do expect(query(file, "SELECT DISTINCT body FROM records")).toEqual([{ body: `${round}.2` }]);
      while (performance.now() < until);
      // What comes next is also that the thread says that it is ready.
      await immediate();
    }
    expect(threads()).toHaveLength(1);
    // What cannot pass from thread to thread is written here, in its turn.
    const cyclic: Record<string, unknown> = {};
    cyclic.self = cyclic;
    const odd = [...batch(0, 499, "odd"), { id: 499, body: cyclic } as unknown as P2PRecord];
    const turns = [write(target, batch(0, 500, "before")), write(target, odd), write(target, batch(0, 1, "after"))];
    await Promise.allSettled(turns);
    expect(query(file, "SELECT body FROM records WHERE id = 0")).toEqual([{ body: "after" }]);
    await target.close();
    expect(threads()).toHaveLength(1);
  });

  test("writes without one when it is little, and when it is told so", async () => {
    const threads = threadsTold();
    for (const [thread, rounds] of [
      ["auto", 1],
      ["never", 100],
    ] as const) {
      const file = join(temporaryFolder(), `${thread}.db`);
      const target = await open(at(file, { thread }), "target");
      for (let round = 0; round < rounds; round++) {
        await write(target, batch(0, 500));
        expect(query(file, "SELECT * FROM records")).toHaveLength(500);
      }
    }
    expect(threads()).toEqual([]);
  });

  test("lets a process end that has written all and closed nothing", async () => {
    const file = join(temporaryFolder(), "open.db");
    const program = `
      const target = await open({ storageType: "sqlite", database: ${JSON.stringify(file)}, metadata: { thread: "always" } }, "target");
      await target.writeToTarget([{ id: 1 }], { mode: "upsert", signal });
      console.log("written");`;
    expect((await outputOf(runChild(program))).trim()).toBe("written");
    expect(query(file, "SELECT id FROM records")).toEqual([{ id: 1 }]);
  });
});

test("a thread that is closed before it is ready is waited for", async () => {
  const file = join(temporaryFolder(), "early.db");
  const program = `
    const { ThreadWriter } = await import(${JSON.stringify(new URL("../src/writing/threaded-writer.ts", import.meta.url).href)});
    const { parseSqliteEndpoint } = await import(${JSON.stringify(new URL("../src/endpoint.ts", import.meta.url).href)});
    const endpoint = { storageType: "sqlite", database: ${JSON.stringify(file)} };
    await (await open(endpoint, "target")).writeToTarget([{ id: 1 }], { mode: "upsert", signal });
    const data = { endpoint: parseSqliteEndpoint(parseEndpoint(endpoint)), table: "records", patienceMs: 100, inode: undefined };
    await new ThreadWriter(data).close();
    console.log("closed");`;
  expect((await outputOf(runChild(program))).trim()).toBe("closed");
});

test("a process that may have no threads writes without, and says so where one is demanded", async () => {
  const file = join(temporaryFolder(), "forbidden.db");
  const program = `
    const endpoint = (thread) => ({ storageType: "sqlite", database: ${JSON.stringify(file)}, metadata: { thread } });
    const target = await open(endpoint("auto"), "target");
    for (let from = 0; from < 60_000; from += 500) {
      const batch = Array.from({ length: 500 }, (_, at) => ({ id: from + at, body: "text".repeat(50) }));
      for (let other = 0; other < 5; other++) structuredClone(batch);
      await target.writeToTarget(batch, { mode: "upsert", signal });
    }
    await target.close();
    await open(endpoint("always"), "target").catch((error) => console.log(error.code, error.message));`;
  const output = await outputOf(
    runChild(program, { flags: ["--permission", "--allow-fs-read=*", "--allow-fs-write=*", "--allow-addons"] }),
  );
  expect(output).toMatch(/^CONNECTION_FAILED .*no thread could be begun/);
  expect(query(file, "SELECT count(*) AS n FROM records")).toEqual([{ n: 60_000 }]);
});

function told({ written, skipped, failures }: WriteResult) {
  return {
    ...{ written, skipped },
    failures: failures.map(({ index, id, error }) => ({
      ...{ index, id, code: error.code, message: error.message, retryable: error.retryable },
      cause: (error.cause as { code?: string } | undefined)?.code,
    })),
  };
}
