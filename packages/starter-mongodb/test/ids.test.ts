import { encodeJson, type P2PId, type P2PRecord, TaggedValue } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { assertSameRecords } from "@omni/p2p-testkit";
import { Binary, ObjectId, Timestamp, UUID } from "mongodb";
import { expect, test } from "vitest";
import { calm, open, readAll, readBatches, scratchCollections } from "./scratch.ts";

const hex = "65f0c0ffee0ddba11ca7f00d";
const uuid = "0e4f2c5a-9d3b-4a6e-8f10-123456789abc";

/** Ids of every type that may be one, as the driver writes them, in BSON's order. */
const stored: readonly unknown[] = [
  -4,
  0.5,
  7n,
  2 ** 53 + 2,
  "",
  "A",
  "a",
  "é",
  "😀",
  { a: 1 },
  { a: 1, b: 2 },
  new Binary(Uint8Array.of(1)),
  new Binary(Uint8Array.of(1, 2)),
  new UUID(uuid),
  new ObjectId(hex),
  false,
  true,
  new Date(-5),
  new Date(5_000_000),
  new Timestamp({ t: 1, i: 1 }),
];

/** The same as records have them. */
const ids: readonly P2PId[] = [
  -4,
  0.5,
  7n,
  2 ** 53 + 2,
  "",
  "A",
  "a",
  "é",
  "😀",
  { a: 1 },
  { a: 1, b: 2 },
  Uint8Array.of(1),
  Uint8Array.of(1, 2),
  new TaggedValue("mongodb:uuid", uuid),
  new TaggedValue("mongodb:objectId", hex),
  false,
  true,
  new Date(-5),
  new Date(5_000_000),
  new TaggedValue("mongodb:timestamp", { t: 1, i: 1 }),
];

describeWithService("mongodb", "ids of several types in one collection", (service) => {
  const { createEndpoint } = scratchCollections(service.url, "ids");

  async function filled() {
    const place = await createEndpoint();
    await place.collection.insertMany(stored.toReversed().map((_id, i) => ({ _id: _id as ObjectId, i })));
    return { ...place, source: await open(place.endpoint) };
  }
  const texts = (records: readonly P2PRecord[]) => records.map(({ id }) => encodeJson(id));
  const expected = ids.map(encodeJson);

  test("are read in BSON's order", async () => {
    const { source } = await filled();
    expect(texts(await readAll(source))).toEqual(expected);
    await source.close();
  });

  test("reading goes on after each of them", async () => {
    const { source } = await filled();
    const batches = await readBatches(source, {}, { batchSize: 1 });
    for (const [i, { cursor }] of batches.entries()) {
      expect(texts(await readAll(source, {}, { after: cursor }))).toEqual(expected.slice(i + 1));
    }
    await source.close();
  });

  test("parts have each of them once", async () => {
    const { source } = await filled();
    for (const count of [2, 3, 7, 50]) {
      const parts = await source.partitions({}, count, calm);
      expect(parts.length).toBeLessThanOrEqual(count);
      const read = await Promise.all(parts.map((part) => readAll(source, part, { batchSize: 2 })));
      expect(texts(read.flat())).toEqual(expected);
      const counts = await Promise.all(parts.map((part) => source.count(part, calm)));
      expect(counts).toEqual(read.map(({ length }) => length));
    }
    await source.close();
  });

  test("where finds each of them by its text", async () => {
    const { source } = await filled();
    for (const id of ids) {
      if (
        id instanceof TaggedValue ||
        id === "" ||
        !(typeof id !== "object" || id instanceof Date || id instanceof Uint8Array)
      )
        continue;
      expect(texts(await readAll(source, { where: { id } }))).toEqual([encodeJson(id)]);
    }
    expect(texts(await readAll(source, { where: { id: hex } }))).toEqual([encodeJson(ids[14]!)]);
    expect(texts(await readAll(source, { where: { id: uuid } }))).toEqual([encodeJson(ids[13]!)]);
    expect(texts(await readAll(source, { where: { id: '{"a":1}' } }))).toEqual([encodeJson({ a: 1 })]);
    expect(texts(await readAll(source, { where: { id: { in: ["7", "a", "nobody"] } } }))).toEqual(
      ["7n", '"a"'].map((text) => (text === "7n" ? encodeJson(7n) : text)),
    );
    await source.close();
  });

  test("ids that are objects and tagged values come back", async () => {
    const place = await createEndpoint();
    const records: P2PRecord[] = [
      { id: { region: "eu", n: 5 }, n: 1 },
      { id: { region: "eu" }, n: 2 },
      { id: { "a.b": 1, $c: [[1]] }, n: 3 },
      { id: new TaggedValue("mongodb:objectId", hex), n: 4 },
      { id: new TaggedValue("mongodb:regex", { pattern: ".*", options: "" }), n: 5 },
      { id: new TaggedValue("testkit:key", { a: 1 }), n: 6 },
      { id: { $gt: "" }, n: 7 },
    ];
    const target = await open(place.endpoint, "target");
    for (let time = 0; time < 2; time++) {
      const { written, failures } = await target.writeToTarget(records, { mode: "upsert", signal: calm });
      expect({ written, failures }).toEqual({ written: records.length, failures: [] });
    }
    assertSameRecords(await readAll(target), records);
    await target.close();
  });

  test("a field id beside _id is kept", async () => {
    const place = await createEndpoint();
    await place.collection.insertOne({ _id: "key" as unknown as ObjectId, id: "inner", _ids: [1] });
    const source = await open(place.endpoint, "target");
    const [record] = await readAll(source);
    expect(record).toEqual({ id: "key", _id: "inner", _ids: [1] });
    expect(await readAll(source, { where: { _id: "inner" }, fields: ["_id"] })).toEqual([{ id: "key", _id: "inner" }]);
    await source.writeToTarget([{ ...record!, id: "copy" }], { mode: "upsert", signal: calm });
    expect(await place.collection.findOne({ _id: "copy" as unknown as ObjectId })).toEqual({
      _id: "copy",
      id: "inner",
      _ids: [1],
    });
    await source.close();
  });
});
