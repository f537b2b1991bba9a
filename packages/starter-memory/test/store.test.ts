import { isP2PError, parseEndpoint } from "@omni/p2p-core/starter";
import { beforeEach, expect, test } from "vitest";
import { dropMemoryStore, memoryStarter, memoryStore } from "../src/index.ts";

beforeEach(() => {
  dropMemoryStore("store-test");
});

const signal = new AbortController().signal;

test("a store hands out copies and keeps copies", () => {
  const store = memoryStore("store-test");
  const given = { id: "a", list: [1], bytes: Uint8Array.of(1) };
  store.put(given);
  given.list.push(2);
  (store.get("a") as typeof given).bytes.fill(9);
  (store.records()[0] as typeof given).list.push(3);
  expect(store.get("a")).toEqual({ id: "a", list: [1], bytes: Uint8Array.of(1) });
});

test("ids are vouched for as distinct, since the store goes by their text", async () => {
  const store = memoryStore("store-test");
  for (const id of [1, "1", 1n, "ff", Uint8Array.of(255)]) store.put({ id });
  const source = await memoryStarter.open(parseEndpoint("memory:store-test"), {
    role: "source",
    signal,
    connectTimeoutMs: 1000,
  });
  const given = [];
  for await (const batch of source.readFromSource({}, { batchSize: 10, signal })) given.push(batch);
  expect(given).toMatchObject([{ records: [{ id: 1n }, { id: Uint8Array.of(255) }], distinct: true }]);
});

test("ids go by their text, and replacing keeps the place", () => {
  const store = memoryStore("store-test");
  for (const id of [1, 2, 3]) store.put({ id });
  store.put({ id: "2", again: true });
  expect(store.records().map(({ id }) => id)).toEqual([1, "2", 3]);
  expect(store.has(2n)).toBe(true);
  expect(store.delete("1")).toBe(true);
  expect(store.size).toBe(2);
  store.clear();
  expect(store.records()).toEqual([]);
  expect(store.get(3)).toBeUndefined();
});

test("what is no record is refused", () => {
  const refused = (record: unknown): unknown => {
    try {
      memoryStore("store-test").put(record as never);
    } catch (error) {
      return isP2PError(error, "INVALID_RECORD");
    }
    return false;
  };
  for (const record of [{}, { id: "" }, { id: null }, { id: Number.NaN }, { id: 1, x: "\ud800" }, null, []]) {
    expect(refused(record), JSON.stringify(record)).toBe(true);
  }
});

test("stores are shared by name, until they are dropped", () => {
  memoryStore("store-test").put({ id: 1 });
  expect(memoryStore("store-test").size).toBe(1);
  expect(dropMemoryStore("store-test")).toBe(true);
  expect(dropMemoryStore("store-test")).toBe(false);
  expect(memoryStore("store-test").size).toBe(0);
});

test("a read ends with what was there when it began, even when the store is copied into itself", async () => {
  const store = memoryStore("store-test");
  for (let id = 0; id < 10; id++) store.put({ id });
  const context = { role: "target", signal, connectTimeoutMs: 1000 } as const;
  const service = await memoryStarter.open(parseEndpoint("memory:store-test"), context);
  let read = 0;
  for await (const { records } of service.readFromSource({}, { batchSize: 3, signal })) {
    read += records.length;
    const copies = records.map(({ id }) => ({ id: `copy of ${id}` }));
    await service.writeToTarget(copies, { mode: "upsert", signal });
  }
  expect(read).toBe(10);
  expect(store.size).toBe(20);
});

test("an endpoint without a name is the store called default", async () => {
  const existed = memoryStore("default").size;
  memoryStore("default").put({ id: "from the test" });
  const context = { role: "source", signal, connectTimeoutMs: 1000 } as const;
  const service = await memoryStarter.open(parseEndpoint("memory:"), context);
  expect(await service.count({}, signal)).toBe(existed + 1);
  memoryStore("default").delete("from the test");
});

test("a cursor serves after records were deleted, and after the store was cleared", async () => {
  const store = memoryStore("store-test");
  const context = { role: "source", signal, connectTimeoutMs: 1000 } as const;
  for (let id = 0; id < 10; id++) store.put({ id });
  const service = await memoryStarter.open(parseEndpoint("memory:store-test"), context);
  const idsAfter = async (after?: number) => {
    const ids: unknown[] = [];
    let cursor = after;
    for await (const batch of service.readFromSource({}, { batchSize: 3, after, signal })) {
      ids.push(...batch.records.map(({ id }) => id));
      cursor = batch.cursor as number;
    }
    return { ids, cursor };
  };
  const first = await service.readFromSource({}, { batchSize: 4, signal })[Symbol.asyncIterator]().next();
  const fourth = first.value!.cursor as number;
  for (const id of [0, 2, 5]) store.delete(id);
  store.put({ id: 5, back: true });
  store.put({ id: 6, again: true });
  expect((await idsAfter(fourth)).ids).toEqual([4, 6, 7, 8, 9, 5]);
  const { ids, cursor } = await idsAfter();
  expect(ids).toEqual([1, 3, 4, 6, 7, 8, 9, 5]);
  store.clear();
  for (const id of [1, 20, 21]) store.put({ id });
  expect((await idsAfter(cursor)).ids).toEqual([1, 20, 21]);
  store.delete(20);
  expect((await idsAfter(cursor)).ids).toEqual([1, 21]);
});

test("records that two stores share stay what they are in each", async () => {
  const store = memoryStore("store-test");
  store.put({ id: 1, list: [1] });
  const service = await memoryStarter.open(parseEndpoint("memory:store-test"), {
    role: "target",
    signal,
    connectTimeoutMs: 1000,
  });
  const { value: batch } = await service.rawSource!.read({}, { batchSize: 3, signal })[Symbol.asyncIterator]().next();
  const decoded = service.rawSource!.decode(batch!.documents[0]) as unknown as { list: number[] };
  decoded.list.push(2);
  (store.get(1) as unknown as typeof decoded).list.push(3);
  store.put({ id: 1, list: [] });
  expect(batch!.documents).toEqual([{ id: 1, list: [1] }]);
});
