import { type ChangeFeed, isP2PError, type JsonValue, parseEndpoint } from "@omni/p2p-core/starter";
import { expect, test } from "vitest";
import { dropMemoryStore, memoryStarter, memoryStore } from "../src/index.ts";
import { signal } from "./open.ts";

const follower = "test";

async function first(feed: ChangeFeed, after: JsonValue) {
  for await (const batch of feed.read({ follower, after, maxWaitMs: 10, signal })) return batch;
  throw new Error("no batch");
}

async function code(feed: ChangeFeed, after: JsonValue): Promise<unknown> {
  return first(feed, after).then(
    () => "told",
    (error) => isP2PError(error) && error.code,
  );
}

test("positions older than the journal are CHANGES_LOST, and those within it are not", async () => {
  const { feed, store } = await followed("ring", "?journal=5");
  const start = await feed.now(follower, signal);
  for (let id = 0; id < 5; id++) store.put({ id });
  expect((await first(feed, start)).refs).toHaveLength(5);
  store.put({ id: 5 });
  expect(await code(feed, start)).toBe("CHANGES_LOST");
  const later = await feed.now(follower, signal);
  for (let id = 0; id < 50; id++) store.put({ id });
  expect(await code(feed, later)).toBe("CHANGES_LOST");
});

test("a cleared store has lost its changes, also for one who waits", async () => {
  const { feed, store } = await followed("cleared");
  const start = await feed.now(follower, signal);
  const waiting = feed.read({ follower, after: start, maxWaitMs: 60_000, signal })[Symbol.asyncIterator]().next();
  await Promise.resolve();
  store.clear();
  await expect(waiting).rejects.toMatchObject({ code: "CHANGES_LOST" });
  expect(await code(feed, start)).toBe("CHANGES_LOST");
  store.put({ id: 1 });
  expect(await code(feed, await feed.now(follower, signal))).toBe("told");
});

test("a store that was dropped says so, also to one who waits", async () => {
  const { feed } = await followed("dropped");
  const start = await feed.now(follower, signal);
  const waiting = feed.read({ follower, after: start, maxWaitMs: 60_000, signal })[Symbol.asyncIterator]().next();
  await Promise.resolve();
  dropMemoryStore("dropped");
  await expect(waiting).rejects.toMatchObject({ code: "SOURCE_NOT_FOUND" });
  memoryStore("dropped");
  expect(await code(feed, start)).toBe("STORE_CHANGED");
});

test("a position of another process is CHANGES_LOST", async () => {
  const { feed } = await followed("foreign");
  await feed.now(follower, signal);
  expect(await code(feed, { store: "memory", at: { journal: "another", change: 0 } })).toBe("CHANGES_LOST");
});

async function followed(name: string, options = "") {
  const store = memoryStore(name);
  const endpoint = parseEndpoint(`memory:${name}${options}`);
  const source = await memoryStarter.open(endpoint, { role: "source", signal, connectTimeoutMs: 1000 });
  return { store, feed: source.changes! };
}
