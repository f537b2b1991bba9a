import type { JsonValue, P2PQuery, P2PRecord } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { Binary, type Document, MaxKey, MinKey, ObjectId, Timestamp } from "mongodb";
import { describe, expect, test } from "vitest";
import { MONGODB } from "../src/client/dialect.ts";
import { afterKeys } from "../src/query/sort-key.ts";
import { calm, open, readAll, readBatches, rejection, scratchCollections } from "./scratch.ts";

describeWithService("mongodb", "a sorted read", (service) => {
  const { createEndpoint } = scratchCollections(service.url, "sorted");

  async function filled(documents: readonly Document[]) {
    const place = await createEndpoint();
    await place.collection.insertMany([...documents]);
    return { ...place, source: await open(place.endpoint) };
  }
  const idsOf = (records: readonly P2PRecord[]) => records.map(({ id }) => id);

  test("loses nothing when what was read already is deleted, in each direction and from each cursor", async () => {
    for (const orderBy of ["n", { field: "n", direction: "desc" }, { field: "id", direction: "desc" }] as const) {
      const documents = Array.from({ length: 300 }, (_, i) => ({ _id: i, n: (i * 7) % 50 }));
      const { source, collection } = await filled(documents);
      const query: P2PQuery = { orderBy };
      const expected = idsOf(await readAll(source, query));
      expect(expected).toHaveLength(300);
      const read: unknown[] = [];
      let after: JsonValue | undefined;
      while (read.length < 300) {
        const reading = source.readFromSource(query, { batchSize: 100, signal: calm, after });
        for await (const { records, cursor } of reading) {
          read.push(...idsOf(records));
          after = JSON.parse(JSON.stringify(cursor)) as JsonValue;
          break;
        }
        await collection.deleteMany({ _id: { $in: read as never[] } });
      }
      expect(read).toEqual(expected);
      await source.close();
    }
  });

  test("goes on with what comes after when records that come before are added meanwhile", async () => {
    const { source, collection } = await filled(Array.from({ length: 20 }, (_, i) => ({ _id: i, n: i * 2 })));
    const [first] = await readBatches(source, { orderBy: "n" }, { batchSize: 10 });
    await collection.insertMany(Array.from({ length: 5 }, (_, i) => ({ _id: 100 + i, n: -i }) as Document));
    const rest = await readAll(source, { orderBy: "n" }, { after: first!.cursor });
    expect(idsOf(rest)).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
    await source.close();
  });

  const hex = "65f0c0ffee0ddba11ca7f00d";
  const values: readonly unknown[] = [
    null,
    -1.5,
    0,
    5,
    5n,
    2 ** 53 + 2,
    "",
    "a",
    "é",
    "😀",
    { a: 1 },
    { a: 2 },
    new Binary(Uint8Array.of(1)),
    new Binary(Uint8Array.of(0, 0)),
    new ObjectId(hex),
    false,
    true,
    new Date(-5),
    new Date(7),
    new Timestamp({ t: 1, i: 1 }),
    [],
    [3, 8],
    ["b", 4],
    [null, 2],
    [{ a: 1 }, 1],
    [true],
    /x/,
  ];

  test("goes on after each value of every type, each once, in one field and in two", async () => {
    const documents = values.flatMap((v, i) => [
      { _id: `${i}a`, v, w: i % 3 },
      { _id: `${i}b`, v, w: i % 2 },
    ]);
    const { source } = await filled([{ _id: "none" }, ...documents, { _id: "zero", w: [1, 2] }]);
    const orders: NonNullable<P2PQuery["orderBy"]>[] = [
      "v",
      { field: "v", direction: "desc" },
      ["w", { field: "v", direction: "desc" }, { field: "id", direction: "desc" }],
      [{ field: "w", direction: "desc" }, "v"],
    ];
    for (const orderBy of orders) {
      const batches = await readBatches(source, { orderBy, fields: ["w"] }, { batchSize: 1 });
      const expected = idsOf(batches.flatMap(({ records }) => records));
      expect(new Set(expected).size).toBe(documents.length + 2);
      for (const [i, { cursor }] of batches.entries()) {
        const after = JSON.parse(JSON.stringify(cursor)) as JsonValue;
        const rest = idsOf(await readAll(source, { orderBy }, { after }));
        expect(rest, `${JSON.stringify(orderBy)} after ${i}: ${expected[i]}`).toEqual(expected.slice(i + 1));
      }
    }
    await source.close();
  });

  test("offset, limit and a where that is checked here count once", async () => {
    const { source } = await filled(Array.from({ length: 100 }, (_, i) => ({ _id: i, n: -i })));
    for (const where of [undefined, { id: { gte: 10 } }]) {
      const query: P2PQuery = { orderBy: "n", offset: 5, ...(where && { where }) };
      const all = idsOf(await readAll(source, query));
      expect(all).toHaveLength(where ? 85 : 95);
      for (const [i, { cursor }] of (await readBatches(source, query, { batchSize: 30 })).entries()) {
        expect(idsOf(await readAll(source, query, { after: cursor }))).toEqual(all.slice((i + 1) * 30));
        expect(idsOf(await readAll(source, { ...query, limit: 7 }, { after: cursor }))).toEqual(
          all.slice((i + 1) * 30).slice(0, 7),
        );
      }
    }
    await source.close();
  });

  test("cursors that are none, of another kind of read, or of an earlier version are CHECKPOINT_INVALID", async () => {
    const { source } = await filled([{ _id: 1, n: 1 }]);
    const foreign: JsonValue[] = [
      null,
      5,
      "x",
      {},
      [],
      { rank: 5 },
      { key: "a" },
      { keys: "", id: 1 },
      { keys: 5, id: 1 },
    ];
    for (const after of [...foreign, { id: 1 }, { passed: -1 }, { keys: "AAAA" }] as JsonValue[]) {
      expect((await rejection(readAll(source, { orderBy: "n" }, { after }))).code).toBe("CHECKPOINT_INVALID");
    }
    for (const after of [
      ...foreign,
      { id: { $p2p: "date", value: "never" } },
      { id: null },
      { id: [1] },
    ] as JsonValue[]) {
      expect((await rejection(readAll(source, {}, { after }))).code, JSON.stringify(after)).toBe("CHECKPOINT_INVALID");
    }
    await source.close();
  });
});

describe("the filter for what comes after", () => {
  const rest = { _id: { $gt: 1 } };
  const filter = (key: unknown, direction: 1 | -1) =>
    JSON.stringify(afterKeys([key], [["f", direction]], rest, MONGODB));

  test("names what comes before by type, which comparing alone would leave out", () => {
    expect(filter(new MinKey(), 1)).toBe('{"$or":[{"$nor":[{"f":{"$type":[-1]}}]},{"_id":{"$gt":1}}]}');
    expect(filter(new MaxKey(), -1)).toBe('{"$or":[{"$nor":[{"f":{"$type":[127]}}]},{"_id":{"$gt":1}}]}');
    // NaN is before all numbers, and neither less nor greater than any.
    expect(filter(1, 1)).toContain('{"f":{"$eq":null}}');
    expect(filter(Number.NaN, -1)).toContain('{"f":{"$type":[1,16,18,19]}}');
    for (const direction of [1, -1] as const) expect(filter([], direction)).toContain('{"f":{"$size":0}}');
    expect(filter("a", 1)).toContain('{"f":{"$exists":false}}');
    expect(filter("a", -1)).toContain('{"f":{"$elemMatch":{"$type":[4]}}}');
    expect(filter("a", 1)).not.toContain("$elemMatch");
  });
});
