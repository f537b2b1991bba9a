import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { isP2PError, type P2PError } from "@omni/p2p-core";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, it, onTestFinished, vi } from "vitest";
import type { TransferWorkerOptions } from "../src/index.ts";
import { engine } from "./support.ts";

const MODULE = new URL("./given/worker-parts.ts", import.meta.url);
const ENDLESS = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id FROM n WHERE id < 0";

/** A folder with a file of so many records, of which some have a body of their own. */
function given(count: number, bodies: Readonly<Record<number, string>> = {}) {
  const folder = mkdtempSync(join(tmpdir(), "omni-p2p-isolation-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const db = new DatabaseSync(join(folder, "from.db"));
  db.exec("CREATE TABLE docs (id INTEGER PRIMARY KEY, body TEXT)");
  const insert = db.prepare("INSERT INTO docs VALUES (?, ?)");
  db.exec("BEGIN");
  for (let id = 0; id < count; id++) insert.run(id, bodies[id] ?? `text ${id}`);
  db.exec("COMMIT");
  db.close();
  const target = join(folder, "to.db");
  return {
    endpoints: { from: `sqlite:${join(folder, "from.db")}?table=docs`, to: `sqlite:${target}?table=docs` },
    /** What arrived. */
    ids: () => {
      const read = new DatabaseSync(target, { readOnly: true });
      const ids = read.prepare("SELECT id FROM docs ORDER BY id").all() as { id: number }[];
      read.close();
      return ids.map(({ id }) => id);
    },
    bodies: () => {
      const read = new DatabaseSync(target, { readOnly: true });
      const all = read.prepare("SELECT DISTINCT body FROM docs").all() as { body: string }[];
      read.close();
      return all.map(({ body }) => body);
    },
  };
}

const failing = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => (isP2PError(error) ? (error as P2PError) : undefined),
  );

const without = (count: number, ...bad: number[]) => [...Array(count).keys()].filter((id) => !bad.includes(id));

describeWithService("redis", "work that blocks or dies", ({ url }) => {
  /** A worker whose work is done elsewhere, with what it told of deaths. */
  function isolated(space: ReturnType<typeof engine>, options: Partial<TransferWorkerOptions>) {
    const deaths: string[] = [];
    const reasons: string[] = [];
    const made = space.worker({
      ...{ starters: [], appRoot: import.meta.dirname, module: MODULE, heartbeatTimeout: 1500, ...options },
    });
    made.events.on("died", ({ how }) => deaths.push(how));
    made.events.on("unisolated", ({ reason }) => reasons.push(reason));
    return { worker: made, deaths, reasons };
  }

  it("is done in a process of its own, which is used again and ends with the worker", async () => {
    const space = engine(url);
    const { endpoints, ids, bodies } = given(400);
    const { worker, reasons } = isolated(space, {
      endpoints,
      module: { url: MODULE.href, argument: { marked: true } },
    });
    const client = space.transfers();
    await client.submit({ id: "own", source: "from", target: "to", transform: "marking", partitions: 4 });
    expect(await client.result("own")).toMatchObject({ successCount: 400, verified: { equal: true } });
    expect(ids()).toHaveLength(400);
    const [body = "", ...others] = bodies();
    expect(others).toEqual([]);
    const pid = Number(/^true in (\d+)$/.exec(body)?.[1]);
    expect(pid).not.toBe(process.pid);
    expect(process.kill(pid, 0)).toBe(true);
    await worker.close();
    await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow(), 3000);
    expect(reasons).toEqual([]);
  });

  it.each(["kill", "exit", "block"])("sets the record aside at which processes die (%s), and goes on", async (way) => {
    const space = engine(url);
    const { endpoints, ids } = given(300, { 137: way });
    const { deaths } = isolated(space, { endpoints });
    const client = space.transfers();
    const config = { batchSize: 20 };
    await client.submit({ id: "p", source: "from", target: "to", transform: "deadly", partitions: 3, config });
    const result = await client.result("p");
    expect(result).toMatchObject({ totalRecords: 300, successCount: 299, failureCount: 1 });
    expect(ids()).toEqual(without(300, 137));
    expect(deaths.length).toBeGreaterThanOrEqual(3);
    expect(deaths.length).toBeLessThanOrEqual(4);
    const letters: unknown[] = [];
    for await (const letter of client.deadLetters("p")) letters.push(letter);
    expect(letters).toMatchObject([{ id: "137", code: "POISON_RECORD", record: { body: way } }]);
  });

  it("sets several such records aside, neighbours as well", async () => {
    const space = engine(url);
    const { endpoints, ids } = given(200, { 0: "kill", 90: "kill", 91: "exit", 199: "kill" });
    const { deaths } = isolated(space, { endpoints });
    const client = space.transfers();
    const config = { batchSize: 10, concurrency: 2 };
    await client.submit({ id: "n", source: "from", target: "to", transform: "deadly", partitions: 1, config });
    expect(await client.result("n")).toMatchObject({ successCount: 196, failureCount: 4 });
    expect(ids()).toEqual(without(200, 0, 90, 91, 199));
    expect(deaths.length).toBeLessThanOrEqual(12);
  });

  it("fails a transfer whose query never ends, after a few deaths, and the worker goes on", async () => {
    const space = engine(url);
    const { endpoints, ids } = given(100);
    const { deaths } = isolated(space, { endpoints, heartbeatTimeout: 1000, progressTimeout: 3000 });
    const client = space.transfers();
    const query = { native: { sqlite: { sql: ENDLESS } } };
    await client.submit({ id: "endless", source: "from", target: "to", query, partitions: 2 });
    const error = await failing(client.result("endless"));
    expect(error?.code).toBe("PROCESS_DIED");
    expect(error?.message).toContain("heartbeatTimeout");
    expect(deaths.length).toBeLessThanOrEqual(6);
    expect(deaths[0]).toMatch(/no sign of life|nothing moved/);
    await client.submit({ id: "after", source: "from", target: "to" });
    expect(await client.result("after")).toMatchObject({ successCount: 100 });
    expect(ids()).toHaveLength(100);
  });

  it("kills what moves nothing for too long", async () => {
    const space = engine(url);
    const { endpoints, ids } = given(60, { 30: "hang" });
    const { deaths } = isolated(space, { endpoints, progressTimeout: 1500 });
    const client = space.transfers();
    const config = { batchSize: 10 };
    await client.submit({ id: "h", source: "from", target: "to", transform: "hanging", partitions: 1, config });
    expect(await client.result("h")).toMatchObject({ successCount: 59, failureCount: 1 });
    expect(deaths[0]).toMatch(/nothing moved/);
    expect(ids()).toEqual(without(60, 30));
  });

  it("pauses, and is given back when the worker is closed, as in its own process", async () => {
    const space = engine(url);
    const { endpoints, ids } = given(600);
    const { worker } = isolated(space, { endpoints });
    const client = space.transfers();
    const config = { batchSize: 10, concurrency: 1 };
    await client.submit({ id: "g", source: "from", target: "to", transform: "slow", partitions: 1, grains: 1, config });
    await vi.waitFor(async () => expect((await client.status("g")).records).toBeGreaterThan(50), 10_000);
    await client.pause("g");
    await sleep(1500);
    const { records } = await client.status("g");
    expect(records).toBeLessThan(600);
    await client.resume("g");
    await vi.waitFor(async () => expect((await client.status("g")).records).toBeGreaterThan(records), 10_000);
    await worker.close();
    isolated(space, { endpoints });
    expect(await client.result("g")).toMatchObject({ totalRecords: 600, successCount: 600, failureCount: 0 });
    expect(ids()).toHaveLength(600);
  });

  it("says that it is done in the worker's own process where it needs what was made there", async () => {
    const space = engine(url);
    const { endpoints } = given(20);
    const { reasons } = isolated(space, { endpoints, transforms: { mine: (record) => record } });
    const client = space.transfers();
    await client.submit({ id: "mine", source: "from", target: "to", transform: "mine" });
    await client.result("mine");
    expect(reasons).toEqual([expect.stringMatching(/the transform "mine" is a function of this process/)]);
  });

  it("leaves no process behind when the worker is killed, not even one that is blocked", async () => {
    const space = engine(url);
    const { endpoints } = given(10, { 5: "block" });
    const client = space.transfers();
    const worker = spawn(
      process.execPath,
      [new URL("./given/worker-to-kill.ts", import.meta.url).pathname, url, space.prefix, JSON.stringify(endpoints)],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    onTestFinished(() => void worker.kill("SIGKILL"));
    await client.submit({ id: "left", source: "from", target: "to", transform: "deadly" });
    const children = () =>
      execFileSync("ps", ["-eo", "pid=,ppid=,time="], { encoding: "utf8" })
        .split("\n")
        .map((line) => line.trim().split(/\s+/))
        .filter(([, parent]) => parent === String(worker.pid));
    await vi.waitFor(() => expect(children()).toHaveLength(1), 10_000);
    const [[pid = ""] = []] = children();
    await sleep(2000);
    const gone = once(worker, "exit");
    worker.kill("SIGKILL");
    await gone;
    await vi.waitFor(() => expect(() => process.kill(Number(pid), 0)).toThrow(), 5000);
  });
});
