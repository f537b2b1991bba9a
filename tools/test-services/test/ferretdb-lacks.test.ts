import { readFile } from "node:fs/promises";
import {
  BSONSymbol,
  Code,
  type Collection,
  DBRef,
  type Db,
  Decimal128,
  MaxKey,
  MinKey,
  MongoBulkWriteError,
  MongoClient,
  ObjectId,
} from "mongodb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ferretdbBehaviour } from "../src/ferretdb-lacks.ts";
import { type FerretdbLack, ferretdbLacks, lacks, startService, type TestService } from "../src/index.ts";

interface Thing {
  _id: string | number;
  [field: string]: unknown;
}

/** What a server that lacks nothing does: each resolves there, and rejects where the thing is lacking. */
const trials: Record<FerretdbLack, (things: Collection<Thing>, db: Db, client: MongoClient) => Promise<unknown>> = {
  "ids of different types that look alike": async (_, db) => {
    const ids = db.collection<{ _id: number | Date }>("ids-alike");
    await ids.insertOne({ _id: 5 });
    await ids.insertOne({ _id: new Date(5) });
  },
  "Decimal128 values": (things) => keeps(things, Decimal128.fromString("1.5")),
  "NaN values": (things) => keeps(things, Number.NaN),
  "infinite numbers": (things) => keeps(things, Number.POSITIVE_INFINITY),
  "negative zero": (things) => keeps(things, -0),
  "MinKey and MaxKey": (things) => anyOf(keeps(things, new MinKey()), keeps(things, new MaxKey())),
  "Code values": (things) => keeps(things, new Code("1")),
  "Symbol values": (things) => keeps(things, new BSONSymbol("a")),
  "DBRef values": (things) => keeps(things, new DBRef("a", new ObjectId())),
  "nested arrays": (things) => keeps(things, [[1]]),
  "field names with a dot": (things) => keeps(things, { "a.b": 1 }),
  "field names that begin with $": (things) => keeps(things, { $a: 1 }),
  "errors of single updates": async (things) => {
    await things.createIndex({ n: 1 }, { unique: true });
    await things.insertOne({ _id: 0, n: 0 });
    const error = await upsert(things, [1, 0, 2]).catch((error: unknown) => error);
    if (!(error instanceof MongoBulkWriteError)) throw error;
    const failed = [error.writeErrors].flat().map(({ index }) => index);
    expect(failed).toEqual([1]);
    expect(await things.countDocuments()).toBe(4);
  },
  "positions of upserted ids": async (things) => {
    await things.insertOne({ _id: "id 1", n: 1 });
    expect((await upsert(things, [1, 2])).upsertedIds).toEqual({ 1: "id 2" });
  },
  "the 16 MB limit": (things) =>
    expect(things.insertOne({ _id: "large", text: "x".repeat(17_000_000) })).rejects.toThrow(),
  "client.bulkWrite": (things, _, client) =>
    client.bulkWrite([{ namespace: things.namespace, name: "insertOne", document: {} }]),
  "update pipelines": (things) => things.updateOne({ _id: 1 }, [{ $set: { a: 1 } }]),
  arrayFilters: (things) => things.updateOne({ _id: 1 }, { $set: { "a.$[e]": 2 } }, { arrayFilters: [{ e: 1 }] }),
  transactions: (things, _, client) =>
    client.withSession((session) => session.withTransaction(() => things.insertOne({ _id: 1 }, { session }))),
  "change streams": async (things) => {
    const changes = things.watch();
    await changes.tryNext().finally(() => changes.close());
  },
  "$expr comparisons": (things) => things.find({ $expr: { $gt: ["$_id", 1] } }).toArray(),
  "min and max of a cursor": async (things) => {
    await things.insertMany([{ _id: 1 }, { _id: 2 }, { _id: 3 }]);
    const found = await things.find().min({ _id: 2 }).max({ _id: 3 }).hint({ _id: 1 }).toArray();
    expect(found).toEqual([{ _id: 2 }]);
  },
  "$natural order": (things) => things.find().sort({ $natural: -1 }).toArray(),
  collation: (things) => things.find({}, { collation: { locale: "en" } }).toArray(),
  noCursorTimeout: (things) => things.find({}, { noCursorTimeout: true }).toArray(),
  "$where, $text, $jsonSchema and $sampleRate": (things) =>
    anyOf(
      ...[{ $where: "true" }, { $text: { $search: "a" } }, { $jsonSchema: {} }, { $sampleRate: 1 }].map((filter) =>
        things.find(filter).toArray(),
      ),
    ),
  "$min and $max accumulators": (things) => pipe(things, { $group: { _id: null, least: { $min: "$_id" } } }),
  $sample: (things) => pipe(things, { $sample: { size: 1 } }),
  $bucketAuto: (things) => pipe(things, { $bucketAuto: { groupBy: "$_id", buckets: 2 } }),
  "$lookup and $facet": (things) =>
    anyOf(
      pipe(things, { $lookup: { from: "other", localField: "a", foreignField: "a", as: "b" } }),
      pipe(things, { $facet: { a: [{ $count: "n" }] } }),
    ),
  "$out and $merge": (things) => anyOf(pipe(things, { $out: "other" }), pipe(things, { $merge: "other" })),
  splitVector: (things, _, client) =>
    client.db("admin").command({ splitVector: things.namespace, keyPattern: { _id: 1 }, maxChunkSizeBytes: 1_000_000 }),
  "TTL and partial indexes": (things) =>
    anyOf(
      things.createIndex({ a: 1 }, { expireAfterSeconds: 5 }),
      things.createIndex({ b: 1 }, { partialFilterExpression: { b: { $gt: 1 } } }),
    ),
  "text, hashed and wildcard indexes": (things) =>
    anyOf(things.createIndex({ a: "text" }), things.createIndex({ b: "hashed" }), things.createIndex({ "$**": 1 })),
  "validators, views and time series": (_, db) =>
    anyOf(
      db.createCollection("validated", { validator: { a: 1 } }),
      db.createCollection("view", { viewOn: "other", pipeline: [] }),
      db.createCollection("series", { timeseries: { timeField: "t" } }),
    ),
  collMod: (things, db) => db.command({ collMod: things.collectionName, validationLevel: "off" }),
  "user names and passwords": async (_, db) => {
    await db.command({ createUser: "someone", pwd: "s3cret", roles: [] });
    const url = new URL(service.url);
    url.username = "someone";
    url.password = "s3cret";
    url.pathname = db.databaseName;
    const other = new MongoClient(url.href, { serverSelectionTimeoutMS: 2_000 });
    await other.connect().finally(() => other.close());
  },
};

async function keeps(things: Collection<Thing>, value: unknown): Promise<void> {
  const _id = String(await things.countDocuments());
  await things.insertOne({ _id, value }, { ignoreUndefined: false });
  const found = await things.findOne({ _id }, { promoteValues: false });
  expect(JSON.stringify(found?.value)).not.toBe("undefined");
  if (typeof value === "number") expect(Number(found?.value)).toBe(value);
}

function upsert(things: Collection<Thing>, numbers: readonly number[]) {
  return things.bulkWrite(
    numbers.map((n) => ({ replaceOne: { filter: { _id: `id ${n}` }, replacement: { n }, upsert: true } })),
    { ordered: false },
  );
}

function pipe(things: Collection<Thing>, stage: Record<string, unknown>): Promise<unknown> {
  return things.aggregate([stage]).toArray();
}

/** Resolves when one of them does: a group is lacking only if each of its members is. */
function anyOf(...attempts: Promise<unknown>[]): Promise<unknown> {
  return Promise.any(attempts);
}

let service: TestService;
let client: MongoClient;

beforeAll(async () => {
  service = await startService("mongodb");
  client = new MongoClient(service.url, {
    serverSelectionTimeoutMS: 2_000,
    socketTimeoutMS: 20_000,
    retryReads: false,
  });
});

afterAll(async () => {
  await client?.close();
  await service?.stop();
});

describe("what FerretDB is said to lack", () => {
  it.each(ferretdbLacks)("%s", async (name) => {
    // Elsewhere there is nothing to show: a MongoDB may lack transactions for being alone, for one.
    if (!lacks(service.product, name)) return;
    const db = client.db(`lacks_${ferretdbLacks.indexOf(name)}`);
    await db.dropDatabase();
    const things = db.collection<Thing>("things");
    // Some of what is lacking shows only where there is data.
    await things.insertOne({ _id: "first", a: 1 });
    await expect(trials[name](things, db, client)).rejects.toThrow();
    await db.dropDatabase();
  });

  it("is what the README says", async () => {
    const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
    // The formatter pads the columns of a table.
    const rows = readme.split("\n").map((line) => line.replaceAll(/ +/g, " "));
    expect(rows).toEqual(
      expect.arrayContaining(Object.entries(ferretdbBehaviour).map(([name, does]) => `| ${name} | ${does} |`)),
    );
  });
});

it("is lacking only in FerretDB", () => {
  expect(lacks("MongoDB", "transactions")).toBe(false);
  expect(lacks("FerretDB", "transactions")).toBe(true);
});
