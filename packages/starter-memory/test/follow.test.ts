import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DefaultP2PConnectionManager, type FollowHandle, type FollowOptions, type P2PQuery } from "@omni/p2p-core";
import { P2PError, type P2PStarter } from "@omni/p2p-core/starter";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { dropMemoryStore, memoryStarter, memoryStore } from "../src/index.ts";

let folder: string;
let made = 0;
const managers: DefaultP2PConnectionManager[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "p2p-follow-"));
});
afterEach(async () => {
  for (const manager of managers.splice(0)) await manager.close();
});
afterAll(() => rm(folder, { recursive: true }));

/** Two stores of their own, and a way to follow the one into the other, as often as one likes. */
function pair(count = 10) {
  const names = { from: `follow-from-${++made}`, to: `follow-to-${made}` };
  const from = memoryStore(names.from);
  const to = memoryStore(names.to);
  for (let id = 0; id < count; id++) from.put({ id, n: 0 });
  const follow = async (options: FollowOptions = {}, query: P2PQuery = {}, starter: P2PStarter = memoryStarter) => {
    const manager = new DefaultP2PConnectionManager();
    managers.push(manager);
    manager.registerService("memory", starter);
    const connection = await manager.establish(`memory:${names.from}`, `memory:${names.to}`);
    const checkpoint = join(folder, String(made));
    const handle = connection.follow(query, { checkpoint, landsWithin: 50, ...options });
    return { connection, handle, manager };
  };
  return { ...names, from, to, follow };
}

/** The event, or what ended the follow before. */
async function told(handle: FollowHandle, name: "caughtUp" | "paused" | "lost" | "mirrored" | "change") {
  await Promise.race([
    new Promise((resolve) => handle.events.once(name, resolve)),
    handle.done.then(() => {
      throw new Error(`stopped before ${name}`);
    }),
  ]);
}

function sorted(store: ReturnType<typeof memoryStore>) {
  return store.records().sort((a, b) => Number(a.id) - Number(b.id));
}

test("a follow copies, applies writes and deletes, and ends by stop()", async () => {
  const { from, to, follow } = pair();
  const { handle, connection } = await follow();
  await told(handle, "caughtUp");
  expect(handle.status).toBe("live");
  expect(sorted(to)).toEqual(sorted(from));
  from.put({ id: 3, n: 1 });
  from.put({ id: 77, n: 1 });
  from.delete(4);
  await told(handle, "caughtUp");
  expect(sorted(to)).toEqual(sorted(from));
  expect(handle.lagMs).toBeLessThan(5000);
  expect(connection.statistics()).toMatchObject({ change_count: 3, deleted_count: 1 });
  const result = await handle.stop();
  expect(result.counts).toMatchObject({ changes: 3, written: 12, deleted: 1, failures: 0 });
  expect(handle.status).toBe("stopped");
  expect(connection.status).toBe("IDLE");
});

test("a restart goes on from the checkpoint, with what happened meanwhile", async () => {
  const { from, to, follow } = pair();
  const first = await follow();
  await told(first.handle, "caughtUp");
  await first.handle.stop();
  from.put({ id: 50, n: 1 });
  from.delete(5);
  const { handle } = await follow();
  await told(handle, "change");
  await handle.stop();
  expect(sorted(to)).toEqual(sorted(from));
  // Nothing was copied once more.
  expect(handle.counts).toMatchObject({ written: 1, deleted: 1, mirrors: 0 });
});

/** Reads a batch of the source, waits until it may go on, and reads the rest. */
function readingInTwo(goOn: Promise<void>): { starter: P2PStarter; begun: Promise<void> } {
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  const starter: P2PStarter = {
    ...memoryStarter,
    async open(endpoint, context) {
      const { rawSource: _, ...service } = await memoryStarter.open(endpoint, context);
      return {
        ...service,
        async *readFromSource(query, options) {
          let isFirst = true;
          for await (const batch of service.readFromSource(query, options)) {
            yield batch;
            if (isFirst && context.role === "source") {
              resolve();
              await Promise.race([goOn, once(options.signal, "abort")]);
            }
            isFirst = false;
          }
        },
      };
    },
  };
  return { starter, begun };
}

test("a position that is lost under the first copy costs a mirror and no error", async () => {
  const { from, to, follow } = pair();
  const { promise: goOn, resolve } = Promise.withResolvers<void>();
  const { starter, begun } = readingInTwo(goOn);
  const { handle } = await follow({ batchSize: 5 }, {}, starter);
  await begun;
  from.put({ id: 0, n: 9 });
  from.journal()!.forget();
  await told(handle, "lost");
  resolve();
  await told(handle, "mirrored");
  await vi.waitFor(() => expect(handle.status).toBe("live"));
  expect(sorted(to)).toEqual(sorted(from));
  await handle.stop();
});

test("a position that is lost under the first copy is made up for by the next run, where this one does not come to it", async () => {
  const { from, to, follow } = pair();
  const { starter, begun } = readingInTwo(new Promise(() => {}));
  const { handle } = await follow({ batchSize: 5, transferId: "cut-off" }, {}, starter);
  await begun;
  await vi.waitFor(() => expect(to.size).toBe(5));
  from.put({ id: 0, n: 9 });
  from.journal()!.forget();
  await told(handle, "lost");
  await handle.stop();
  const next = await follow({ batchSize: 5, transferId: "cut-off" });
  await told(next.handle, "caughtUp");
  expect(sorted(to)).toEqual(sorted(from));
  await next.handle.stop();
});

test("what was collected and not applied is applied by the next run, however long its source takes to tell of itself", async () => {
  const { from, to, follow } = pair();
  const first = await follow({ transferId: "kept" });
  await told(first.handle, "caughtUp");
  await first.handle.stop();
  // As a run leaves it that was killed right after its copy.
  await writeFile(join(folder, String(made), "kept.collected.ndjson"), "[5]\n");
  to.put({ id: 5, n: 9 });
  const slow: P2PStarter = {
    ...memoryStarter,
    async open(endpoint, context) {
      const service = await memoryStarter.open(endpoint, context);
      return {
        ...service,
        schema: async () => {
          await new Promise((resolve) => setTimeout(resolve, 100));
          return undefined;
        },
      };
    },
  };
  const { handle } = await follow({ transferId: "kept" }, {}, slow);
  await vi.waitFor(() => expect(sorted(to)).toEqual(sorted(from)), 5000);
  expect(handle.error).toBeUndefined();
  await handle.stop();
});

test("a lost position costs a mirror and no error", async () => {
  const { from, to, follow } = pair();
  const first = await follow();
  await told(first.handle, "caughtUp");
  from.clear();
  for (let id = 5; id < 15; id++) from.put({ id, n: 1 });
  await told(first.handle, "mirrored");
  from.put({ id: 15, n: 1 });
  await told(first.handle, "change");
  await first.handle.stop();
  expect(sorted(to)).toEqual(sorted(from));
  expect(first.handle.counts.mirrors).toBe(1);
});

test("a source whose records are all deleted pauses the follow, and resume() lets it go on", async () => {
  const { from, to, follow } = pair(500);
  const { handle } = await follow();
  await told(handle, "caughtUp");
  for (const { id } of from.records()) from.delete(id);
  await told(handle, "paused");
  expect(handle.status).toBe("paused");
  expect(handle.error).toMatchObject({ code: "TOO_MANY_DELETES" });
  expect(to.size).toBe(500);
  handle.resume();
  await told(handle, "caughtUp");
  await handle.stop();
  expect(to.size).toBe(0);
});

test("a paused follow with more changes waiting than it reads on for ends by stop()", async () => {
  const { from, to, follow } = pair(500);
  const { handle } = await follow();
  await told(handle, "caughtUp");
  for (const { id } of from.records()) from.delete(id);
  await told(handle, "paused");
  for (let id = 1000; id < 61_000; id++) from.put({ id, n: 1 });
  await vi.waitFor(() => expect(handle.counts.changes).toBeGreaterThan(50_000), 10_000);
  await handle.stop();
  expect(to.size).toBe(500);
});

test("with deletes: keep the target keeps what the source no longer has", async () => {
  const { from, to, follow } = pair();
  const { handle } = await follow({ deletes: "keep" });
  await told(handle, "caughtUp");
  from.delete(1);
  from.put({ id: 99, n: 1 });
  await told(handle, "change");
  await handle.stop();
  expect(to.has(1)).toBe(true);
  expect(to.has(99)).toBe(true);
});

test("a record that no longer meets the query leaves the target, and others of the target stay", async () => {
  const { from, to, follow } = pair();
  from.put({ id: 100, type: "a" });
  from.put({ id: 101, type: "a" });
  to.put({ id: 7, type: "b" });
  const { handle } = await follow({}, { type: "a" });
  await told(handle, "caughtUp");
  from.put({ id: 101, type: "b" });
  from.put({ id: 7, type: "b" });
  from.delete(7);
  await told(handle, "change");
  await handle.stop();
  expect(to.records().map(({ id }) => id)).toEqual([7, 100]);
});

test("a thousand changes of one record cost a few writes", async () => {
  const { from, to, follow } = pair();
  const { handle } = await follow();
  await told(handle, "caughtUp");
  for (let n = 1; n <= 1000; n++) from.put({ id: 3, n });
  await told(handle, "caughtUp");
  await handle.stop();
  expect(to.get(3)).toEqual({ id: 3, n: 1000 });
  expect(handle.counts.written).toBeLessThan(50);
});

test("changes under the copy arrive, with ids of several kinds", async () => {
  const { from, to, follow } = pair(3000);
  const { handle } = await follow({ batchSize: 50 });
  const changing = setInterval(() => {
    from.put({ id: Math.floor(Math.random() * 3000), n: Math.random() });
    from.delete(Math.floor(Math.random() * 3000));
    from.put({ id: new Date(Math.floor(Math.random() * 1000)), n: Math.random() });
  }, 1);
  await new Promise((resolve) => setTimeout(resolve, 300));
  clearInterval(changing);
  from.put({ id: "last" });
  while (!to.has("last")) await told(handle, "caughtUp");
  await handle.stop();
  const byId = (store: typeof from) => new Map(store.records().map((record) => [String(record.id), record]));
  expect(byId(to)).toEqual(byId(from));
});

test("a dropped source ends the follow, and nothing is deleted for it", async () => {
  const { from, to, follow } = pair();
  const { handle } = await follow();
  await told(handle, "caughtUp");
  dropMemoryStore(from.name);
  await expect(handle.done).rejects.toMatchObject({ code: "SOURCE_NOT_FOUND" });
  expect(handle.error).toMatchObject({ code: "SOURCE_NOT_FOUND" });
  expect(to.size).toBe(10);
});

test("a second follower of one id is refused", async () => {
  const { follow } = pair();
  const first = await follow();
  await told(first.handle, "caughtUp");
  const second = await follow();
  await expect(second.handle.done).rejects.toMatchObject({ code: "CHECKPOINT_LOCKED" });
  expect(first.handle.status).toBe("live");
});

test("a target that holds records must be told what becomes of extras", async () => {
  const { from, to, follow } = pair();
  to.put({ id: 1000 });
  await expect((await follow()).handle.done).rejects.toMatchObject({ code: "INVALID_CONFIG" });
  const { handle } = await follow({ deletes: "remove" });
  await told(handle, "caughtUp");
  expect(sorted(to)).toEqual(sorted(from));
});

test("every mirrors every so often, without the feed", async () => {
  const { from, to, follow } = pair();
  const { handle } = await follow({ every: 30 });
  await told(handle, "caughtUp");
  from.put({ id: 3, n: 9 });
  from.delete(4);
  await told(handle, "mirrored");
  await told(handle, "mirrored");
  expect(sorted(to)).toEqual(sorted(from));
});

test.each([-3_600_000, 3_600_000])("a clock that jumps by %i ms costs nothing but what lag says", async (jump) => {
  const { from, to, follow } = pair();
  const { handle } = await follow();
  await told(handle, "caughtUp");
  const { now } = Date;
  const clock = vi.spyOn(Date, "now").mockImplementation(() => now() + jump);
  try {
    from.put({ id: 3, n: 1 });
    from.delete(4);
    await vi.waitFor(() => expect(sorted(to)).toEqual(sorted(from)), 5000);
    expect(handle.lagMs).toBeGreaterThanOrEqual(0);
    expect(handle.status).toBe("live");
    await handle.stop();
  } finally {
    clock.mockRestore();
  }
});

test("a record that cannot be read is told, and never deleted for it", async () => {
  const { from, to, follow } = pair();
  const unreadable: P2PStarter = {
    ...memoryStarter,
    async open(endpoint, context) {
      const service = await memoryStarter.open(endpoint, context);
      return {
        ...service,
        async lookUp(refs, query, options) {
          const outcomes = await service.lookUp!(refs, query, options);
          if (context.role === "target") return outcomes;
          const failed = { state: "failed", error: new P2PError("READ_FAILED", "It is spoilt") } as const;
          return outcomes.map((outcome, at) => (refs[at]!.id === 3 ? failed : outcome));
        },
      };
    },
  };
  const { handle } = await follow({ maxFailures: "all", deadLetters: false }, {}, unreadable);
  await told(handle, "caughtUp");
  from.put({ id: 3, n: 1 });
  from.put({ id: 5, n: 1 });
  await vi.waitFor(() => expect(to.get(5)).toEqual({ id: 5, n: 1 }), 5000);
  await vi.waitFor(() => expect(handle.counts.failures).toBe(1), 5000);
  expect(to.get(3)).toEqual({ id: 3, n: 0 });
  expect(handle.counts.deleted).toBe(0);
  await handle.stop();
});

test("reconcileEvery finds what others have changed in the target", async () => {
  const { from, to, follow } = pair();
  const { handle } = await follow({ reconcileEvery: 50 });
  await told(handle, "caughtUp");
  to.put({ id: 3, n: "spoiled" });
  await told(handle, "mirrored");
  await told(handle, "mirrored");
  expect(sorted(to)).toEqual(sorted(from));
});

test("a closed connection ends the follow in good order", async () => {
  const { follow } = pair();
  const { handle, connection } = await follow();
  await told(handle, "caughtUp");
  await connection.close();
  await handle.done;
  expect(handle.status).toBe("stopped");
});
