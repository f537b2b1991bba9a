import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DefaultP2PConnectionManager, type FollowHandle, type FollowOptions, type P2PQuery } from "@omni/p2p-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { memoryStarter, memoryStore } from "../src/index.ts";

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
  const follow = async (options: FollowOptions = {}, query: P2PQuery = {}) => {
    const manager = new DefaultP2PConnectionManager();
    managers.push(manager);
    manager.registerService("memory", memoryStarter);
    const connection = await manager.establish(`memory:${names.from}`, `memory:${names.to}`);
    const checkpoint = join(folder, String(made));
    const handle = connection.follow(query, { checkpoint, landsWithin: 50, ...options });
    return { connection, handle, manager };
  };
  return { ...names, from, to, follow };
}

/** The event, or what ended the follow before. */
async function once(handle: FollowHandle, name: "caughtUp" | "paused" | "lost" | "mirrored" | "change") {
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
  await once(handle, "caughtUp");
  expect(handle.status).toBe("live");
  expect(sorted(to)).toEqual(sorted(from));
  from.put({ id: 3, n: 1 });
  from.put({ id: 77, n: 1 });
  from.delete(4);
  await once(handle, "caughtUp");
  expect(sorted(to)).toEqual(sorted(from));
  expect(handle.lagMs).toBeLessThan(5000);
  expect(connection.statistics()).toMatchObject({ change_count: 3, deleted_count: 1 });
  const result = await handle.stop();
  expect(result.counts).toMatchObject({ changes: 3, written: 12, deleted: 1, failures: 0 });
  expect(handle.status).toBe("stopped");
  expect(connection.status).toBe("IDLE");
});
