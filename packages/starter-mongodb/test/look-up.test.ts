import { inspect } from "node:util";
import {
  encodeJson,
  idKey,
  type LookUpOutcome,
  type P2PCondition,
  type P2PDataTransferService,
  type P2PId,
  type P2PQuery,
  type P2PRecord,
  TaggedValue,
} from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { recordsArbitrary, SAMPLE_VALUES, valueArbitrary } from "@omni/p2p-testkit";
import * as fc from "fast-check";
import { Binary, ObjectId, Timestamp, UUID } from "mongodb";
import { expect, test } from "vitest";
import { readBatches } from "../src/read.ts";
import { lookUpRecords } from "../src/reading/look-up.ts";
import { broken } from "../src/values/bson-bytes.ts";
import { RecordDecoder } from "../src/values/decode.ts";
import { deleteRecords } from "../src/writing/delete.ts";
import { ASKED_AS_MONGODB, interrupted, openedAs } from "./opened.ts";
import { calm, open, readAll, rejection, type ScratchCollection, scratchCollections } from "./scratch.ts";

const hex = "65f0c0ffee0ddba11ca7f00d";
const uuid = "0e4f2c5a-9d3b-4a6e-8f10-123456789abc";

const refs = (...ids: readonly P2PId[]) => ids.map((id) => ({ id }));
const states = (outcomes: readonly LookUpOutcome[]) => outcomes.map(({ state }) => state);

describeWithService("mongodb", "look-ups", (service) => {
  const { createEndpoint } = scratchCollections(service.url, "look-up");

  async function filled(documents: readonly object[]) {
    const place = await createEndpoint();
    await place.collection.insertMany(documents.map((document) => ({ ...document })));
    return { ...place, source: await open(place.endpoint) };
  }
  const lookUp = (source: P2PDataTransferService, ids: readonly P2PId[], query: P2PQuery = {}) =>
    source.lookUp!(refs(...ids), query, { signal: calm });

  test("a record is wanted, unwanted or absent, in the order of the ids", async () => {
    const { source } = await filled([
      { _id: "a", type: "x", title: "first", size: 1 },
      { _id: "b", type: "y" },
      { _id: 3, type: "x", title: "third" },
    ]);
    const query: P2PQuery = { type: "x", fields: ["title"], orderBy: "size" };
    const outcomes = await lookUp(source, ["b", "nobody", 3, "a", 3], query);
    expect(outcomes).toEqual([
      { state: "unwanted" },
      { state: "absent" },
      { state: "wanted", record: { id: 3, title: "third" } },
      { state: "wanted", record: { id: "a", title: "first" } },
      { state: "wanted", record: { id: 3, title: "third" } },
    ]);
    const [, , one, , two] = outcomes;
    expect(one?.state === "wanted" && two?.state === "wanted" && one.record === two.record).toBe(false);
    expect(await lookUp(source, [], query)).toEqual([]);
    expect(states(await lookUp(source, ["a", "b", "c"]))).toEqual(["wanted", "wanted", "absent"]);
    await source.close();
  });

  test("ids of every type are found, by themselves and by their text", async () => {
    const stored: readonly unknown[] = [
      -4,
      0.5,
      7n,
      2 ** 53 + 2,
      "A",
      "😀",
      { a: 1 },
      { a: 1, b: "2" },
      new Binary(Uint8Array.of(1, 2)),
      new UUID(uuid),
      new ObjectId(hex),
      true,
      new Date(-5),
      new Timestamp({ t: 1, i: 1 }),
    ];
    const { source } = await filled(stored.map((_id, n) => ({ _id, n })));
    const records = await readAll(source);
    expect(records).toHaveLength(stored.length);
    const ids = records.map(({ id }) => id);
    const expected = records.map((record) => ({ state: "wanted", record }));
    for (const query of [{}, { where: { n: { gte: 0 } } }]) {
      expect(await lookUp(source, ids, query)).toEqual(expected);
      expect(await lookUp(source, ids.map(idKey), query)).toEqual(expected);
    }
    expect(states(await lookUp(source, ids, { where: { n: -1 } }))).toEqual(ids.map(() => "unwanted"));
    await source.close();
  });

  test("ids that are no values of the driver's are found", async () => {
    const place = await createEndpoint();
    const target = await open(place.endpoint, "target");
    const records: P2PRecord[] = [
      { id: { "a.b": 1, $c: [[1]] }, n: 1 },
      { id: new TaggedValue("testkit:key", { a: 1 }), n: 2 },
      { id: new TaggedValue("testkit:key", "text"), n: 3 },
      { id: 2n ** 100n, n: 4 },
      { id: { big: 2n ** 70n }, n: 5 },
      { id: new TaggedValue("mongodb:regex", { pattern: ".*", options: "" }), n: 6 },
    ];
    const { failures } = await target.writeToTarget(records, { mode: "upsert", signal: calm });
    expect(failures).toEqual([]);
    const expected = records.map((record) => ({ state: "wanted", record }));
    const ids = records.map(({ id }) => id);
    expect(await lookUp(target, ids, { where: { n: { gt: 0 } } })).toEqual(expected);
    expect(await lookUp(target, ids.map(idKey), {})).toEqual(expected);
    await target.close();
  });

  test("an object whose names are whole numbers in another order is found", async () => {
    const { source, collection } = await filled([{ _id: "other" }]);
    const _id = new Map([
      ["2", "b"],
      ["1", "a"],
    ]);
    await collection.insertOne({ _id: _id as never, n: 1 });
    const [record] = await readAll(source, { where: { n: 1 } });
    expect(await lookUp(source, [record!.id])).toEqual([{ state: "wanted", record }]);
    expect(states(await lookUp(source, [record!.id], { where: { n: 2 } }))).toEqual(["unwanted"]);
    await source.close();
  });

  test("of two ids with one text each is found by itself, and a third form finds one of them", async () => {
    const { source } = await filled([
      { _id: 1, of: "number" },
      { _id: "1", of: "text" },
    ]);
    const record = (outcome: LookUpOutcome | undefined) => (outcome?.state === "wanted" ? outcome.record.of : outcome);
    expect((await lookUp(source, [1, "1", 1n])).map(record)).toEqual(["number", "text", "number"]);
    const [text, number] = await lookUp(source, ["1", 1], { where: { of: "number" } });
    expect([text?.state, number?.state]).toEqual(["unwanted", "wanted"]);
    // Neither is the very id, and one of them is wanted.
    const other = new TaggedValue("testkit:id", "1");
    for (const of of ["number", "text"]) {
      expect(record((await lookUp(source, [other], { where: { of } }))[0])).toBe(of);
    }
    expect(states(await lookUp(source, [other], { where: { of: "nothing" } }))).toEqual(["unwanted"]);
    await source.close();
  });

  test("10,000 ids are looked up at once", async () => {
    const place = await createEndpoint();
    const size = 10_000;
    await place.collection.insertMany(Array.from({ length: size / 2 }, (_, n) => ({ _id: `id-${n}` as never, n })));
    const source = await open(place.endpoint);
    const ids = Array.from({ length: size }, (_, n) => `id-${n}`);
    const outcomes = await lookUp(source, ids, { where: { n: { lt: size / 4 } } });
    for (const [n, outcome] of outcomes.entries()) {
      const expected = n < size / 4 ? "wanted" : n < size / 2 ? "unwanted" : "absent";
      if (outcome.state !== expected) expect([n, outcome.state]).toEqual([n, expected]);
    }
    expect(outcomes).toHaveLength(size);
    await source.close();
  }, 120_000);

  test("long ids are asked for in several commands, and one that no document has room for is absent", async () => {
    const { source } = await filled([{ _id: "x".repeat(100_000) }, { _id: "short" }]);
    const ids = Array.from({ length: 80 }, (_, n) => "x".repeat(100_000 - n));
    const outcomes = await lookUp(source, [...ids, "y".repeat(17 * 1024 * 1024), "short"]);
    expect(states(outcomes)).toEqual(["wanted", ...new Array(80).fill("absent"), "wanted"]);
    await source.close();
  });

  test("a document that cannot be made out has failed, and is never absent", async () => {
    const { source } = await filled([
      { _id: 1, n: 1, _p2p: encodeJson({ deep: 1 }).replace('"deep"', '"\\ud800"') },
      { _id: 2, n: 1 },
    ]);
    const outcomes = await lookUp(source, [1, 2], { where: { n: 1 } });
    expect(states(outcomes)).toEqual(["failed", "wanted"]);
    expect(outcomes[0]).toMatchObject({ error: { code: "INVALID_RECORD", retryable: false } });
    expect(states(await lookUp(source, [1], { where: { n: 2 } }))).toEqual(["unwanted"]);
    await source.close();
  });

  test("a document that is damaged has failed where reading tells a failure, and is never absent", async () => {
    const { collection } = await filled([
      { _id: 1, n: 1 },
      { _id: 2, n: 2 },
    ]);
    class Damaged extends RecordDecoder {
      override decode(document: Uint8Array): P2PRecord {
        const record = super.decode(document);
        if (record.n === 1) throw broken("ends too early");
        return record;
      }
    }
    const opened = openedAs(collection, { decoder: new Damaged(() => "") });
    for (const [query, expected] of [
      [{}, "failed"],
      [{ where: { n: 1 } }, "failed"],
      [{ where: { id: 1 } }, "failed"],
      [{ where: { n: 2 } }, "unwanted"],
    ] as [P2PQuery, string][]) {
      const outcomes = await lookUpRecords(opened, refs(1, 3), query, { signal: calm });
      expect(states(outcomes), inspect(query)).toEqual([expected, "absent"]);
      let failures = 0;
      for await (const batch of readBatches(opened, query, { batchSize: 10, signal: calm })) {
        failures += batch.failures?.length ?? 0;
      }
      expect(failures).toBe(expected === "failed" ? 1 : 0);
    }
    const expected = [{ id: 1, expected: "digest" }];
    expect(await deleteRecords(opened, expected, { signal: calm })).toMatchObject({
      deleted: 0,
      failures: [{ index: 0, id: 1, error: { code: "INVALID_RECORD" } }],
    });
  });

  test("a native filter holds beside the ids, and so does a part of the query", async () => {
    const { source } = await filled(Array.from({ length: 10 }, (_, n) => ({ _id: n, tags: ["a", `t${n % 3}`], n })));
    const ids = Array.from({ length: 11 }, (_, n) => n);
    const query: P2PQuery = { where: { n: { lt: 8 } }, native: { mongodb: { filter: { tags: "t1" }, hint: "_id_" } } };
    const wanted = async (asked: P2PQuery) => {
      const outcomes = await lookUp(source, ids, asked);
      expect(outcomes[10]).toEqual({ state: "absent" });
      return ids.filter((n) => outcomes[n]!.state === "wanted");
    };
    expect(await wanted(query)).toEqual([1, 4, 7]);
    for (const part of await source.partitions(query, 3, calm)) {
      expect(await wanted(part)).toEqual((await readAll(source, part)).map(({ n }) => n));
    }
    await source.close();
  });

  test("what cannot be asked by id is refused", async () => {
    const { source } = await filled([{ _id: 1 }]);
    const code = async (query: object) => (await rejection(lookUp(source, [1], query))).code;
    expect(await code({ limit: 1 })).toBe("UNSUPPORTED_QUERY");
    expect(await code({ offset: 1 })).toBe("UNSUPPORTED_QUERY");
    expect(await code({ native: { sqlite: {} } })).toBe("UNSUPPORTED_QUERY");
    expect(await code({ native: { mongodb: { filter: { n: { $nonsense: 1 } } } } })).toBe("INVALID_QUERY");
    expect(await code({ limit: -1 })).toBe("INVALID_QUERY");
    await source.close();
  });

  test("a collection that is gone is no collection without the record", async () => {
    const { source, collection } = await filled([{ _id: 1 }]);
    await collection.drop();
    for (const query of [{}, { where: { n: 1 } }]) {
      expect((await rejection(lookUp(source, [1], query))).code).toBe("SOURCE_NOT_FOUND");
    }
    await source.close();
  });

  test("an abort rejects with its reason", async () => {
    const { source } = await filled([{ _id: 1 }]);
    const reason = new Error("enough");
    const aborted = { signal: AbortSignal.abort(reason) };
    expect(await rejection(source.lookUp!(refs(1), {}, aborted))).toBe(reason);
    const controller = new AbortController();
    const asking = source.lookUp!(refs(1, 2), { where: { n: 1 } }, { signal: controller.signal });
    controller.abort(reason);
    expect(await rejection(asking)).toBe(reason);
    await source.close();
  });

  test("a record that is there and wanted all the while is always told so, whatever others write", async () => {
    const { source, collection } = await filled([{ _id: "steady", n: 1, version: 0 }]);
    let writing = true;
    const writer = (async () => {
      for (let version = 1; writing; version++) {
        await collection.replaceOne({ _id: "steady" as never }, { n: 1, version });
        await collection.insertOne({ _id: "flicker" as never, n: version % 2 });
        await collection.deleteOne({ _id: "flicker" as never });
      }
    })();
    for (let round = 0; round < 100; round++) {
      const [steady, flicker] = await lookUp(source, ["steady", "flicker"], { where: { n: 1 } });
      expect(steady?.state).toBe("wanted");
      expect(flicker?.state).not.toBe("failed");
    }
    writing = false;
    await writer;
    await source.close();
  });

  test("FerretDB is asked for what has text or an ObjectId by that alone, which it has an index for", async () => {
    const { source, collection } = await filled([{ _id: "a", n: 1 }, { _id: new ObjectId(hex), n: 2 }, { _id: 3 }]);
    const filters: unknown[] = [];
    const find = (...[filter, options]: Parameters<typeof collection.find>) => {
      filters.push(filter);
      return collection.find(filter!, options);
    };
    const ways = { collection: Object.assign(Object.create(collection), { find }) };
    const watched = openedAs(collection, ways);
    const ids = [new TaggedValue("mongodb:objectId", hex), "a"];
    const found = await lookUpRecords(watched, refs(...ids), {}, { signal: calm });
    expect(found).toEqual(await lookUp(source, ids));
    expect(states(found)).toEqual(["wanted", "wanted"]);
    expect(filters).toEqual([{ _id: new ObjectId(hex) }, { _id: "a" }]);
    // What is not found so may be there in another form.
    expect(states(await lookUpRecords(watched, refs("a", "3", "b"), {}, { signal: calm }))).toEqual([
      "wanted",
      "wanted",
      "absent",
    ]);
    // And for what no document has room for, not at all.
    filters.length = 0;
    const small = openedAs(collection, { ...ways, maxDocumentBytes: 100 });
    expect(states(await lookUpRecords(small, refs("x".repeat(101), "a"), {}, { signal: calm }))).toEqual([
      "absent",
      "wanted",
    ]);
    expect(filters).toEqual([{ _id: "a" }]);
    await source.close();
  });

  test("asked as MongoDB is, in chunks of ids and in a session, it finds the same", async () => {
    const { source, collection } = await filled([
      { _id: "a", n: 1, at: { region: "eu" } },
      { _id: 2, n: 1, at: { region: "us" } },
      { _id: { k: 1 }, n: 2, at: null },
      { _id: "x".repeat(60_000), n: 1 },
    ]);
    await collection.insertOne({
      _id: new Map([
        ["2", 1],
        ["1", 2],
      ]) as never,
      n: 1,
    });
    const ids = (await readAll(source)).map(({ id }) => id);
    const asked = [...ids, "nobody", ...Array.from({ length: 70 }, (_, n) => "x".repeat(60_001 + n))];
    const opened = openedAs(collection, { dialect: ASKED_AS_MONGODB, sessions: true });
    for (const query of [{}, { where: { n: 1 } }, { where: { n: 1, id: { ne: "a" } } }]) {
      const outcomes = await lookUpRecords(opened, refs(...asked), query, { signal: calm });
      expect(outcomes).toEqual(await lookUp(source, asked, query));
      expect(states(outcomes).filter((state) => state === "absent")).toHaveLength(71);
    }
    await source.close();
  });

  test("what comes or goes between the steps of a look-up is told as it is at one of them", async () => {
    const query: P2PQuery = { where: { n: 1 } };
    const asked = async (
      call: number,
      before: readonly object[],
      interrupt: (at: ScratchCollection) => Promise<unknown>,
    ) => {
      const at = await filled([{ _id: "other", n: 2 }, ...before]);
      const collection = interrupted(at.collection, "find", call, () => interrupt(at));
      const opened = openedAs(at.collection, { dialect: ASKED_AS_MONGODB, collection });
      const outcomes = await lookUpRecords(opened, refs("x", "other"), query, { signal: calm });
      expect(outcomes[1]).toEqual({ state: "unwanted" });
      return outcomes[0]!.state;
    };
    const put = (n: number) => (at: ScratchCollection) =>
      at.collection.replaceOne({ _id: "x" as never }, { n }, { upsert: true });
    const remove = (at: ScratchCollection) => at.collection.deleteOne({ _id: "x" as never });
    // 1: with the filter; 2: the ids alone; 3: with the filter once more.
    expect(await asked(2, [], put(1))).toBe("wanted");
    expect(await asked(2, [], put(2))).toBe("unwanted");
    expect(await asked(2, [{ _id: "x", n: 2 }], remove)).toBe("absent");
    expect(await asked(3, [], put(1))).toBe("absent");
    expect(await asked(3, [{ _id: "x", n: 2 }], put(1))).toBe("wanted");
    for (const call of [2, 3]) {
      const dropped = asked(call, [{ _id: "x", n: 2 }], (at) => at.collection.drop());
      expect((await rejection(dropped)).code).toBe("SOURCE_NOT_FOUND");
    }
  });

  test("in a sharded collection a record comes with its locator, whatever fields are asked for", async () => {
    const { collection } = await filled([
      { _id: "a", n: 1, at: { region: "eu" } },
      { _id: "b", n: 1 },
    ]);
    const opened = openedAs(collection, { dialect: ASKED_AS_MONGODB, shardKey: ["at.region"] });
    const expected = [
      { state: "wanted", record: { id: "a", n: 1 }, locator: { "at.region": "eu" } },
      { state: "wanted", record: { id: "b", n: 1 }, locator: { "at.region": null } },
    ];
    for (const where of [{}, { n: 1 }]) {
      const query: P2PQuery = { where, fields: ["n"] };
      expect(await lookUpRecords(opened, refs("a", "b"), query, { signal: calm })).toEqual(expected);
      for await (const { records, locators } of readBatches(opened, query, { batchSize: 10, signal: calm })) {
        const read = records.map((record, n) => ({ state: "wanted", record, locator: locators![n] }));
        expect(read).toEqual(expected);
      }
    }
    const moved = [{ id: "a", locator: { "at.region": "us" } }];
    expect(states(await lookUpRecords(opened, moved, { where: { n: 1 } }, { signal: calm }))).toEqual(["wanted"]);
  });

  const scalar = fc
    .constantFrom(...(["boolean", "number", "bigint", "string", "date", "bytes"] as const))
    .chain((type) => fc.constantFrom(...SAMPLE_VALUES[type].slice(0, 25)))
    .filter((value) => !Number.isNaN(value));
  const condition = fc.oneof(
    fc.constant(null),
    scalar,
    fc.tuple(fc.constantFrom("ne", "gt", "gte", "lt", "lte"), scalar).map(([name, value]) => ({ [name]: value })),
    fc.array(scalar, { minLength: 1, maxLength: 3 }).map((values) => ({ in: values })),
    fc.boolean().map((exists) => ({ exists })),
    fc.string({ maxLength: 2 }).map((prefix) => ({ prefix })),
  ) as fc.Arbitrary<P2PCondition>;

  test("a record is wanted exactly when reading gives it: every operator on values of every kind", async () => {
    const place = await createEndpoint();
    const target = await open(place.endpoint, "target");
    const values = fc.sample(fc.oneof(scalar, valueArbitrary({ maxDepth: 1, maxStringLength: 50 })), 120);
    const records = values.map(
      (value, n): P2PRecord => ({ id: n % 2 === 0 ? n : `r${n}`, value, "dotted.name": value }),
    );
    const { failures } = await target.writeToTarget(records, { mode: "upsert", signal: calm });
    expect(failures).toEqual([]);
    const all = await readAll(target);
    const fields = fc.constantFrom("value", "id", "dotted.name");
    await fc.assert(
      fc.asyncProperty(fields, condition, async (field, asked) => {
        const query: P2PQuery = { where: { [field]: asked } };
        const read = new Set((await readAll(target, query)).map(({ id }) => idKey(id)));
        const outcomes = await target.lookUp!(refs(...all.map(({ id }) => id)), query, { signal: calm });
        const wanted = all.filter((_, n) => outcomes[n]!.state === "wanted").map(({ id }) => idKey(id));
        expect(new Set(wanted), inspect(query)).toEqual(read);
        expect(states(outcomes).filter((state) => state === "unwanted")).toHaveLength(all.length - read.size);
      }),
      { numRuns: 60 },
    );
    await target.close();
  }, 120_000);

  test("any record that was written is found by its id", async () => {
    await fc.assert(
      fc.asyncProperty(recordsArbitrary({ idsWithout: ["date", "bytes"] }, { maxLength: 10 }), async (records) => {
        const place = await createEndpoint();
        const target = await open(place.endpoint, "target");
        const { failures } = await target.writeToTarget(records, { mode: "upsert", signal: calm });
        expect(failures).toEqual([]);
        const outcomes = await target.lookUp!(records, {}, { signal: calm });
        expect(outcomes).toEqual(records.map((record) => ({ state: "wanted", record })));
        await target.close();
      }),
      { numRuns: 25 },
    );
  }, 120_000);
});
