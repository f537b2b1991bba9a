import { TaggedValue } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { ObjectId } from "mongodb";
import { expect, test } from "vitest";
import { calm, open, readAll, readBatches, rejection, scratchCollections } from "./scratch.ts";

describeWithService("mongodb", "native queries", (service) => {
  const { createEndpoint } = scratchCollections(service.url, "native");

  async function filled() {
    const place = await createEndpoint();
    await place.collection.insertMany(
      Array.from({ length: 10 }, (_, n) => ({
        _id: ObjectId.createFromTime(n),
        n,
        tags: ["a", `t${n % 3}`],
        meta: { page: n },
      })),
    );
    return { ...place, source: await open(place.endpoint) };
  }

  test("a filter holds beside where, with any cursor and in parts", async () => {
    const { source } = await filled();
    const query = { where: { n: { lt: 8 } }, native: { mongodb: { filter: { tags: "t1", "meta.page": { $gt: 1 } } } } };
    expect((await readAll(source, query)).map(({ n }) => n)).toEqual([4, 7]);
    expect(await source.count(query, calm)).toBe(2);
    const [first] = await readBatches(source, query, { batchSize: 1 });
    expect((await readAll(source, query, { after: first!.cursor })).map(({ n }) => n)).toEqual([7]);
    const parts = await source.partitions(query, 3, calm);
    expect((await Promise.all(parts.map((part) => readAll(source, part)))).flat().map(({ n }) => n)).toEqual([4, 7]);
    expect((await readAll(source, { ...query, orderBy: { field: "n", direction: "desc" } })).map(({ n }) => n)).toEqual(
      [7, 4],
    );
    await source.close();
  });

  test("a filter takes the driver's values and tagged ones", async () => {
    const { source, collection } = await filled();
    const [document] = await collection.find({ n: 3 }).toArray();
    for (const _id of [document!._id, new TaggedValue("mongodb:objectId", document!._id.toHexString())]) {
      expect(
        (await readAll(source, { native: { mongodb: { filter: { _id: { $in: [_id] } } } } })).map(({ n }) => n),
      ).toEqual([3]);
    }
    await source.close();
  });

  test("a hint names an index", async () => {
    const { source } = await filled();
    expect(await readAll(source, { native: { mongodb: { hint: "_id_" } } })).toHaveLength(10);
    expect(await readAll(source, { native: { mongodb: { hint: { _id: 1 } } } })).toHaveLength(10);
    await source.close();
  });

  test("what is not a native query is refused", async () => {
    const { source } = await filled();
    const codeOf = async (native: object) => (await rejection(readAll(source, { native }))).code;
    expect(await codeOf({ sqlite: { sql: "1" } })).toBe("UNSUPPORTED_QUERY");
    expect(await codeOf({ mongodb: { filters: {} } })).toBe("INVALID_QUERY");
    expect(await codeOf({ mongodb: { filter: [] } })).toBe("INVALID_QUERY");
    expect(await codeOf({ mongodb: { hint: 5 } })).toBe("INVALID_QUERY");
    expect(await codeOf({ mongodb: { filter: { n: { $nonsense: 1 } } } })).toBe("INVALID_QUERY");
    const sorted = await rejection(readAll(source, { orderBy: "meta.page" }));
    expect(sorted.code).toBe("UNSUPPORTED_QUERY");
    await source.close();
  });
});
