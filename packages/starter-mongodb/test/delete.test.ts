import { type P2PId, type P2PRecord, recordDigest, TaggedValue } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { recordsArbitrary } from "@omni/p2p-testkit";
import * as fc from "fast-check";
import { Binary, BSON, Decimal128, type Document, Long, MinKey, ObjectId, Timestamp } from "mongodb";
import { describe, expect, test } from "vitest";
import { deleteRecords } from "../src/writing/delete.ts";
import { fieldGuard, wholeGuard } from "../src/writing/guard.ts";
import { ASKED_AS_MONGODB, interrupted, openedAs } from "./opened.ts";
import { calm, open, readAll, rejection, scratchCollections } from "./scratch.ts";

const refs = (...ids: readonly P2PId[]) => ids.map((id) => ({ id }));
const nothing = { deleted: 0, absent: 0, changed: [], failures: [] };

describeWithService("mongodb", "deletes", (service) => {
  const { createEndpoint } = scratchCollections(service.url, "delete");

  async function filled(documents: readonly object[]) {
    const place = await createEndpoint();
    await place.collection.insertMany(documents.map((document) => ({ ...document })));
    return { ...place, target: await open(place.endpoint, "target") };
  }

  test("the record that an upsert would replace is deleted; absent ones and second mentions are no error", async () => {
    const { target } = await filled([{ _id: 1 }, { _id: "1" }, { _id: "a" }, { _id: "stays" }]);
    expect(await target.deleteFromTarget!(refs("a", 1n, "nobody", "a"), { signal: calm })).toEqual({
      ...nothing,
      deleted: 2,
      absent: 2,
    });
    expect((await readAll(target)).map(({ id }) => id)).toEqual(["1", "stays"]);
    expect(await target.deleteFromTarget!([], { signal: calm })).toEqual(nothing);
    await target.close();
  });

  test("ids of every kind are gone for a reader that opens later", async () => {
    const place = await createEndpoint();
    const target = await open(place.endpoint, "target");
    const ids: P2PId[] = [
      -4,
      0.5,
      7n,
      2n ** 90n,
      "😀",
      true,
      new Date(-5),
      Uint8Array.of(1, 2),
      { a: 1, b: [2] },
      { $c: { "d.e": 1 } },
      new TaggedValue("mongodb:objectId", "65f0c0ffee0ddba11ca7f00d"),
      new TaggedValue("mongodb:timestamp", { t: 1, i: 2 }),
      new TaggedValue("testkit:key", "x"),
    ];
    const { failures } = await target.writeToTarget(
      ids.map((id) => ({ id })),
      { mode: "upsert", signal: calm },
    );
    expect(failures).toEqual([]);
    const [stays, ...others] = ids;
    const result = await target.deleteFromTarget!(refs(...others), { signal: calm });
    expect(result).toEqual({ ...nothing, deleted: others.length });
    const reader = await open(place.endpoint);
    expect((await readAll(reader)).map(({ id }) => id)).toEqual([stays]);
    await reader.close();
    await target.close();
  });

  test("a record that is not the expected one stays, and is told by its index", async () => {
    const { target, collection } = await filled([
      { _id: "same", list: [1, { a: null }], at: new Date(0), n: 5n },
      { _id: "other", title: "as it was" },
      { _id: "more" },
    ]);
    const digests = new Map((await readAll(target)).map((record) => [record.id, recordDigest(record)]));
    await collection.updateOne({ _id: "other" as never }, { $set: { title: "as it is" } });
    await collection.updateOne({ _id: "more" as never }, { $set: { more: 1 } });
    const expecting = (...ids: string[]) => ids.map((id) => ({ id, expected: digests.get(id) ?? "none" }));
    const result = await target.deleteFromTarget!(expecting("more", "nobody", "other", "same", "same"), {
      signal: calm,
    });
    expect(result).toEqual({ deleted: 1, absent: 2, changed: [0, 2], failures: [] });
    expect((await readAll(target)).map(({ id }) => id)).toEqual(["more", "other"]);
    await target.close();
  });

  test("whatever was written can be deleted by its digest, and by no other", async () => {
    await fc.assert(
      fc.asyncProperty(recordsArbitrary({ idsWithout: ["date", "bytes"] }, { maxLength: 8 }), async (records) => {
        const place = await createEndpoint();
        const target = await open(place.endpoint, "target");
        await target.writeToTarget(records, { mode: "upsert", signal: calm });
        const read = await readAll(target);
        const wrong = read.map(({ id }) => ({ id, expected: recordDigest({ id, other: true }) }));
        expect(await target.deleteFromTarget!(wrong, { signal: calm })).toEqual({
          ...nothing,
          changed: read.map((_, index) => index),
        });
        const right = read.map((record) => ({ id: record.id, expected: recordDigest(record) }));
        expect(await target.deleteFromTarget!(right, { signal: calm })).toEqual({ ...nothing, deleted: read.length });
        expect(await place.collection.countDocuments()).toBe(0);
        await target.close();
      }),
      { numRuns: 20 },
    );
  }, 120_000);

  test("many are deleted at once, with digests and without", async () => {
    const { target, collection } = await filled(Array.from({ length: 3000 }, (_, n) => ({ _id: `id-${n}`, n })));
    const plain = refs(...Array.from({ length: 10_000 }, (_, n) => `id-${n + 1000}`));
    expect(await target.deleteFromTarget!(plain, { signal: calm })).toEqual({
      ...nothing,
      deleted: 2000,
      absent: 8000,
    });
    const left = await readAll(target);
    expect(left).toHaveLength(1000);
    const expecting = left.map((record, n) => ({
      id: record.id,
      expected: recordDigest(n % 10 === 0 ? { ...record, n: -1 } : record),
    }));
    const { deleted, changed } = await target.deleteFromTarget!(expecting, { signal: calm });
    expect([deleted, changed.length]).toEqual([900, 100]);
    expect(await collection.countDocuments()).toBe(100);
    await target.close();
  }, 120_000);

  test("a record that is changed between the comparison and the delete stays, and is told as changed", async () => {
    const { target, collection } = await filled(["a", "b", "gone"].map((_id) => ({ _id, n: 1 })));
    const refs = (await readAll(target)).map((record) => ({ id: record.id, expected: recordDigest(record) }));
    const racing = interrupted(collection, "deleteMany", 1, async () => {
      await collection.updateOne({ _id: "a" as never }, { $set: { n: 2 } });
      await collection.deleteOne({ _id: "gone" as never });
    });
    const result = await deleteRecords(openedAs(collection, { collection: racing }), refs, { signal: calm });
    expect(result).toEqual({ deleted: 1, absent: 1, changed: [0], failures: [] });
    expect(await collection.find().toArray()).toEqual([{ _id: "a", n: 2 }]);
    await target.close();
  });

  test("asked as MongoDB is, what is expected is deleted in one bulk write that names whole documents", async () => {
    const { target, collection } = await filled(
      ["a", "b", "gone"].map((_id) => ({ _id, n: 1, list: [1, { x: "y" }] })),
    );
    const asked = (await readAll(target)).map((record) => ({ id: record.id, expected: recordDigest(record) }));
    let sent = 0;
    // The stand-in cannot compare whole documents: their fields do, in which nothing is added here.
    const bulkWrite = async (operations: readonly { readonly deleteOne: { readonly filter: Document } }[]) => {
      sent++;
      await collection.updateOne({ _id: "a" as never }, { $set: { n: 2 } });
      await collection.deleteOne({ _id: "gone" as never });
      let deletedCount = 0;
      for (const { deleteOne } of operations) {
        const whole: ReadonlyMap<string, unknown> = deleteOne.filter.$expr.$and[1].$eq[1].$literal;
        expect(whole.get("_id")).toBe(deleteOne.filter._id);
        deletedCount += (await collection.deleteOne(Object.fromEntries(whole))).deletedCount;
      }
      return { upsertedCount: 0, deletedCount };
    };
    const stubbed = Object.assign(collection.db.collection(collection.collectionName), { bulkWrite });
    const opened = openedAs(collection, { dialect: ASKED_AS_MONGODB, collection: stubbed as never });
    expect(await deleteRecords(opened, [...asked, { id: "nobody", expected: "digest" }], { signal: calm })).toEqual({
      deleted: 1,
      absent: 2,
      changed: [0],
      failures: [],
    });
    expect(sent).toBe(1);
    await target.close();
  });

  test("what the server refuses is told by its index, and the others are deleted", async () => {
    const { collection } = await filled([{ _id: "a" }, { _id: "b" }, { _id: "c" }]);
    const bulkWrite = async () => {
      const { deletedCount } = await collection.deleteMany({ _id: { $in: ["a", "c"] as never[] } });
      const refusal = { index: 1, code: 112, errmsg: "WriteConflict error" };
      throw Object.assign(new Error("one was refused"), {
        name: "MongoBulkWriteError",
        writeErrors: [refusal],
        deletedCount,
      });
    };
    const stubbed = Object.assign(collection.db.collection(collection.collectionName), { bulkWrite });
    const opened = openedAs(collection, {
      dialect: { ...ASKED_AS_MONGODB, namesFailedUpdates: true },
      collection: stubbed as never,
    });
    expect(await deleteRecords(opened, refs("a", "b", "c", "nobody"), { signal: calm })).toMatchObject({
      deleted: 2,
      absent: 1,
      changed: [],
      failures: [{ index: 1, id: "b", error: { code: "BUSY", retryable: true } }],
    });
  });

  test("an object with a number of another type is the same id, and is compared as it is", async () => {
    const { target, collection } = await filled([{ _id: { a: 5n } }, { _id: { a: 6n } }]);
    const [first, second] = await readAll(target);
    expect(first!.id).toEqual({ a: 5n });
    const asked = [
      { id: { a: 5 }, expected: recordDigest({ id: { a: 5 } }) },
      { id: { a: 6 }, expected: recordDigest(second!) },
    ];
    expect(await target.deleteFromTarget!(asked, { signal: calm })).toEqual({ ...nothing, deleted: 1, changed: [0] });
    expect(await target.deleteFromTarget!(refs({ a: 5 }), { signal: calm })).toEqual({ ...nothing, deleted: 1 });
    expect(await collection.countDocuments()).toBe(0);
    await target.close();
  });

  test("a collection that is not there has none of them", async () => {
    const { endpoint } = await createEndpoint();
    const target = await open(endpoint, "target");
    const asked = [{ id: 1 }, { id: 2, expected: "digest" }];
    expect(await target.deleteFromTarget!(asked, { signal: calm })).toEqual({ ...nothing, absent: 2 });
    await target.close();
  });

  test("an aborted delete deletes nothing", async () => {
    const { target, collection } = await filled([{ _id: 1 }]);
    const reason = new Error("enough");
    const deleting = target.deleteFromTarget!(refs(1), { signal: AbortSignal.abort(reason) });
    expect(await rejection(deleting)).toBe(reason);
    expect(await collection.countDocuments()).toBe(1);
    await target.close();
  });

  test("nothing is deleted from a view or a time series", async () => {
    const { collection } = await filled([{ _id: 1 }]);
    const opened = openedAs(collection, { deletable: false });
    expect((await rejection(deleteRecords(opened, refs(1), { signal: calm }))).code).toBe("TARGET_NOT_WRITABLE");
    expect(await collection.countDocuments()).toBe(1);
  });

  test("with a shard key, a record is deleted where its locator says, and where it lies since", async () => {
    const { collection } = await filled([
      { _id: 1, region: "eu" },
      { _id: 2, region: "us" },
      { _id: 3, region: "us" },
    ]);
    const opened = openedAs(collection, { dialect: ASKED_AS_MONGODB, shardKey: ["region"] });
    const located = [
      { id: 1, locator: { region: "eu" } },
      { id: 2, locator: { region: "eu" } },
      { id: 4, locator: { region: "eu" } },
    ];
    expect(await deleteRecords(opened, located, { signal: calm })).toEqual({ ...nothing, deleted: 2, absent: 1 });
    expect((await collection.find().toArray()).map(({ _id }) => _id)).toEqual([3]);
  });

  test("text that is the same only by a collection's rules is left alone", async () => {
    const { collection } = await filled([{ _id: "a" }]);
    const opened = openedAs(collection, { collated: true });
    expect(await deleteRecords(opened, refs("A", "a"), { signal: calm })).toEqual({
      ...nothing,
      deleted: 1,
      absent: 1,
    });
  });
});

describe("the guard of a document that is expected to be as it is", () => {
  const values: Document = {
    _id: 1,
    double: -0,
    nan: Number.NaN,
    long: Long.fromBigInt(5n),
    text: "é",
    nested: new Map<string, unknown>([
      [
        "2",
        [
          new Map([
            ["10", null],
            ["9", true],
          ]),
        ],
      ],
      ["1", { $ref: "x", "a.b": 1 }],
    ]),
    empty: [],
    binary: new Binary(Uint8Array.of(1), 5),
    objectId: new ObjectId("65f0c0ffee0ddba11ca7f00d"),
    date: new Date(-5),
    decimal: Decimal128.fromString("1.50"),
    timestamp: new Timestamp({ t: 1, i: 2 }),
    minKey: new MinKey(),
    __proto__own: 1,
  };
  const document = BSON.serialize(values);

  test("names the whole document byte by byte, and its size", () => {
    const guard = wholeGuard(document, 1, BSON);
    expect(guard).toMatchObject({
      _id: 1,
      $expr: { $and: [{ $eq: [{ $bsonSize: "$$ROOT" }, document.length] }, { $eq: ["$$ROOT", {}] }] },
    });
    const { $literal } = guard!.$expr.$and[1].$eq[1];
    expect(Buffer.compare(BSON.serialize($literal), document)).toBe(0);
  });

  test("names each field where a server cannot compare whole documents", () => {
    const guard = fieldGuard(BSON.serialize({ _id: 1, a: null, b: { c: 1 } }), 1, BSON);
    expect(Object.keys(guard!)).toEqual(["_id", "a", "b"]);
    expect(BSON.deserialize(BSON.serialize(guard!))).toEqual({ _id: 1, a: { $eq: null }, b: { $eq: { c: 1 } } });
  });

  test("is none where a value has no way into the driver, or the document has no room for more", () => {
    const undefinedField = Buffer.from([10, 0, 0, 0, 0x06, 0x61, 0x62, 0x63, 0, 0]);
    const record: P2PRecord = { id: 1, body: "x".repeat(16 * 1024 * 1024 - 100) };
    const { id: _id, ...body } = record;
    for (const odd of [undefinedField, Buffer.from([5]), BSON.serialize({ _id, ...body })]) {
      expect(wholeGuard(odd, 1, BSON)).toBeUndefined();
    }
    expect(fieldGuard(undefinedField, 1, BSON)).toBeUndefined();
  });
});
