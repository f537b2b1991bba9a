import { type ChangeBatch, idKey, type JsonValue, type P2PDataTransferService, P2PError } from "@omni/p2p-core/starter";
import { startProxy, startService } from "@omni/p2p-test-services";
import { describeWithOwnService, describeWithService } from "@omni/p2p-test-services/suite";
import { describeConformance } from "@omni/p2p-testkit";
import * as mongodb from "mongodb";
import { Binary, type Collection, type Document, Double, Long, ObjectId, Timestamp } from "mongodb";
import { afterAll, describe, expect, it, test, vi } from "vitest";
import { refOf } from "../src/changes/event.ts";
import { streamError } from "../src/changes/stream-error.ts";
import { mongodbChangeFeed } from "../src/changes.ts";
import { MONGODB } from "../src/client/dialect.ts";
import { mongodbStarter } from "../src/index.ts";
import { openedAs } from "./opened.ts";
import { calm, endpointFor, open, rejection, scratchCollections } from "./scratch.ts";

/** What the stand-in has not, so that only a real replica set (P2P_TEST_MONGODB_URL) or cluster shows it. */
const REAL_ALONE = [
  "look-ups with afterClusterTime and read concern majority: it has no sessions and no cluster time",
  "an event of a large update: it makes events of its own form",
  "a token that the oplog has outrun: 286 is answered by a fail point",
  "rename, dropDatabase and DDL events, wallTime, documentKey of a sharded collection",
  "a change of primary under an open stream",
];

/** The suite that holds for a replica set, whatever it is. */
function changesOf(url: string, canFail: boolean): void {
  const { createEndpoint, client, database } = scratchCollections(url, "changes");
  const opened: P2PDataTransferService[] = [];
  afterAll(() => Promise.all(opened.map((service) => service.close())));
  const scratch = async (...documents: Document[]) => {
    const { endpoint, collection } = await createEndpoint();
    await collection.insertMany([{ _id: "first" as never }, ...documents]);
    const service = await open(endpoint);
    opened.push(service);
    return { endpoint, collection, service };
  };
  const failOnce = async (command: string, errorCode: number) => {
    const data = { failCommands: [command], errorCode };
    await client.db("admin").command({ configureFailPoint: "failCommand", mode: { times: 1 }, data });
  };

  it("names what is inserted, replaced, updated and deleted, with the types of its ids, and reads on from each cursor", async () => {
    const { collection, service } = await scratch({ _id: "gone" as never });
    const start = await service.changes!.now("f", calm);
    const ids = [1, new Double(1.5), Long.fromString("9007199254740993"), new ObjectId(), new Date(5), "text"];
    await collection.insertMany(ids.map((_id) => ({ _id: _id as never })));
    await collection.replaceOne({ _id: "first" as never }, { n: 1 });
    await collection.updateOne({ _id: "text" as never }, { $set: { n: 2 } });
    await collection.deleteOne({ _id: "gone" as never });
    const { batches, refs } = await heardOf(service, start, ids.length + 2);
    expect([...new Set(refs.map(({ id }) => idKey(id)))].sort()).toEqual(
      ["1", "1.5", "9007199254740993", String(ids[3]), "1970-01-01T00:00:00.005Z", "text", "first", "gone"].sort(),
    );
    expect(refs.map(({ id }) => id)).toContainEqual(9007199254740993n);
    // Ids with texts that other types have too.
    const odd = ["null", '{"a":1}', "true", "5f5f", "2024-01-01T00:00:00.000Z"].map((id) => ({ id }));
    expect(await service.lookUp!(odd, {}, { signal: calm })).toEqual(odd.map(() => ({ state: "absent" })));
    const distinct = new Map(refs.map((ref) => [idKey(ref.id), ref])).values();
    const outcomes = await service.lookUp!([...distinct], {}, { signal: calm });
    expect(outcomes.filter(({ state }) => state === "absent")).toHaveLength(1);
    await collection.insertOne({ _id: "later" as never });
    // A cursor is plain JSON, and good for another process.
    const cursor = JSON.parse(JSON.stringify(batches.at(-1)!.cursor)) as JsonValue;
    const other = await open(endpointFor(url, database, { collection: collection.collectionName }));
    opened.push(other);
    expect((await heardOf(other, cursor, 1)).refs).toEqual([{ id: "later" }]);
    expect((await heardOf(service, start, 9)).refs.length).toBeGreaterThanOrEqual(9);
    await service.changes!.visible!(cursor, calm);
    expect(await service.lookUp!([{ id: "later" }], {}, { signal: calm })).toMatchObject([{ state: "wanted" }]);
  });

  it("moves on while this collection rests and others do not, and ends by the signal's own reason", async () => {
    const { collection, service } = await scratch();
    const start = await service.changes!.now("f", calm);
    await client.db(database).collection("others").insertMany([{}, {}, {}]);
    const idle = await firstOf(service, start, 60);
    expect(idle.refs).toEqual([]);
    await collection.insertOne({ _id: "x" as never });
    expect((await heardOf(service, idle.cursor, 1)).refs).toEqual([{ id: "x" }]);
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error("enough")), 50);
    await expect(firstOf(service, (await firstOf(service, start, 1000)).cursor, 60_000, stop.signal)).rejects.toThrow(
      "enough",
    );
  });

  it("stops at a drop without naming anything, and tells whether another collection has the name", async () => {
    for (const again of [false, true]) {
      const { collection, service } = await scratch();
      const start = await service.changes!.now("f", calm);
      const reading = rejection(untilError(service, start));
      await new Promise((resolve) => setTimeout(resolve, 300));
      await collection.drop();
      if (again) await collection.insertOne({});
      expect((await reading).code).toBe(again ? "STORE_CHANGED" : "SOURCE_NOT_FOUND");
      // The stand-in makes the collection again when it is asked for its changes.
      const later = await rejection(untilError(service, start));
      expect(["SOURCE_NOT_FOUND", "STORE_CHANGED"]).toContain(later.code);
    }
  });

  it.skipIf(!canFail)("is lost where the server cannot tell any more, and can be begun anew", async () => {
    const { collection, service } = await scratch();
    for (const [command, code] of [
      ["aggregate", 286],
      ["aggregate", 280],
      ["getMore", 286],
      ["aggregate", 260],
    ] as const) {
      const start = await service.changes!.now("f", calm);
      await failOnce(command, code);
      const error = await rejection(untilError(service, start));
      expect([error.code, error.message]).toEqual(["CHANGES_LOST", expect.stringContaining(String(code))]);
    }
    const anew = await service.changes!.now("f", calm);
    await collection.insertOne({ _id: "x" as never });
    expect((await heardOf(service, anew, 1)).refs).toEqual([{ id: "x" }]);
  });

  it.skipIf(!canFail)("is unavailable without the right, which the error names", async () => {
    const { service } = await scratch();
    await failOnce("aggregate", 13);
    const error = await rejection(service.changes!.now("f", calm));
    expect([error.code, error.message]).toEqual(["CHANGES_UNAVAILABLE", expect.stringContaining("grantRolesToUser")]);
  });

  it("goes on after a cut connection from the same position", async () => {
    const { collection, service } = await scratch();
    const start = await service.changes!.now("f", calm);
    const proxy = await startProxy(url);
    const { hostname } = new URL(url);
    const cut = await open(
      endpointFor(`mongodb://${hostname}:${proxy.port}`, database, {
        collection: collection.collectionName,
        directConnection: true,
      }),
      "source",
      2000,
    );
    const reading = cut.changes!.read({ follower: "f", after: start, maxWaitMs: 50, signal: calm });
    await reading[Symbol.asyncIterator]().next();
    proxy.cut();
    await collection.insertOne({ _id: "x" as never });
    const told: unknown[] = [];
    // The driver goes on by itself where it can; else it is an error after which the same position is right.
    for (let tries = 0; tries < 5 && told.length === 0; tries++) {
      try {
        told.push(...(await heardOf(cut, start, 1)).refs);
      } catch (error) {
        expect((error as P2PError).code).toBe("CONNECTION_LOST");
      }
    }
    expect(told).toEqual([{ id: "x" }]);
    await cut.close();
    await proxy[Symbol.asyncDispose]();
  });

  it("knows its own cursors, and its state", async () => {
    const { endpoint, service } = await scratch();
    for (const after of [{ store: "redis", at: 1 }, null, 5, { token: "x" }]) {
      expect((await rejection(firstOf(service, after, 10))).code).toBe("CHECKPOINT_INVALID");
    }
    const context = { role: "source", signal: calm, connectTimeoutMs: 5000 } as const;
    for (const verb of ["status", "enable", "disable"] as const) {
      expect(await mongodbStarter.changes![verb](endpoint, context)).toMatchObject({ state: "on", kept: [] });
    }
  });
}

await describeWithOwnService("mongodb", { changeStreams: "replica-set" }, "changes, by a stand-in", ({ url }) => {
  for (const what of REAL_ALONE) console.info(`left to a real MongoDB: ${what}`);
  changesOf(url, true);
  const { createEndpoint } = scratchCollections(url, "changes-conformance");
  describeConformance({
    name: "mongo-java-server",
    starter: mongodbStarter,
    createEndpoint: async () => {
      const place = await createEndpoint();
      return {
        ...place,
        changeRecord: async (id) => {
          await place.collection.updateOne({ _id: id as never }, { $set: { changed: true } });
        },
        deleteRecords: async (ids) => {
          await place.collection.deleteMany({ _id: { $in: ids as never[] } });
        },
      };
    },
    groups: ["changes"],
    lacks: [
      {
        what: "ids that are broken and extreme numbers are told so that look-ups find them",
        reason: "mongo-java-server does not find the id 2 ** 63 in a list of ids; smaller ones are in the other checks",
      },
    ],
  });
});

describeWithService("mongodb", "changes of a server as it is", ({ url, product }) => {
  if (product === "MongoDB") {
    describe("a replica set", () => changesOf(url, false));
    return;
  }
  const { createEndpoint } = scratchCollections(url, "no-changes");
  it("are unavailable where there are none, and that is told before anything is read", async () => {
    const { endpoint, collection } = await createEndpoint();
    await collection.insertOne({});
    const service = await open(endpoint);
    expect([service.capabilities.changes, service.changes]).toEqual([false, undefined]);
    await service.close();
    const context = { role: "source", signal: calm, connectTimeoutMs: 5000 } as const;
    expect(await mongodbStarter.changes!.status(endpoint, context)).toMatchObject({
      state: "unavailable",
      detail: expect.stringContaining("FerretDB"),
    });
    expect((await rejection(mongodbStarter.changes!.enable(endpoint, context))).code).toBe("CHANGES_UNAVAILABLE");
  });
});

describeWithService("mongodb", "changes without a replica set", () => {
  test("are unavailable, and the error says how to make one of a single server", async () => {
    const server = await startService("mongodb", { changeStreams: "standalone", log: () => {} });
    const client = new mongodb.MongoClient(server.url);
    try {
      await client.db("app").collection("docs").insertOne({});
      const service = await open(endpointFor(server.url, "app", { collection: "docs" }));
      const error = await rejection(service.changes!.now("f", calm));
      expect(error.code).toBe("CHANGES_UNAVAILABLE");
      expect(error.message).toContain("rs.initiate()");
      await service.close();
    } finally {
      await client.close();
      await server.stop();
    }
  });
});

describe("an event", () => {
  const client = new mongodb.MongoClient("mongodb://127.0.0.1:1");
  const collection: Collection<Document> = client.db("app").collection("docs");
  const opened = (shardKey: string[] = [], deletable = true) =>
    openedAs(collection, { dialect: MONGODB, shardKey, deletable });

  it("gives the id with its type and the shard key as a locator, in either form, unless a part of it is missing", () => {
    const named = (documentKey: Document, ...shardKey: string[]) =>
      refOf({ operationType: "update", documentKey }, opened(shardKey));
    expect(named({ _id: new Binary(Buffer.from([1, 2])) })).toEqual({ id: new Uint8Array([1, 2]) });
    expect(named({ region: "eu", _id: new Long(5) }, "region")).toEqual({ id: 5n, locator: { region: "eu" } });
    expect(named({ "a.b": 1, _id: 1 }, "a.b")).toEqual({ id: 1, locator: { "a.b": 1 } });
    expect(named({ a: { b: 1 }, _id: 1 }, "a.b")).toEqual({ id: 1, locator: { "a.b": 1 } });
    expect(named({ _id: 1 }, "region")).toEqual({ id: 1 });
    expect(refOf({ operationType: "drop" }, opened())).toBeUndefined();
  });

  it("of a view or a time series cannot be had", async () => {
    const feed = mongodbChangeFeed(opened([], false), () => {});
    const error = await rejection(feed.now("f", calm));
    expect([error.code, error.message]).toEqual(["CHANGES_UNAVAILABLE", expect.stringContaining("view")]);
  });

  it("makes look-ups wait for its time, and read what the majority has", async () => {
    const followed: { level?: string; readAfter?: Timestamp }[] = [];
    const feed = mongodbChangeFeed(opened(), ({ collection: { readConcern }, readAfter }) =>
      followed.push({ ...(readConcern && { level: readConcern.level }), ...(readAfter && { readAfter }) }),
    );
    const at = (t: number) => ({ store: "mongodb", at: { token: { _data: "82" }, time: [t, 3] } });
    await feed.visible!(at(7), calm);
    await feed.visible!(at(5), calm);
    expect(followed).toEqual([
      { level: "majority", readAfter: new Timestamp({ t: 7, i: 3 }) },
      { level: "majority", readAfter: new Timestamp({ t: 7, i: 3 }) },
    ]);
  });

  it("that never comes, since the connection is dead and nobody has closed it, is waited for within a bound", async () => {
    const silent = Object.assign(client.db("app").collection("docs"), {
      watch: () => ({ tryNext: () => new Promise(() => {}), close: async () => {} }),
    });
    const feed = mongodbChangeFeed(
      openedAs(silent as never, { dialect: MONGODB, collection: silent as never }),
      () => {},
    );
    const after = { store: "mongodb", at: { token: { _data: "82" } } };
    vi.useFakeTimers();
    try {
      const reading = feed.read({ follower: "f", after, maxWaitMs: 5000, signal: calm })[Symbol.asyncIterator]();
      const ended = rejection(reading.next());
      await vi.advanceTimersByTimeAsync(30_000);
      expect(await ended).toMatchObject({ code: "CONNECTION_LOST", retryable: true });
    } finally {
      vi.useRealTimers();
    }
  });

  it("that is too large for an answer is a loss, and no error that comes again for ever", () => {
    const tooLarge = Object.assign(new Error("BSONObj size is invalid"), { code: 10334 });
    expect(streamError(tooLarge, opened()).code).toBe("CHANGES_LOST");
    const outrun = Object.assign(new Error("resume of change stream was not possible"), { code: 286 });
    const oplog = [outrun, tooLarge].map((error) => streamError(error, opened()).message.includes("oplog"));
    expect(oplog).toEqual([true, false]);
    expect(streamError(new P2PError("BUSY", "x"), opened()).code).toBe("BUSY");
  });
});

async function heardOf(service: P2PDataTransferService, after: JsonValue, count: number) {
  const batches: ChangeBatch[] = [];
  const signal = AbortSignal.timeout(10_000);
  for await (const batch of service.changes!.read({ follower: "f", after, maxWaitMs: 200, signal })) {
    batches.push(batch);
    const refs = batches.flatMap((each) => each.refs);
    if (new Set(refs.map(({ id }) => idKey(id))).size >= count) return { batches, refs };
  }
  throw new Error("it ended");
}

async function firstOf(service: P2PDataTransferService, after: JsonValue, maxWaitMs: number, signal = calm) {
  for await (const batch of service.changes!.read({ follower: "f", after, maxWaitMs, signal })) return batch;
  throw new Error("it ended");
}

async function untilError(service: P2PDataTransferService, after: JsonValue): Promise<void> {
  const signal = AbortSignal.timeout(10_000);
  for await (const { refs } of service.changes!.read({ follower: "f", after, maxWaitMs: 100, signal })) {
    expect(refs).toEqual([]);
  }
}
