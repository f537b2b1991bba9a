import { MongoClient } from "mongodb";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startService, type TestService } from "../src/index.ts";
import { untilGone } from "./processes.ts";

let service: TestService;
let client: MongoClient;

beforeAll(async () => {
  service = await startService("mongodb", { exclusive: true });
  client = new MongoClient(service.url, { serverSelectionTimeoutMS: 2_000, socketTimeoutMS: 20_000 });
});

afterAll(async () => {
  await client?.close();
  await service?.stop();
});

const upserts = (value: number) =>
  Array.from({ length: 500 }, (_, i) => ({
    replaceOne: { filter: { _id: i as never }, replacement: { value }, upsert: true },
  }));

it("writes and reads", async () => {
  const things = client.db("test").collection<{ _id: string; n: number }>("things");
  await things.insertMany([
    { _id: "a", n: 1 },
    { _id: "b", n: 2 },
  ]);
  expect(await things.find({ n: { $gt: 1 } }).toArray()).toEqual([{ _id: "b", n: 2 }]);
});

it("takes bulk writes of any length, again and again", async () => {
  const things = client.db("test").collection("bulk");
  expect(await things.bulkWrite(upserts(1), { ordered: false })).toMatchObject({ upsertedCount: 500, matchedCount: 0 });
  expect(await things.bulkWrite(upserts(2), { ordered: false })).toMatchObject({ upsertedCount: 0, matchedCount: 500 });
  expect(await things.countDocuments({ value: 2 })).toBe(500);
});

it("comes back on the same port with its data after a crash, and is gone after stop", async () => {
  const { url, pid } = service;
  const kept = client.db("test").collection<{ _id: string }>("kept");
  await kept.insertOne({ _id: "a" });
  await service.restart?.(async () => {
    await expect(client.db("test").command({ ping: 1 })).rejects.toThrow();
  });
  expect(service.url).toBe(url);
  expect(await kept.countDocuments()).toBe(1);
  if (pid !== undefined) await untilGone([pid], 0);

  const last = service.pid;
  await service.stop();
  if (last !== undefined) await untilGone([last], 0);
  await expect(client.db("test").command({ ping: 1 })).rejects.toThrow();
});
