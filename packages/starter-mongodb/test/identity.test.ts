import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, test } from "vitest";
import { calm, endpointFor, open, scratchCollections } from "./scratch.ts";

describeWithService("mongodb", "identity", (service) => {
  const { createEndpoint, database } = scratchCollections(service.url, "identity");

  test("stays through writes and a new connection, and is of one collection alone", async () => {
    const [one, other] = [await createEndpoint(), await createEndpoint()];
    for (const { collection } of [one, other]) await collection.insertOne({ n: 1 });
    const [source, target, stranger] = [
      await open(one.endpoint),
      await open({ ...one.endpoint, host: "localhost" }, "target"),
      await open(other.endpoint),
    ];
    const before = await source.identity!(calm);
    await target.writeToTarget([{ id: "new" }], { mode: "insert", signal: calm });
    expect(await source.identity!(calm)).toEqual(before);
    expect(await target.identity!(calm)).toEqual(before);
    expect(before).toMatchObject({ thing: expect.any(String), incarnation: expect.any(String) });
    const { thing, incarnation } = await stranger.identity!(calm);
    expect(thing).not.toBe(before.thing);
    expect(incarnation).not.toBe(before.incarnation);
    for (const opened of [source, target, stranger]) await opened.close();
  });

  test("a collection that is dropped has none, and one made anew has another", async () => {
    const { endpoint, collection } = await createEndpoint();
    await collection.insertOne({ n: 1 });
    const source = await open(endpoint);
    const before = await source.identity!(calm);
    await collection.drop();
    expect((await source.identity!(calm)).incarnation).toBeUndefined();
    await collection.insertOne({ n: 1 });
    const after = await source.identity!(calm);
    expect(after.thing).toBe(before.thing);
    expect(after.incarnation).not.toBe(before.incarnation);
    await source.close();
  });

  test("a target that does not exist yet has no incarnation", async () => {
    const target = await open(endpointFor(service.url, database, { collection: "not yet" }), "target");
    expect((await target.identity!(calm)).incarnation).toBeUndefined();
    await target.close();
  });

  test("a target is read by named ids, as the engine samples it", async () => {
    const { endpoint } = await createEndpoint();
    const target = await open(endpoint, "target");
    await target.writeToTarget([{ id: 1 }, { id: "b" }, { id: new Date(5) }], { mode: "insert", signal: calm });
    const found: unknown[] = [];
    const query = { where: { id: { in: [1, "b", new Date(5), "gone"] } } };
    for await (const { records } of target.readFromSource(query, { batchSize: 10, signal: calm })) {
      found.push(...records.map(({ id }) => id));
    }
    expect(found).toEqual([1, "b", new Date(5)]);
    await target.close();
  });
});
