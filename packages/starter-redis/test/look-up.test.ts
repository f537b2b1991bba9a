import {
  idKey,
  type P2PDataTransferService,
  type P2PId,
  type P2PQuery,
  type P2PRecord,
  TaggedValue,
} from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { recordsArbitrary, SAMPLE_VALUES } from "@omni/p2p-testkit";
import * as fc from "fast-check";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { calm, errorOf, openAt, readAll, writeAll } from "./opening.ts";
import { makePlace, type Place } from "./places.ts";
import { proxyTo } from "./tcp.ts";

describeWithService("redis", "look-ups", ({ url }) => {
  let client: Redis;
  let place: Place;
  let service: P2PDataTransferService;
  beforeAll(() => {
    client = new Redis(url);
  });
  beforeEach(() => {
    place = makePlace(url);
  });
  afterEach(async () => {
    await service.close();
    await place.dispose();
  });
  afterAll(() => client.quit());

  const open = async (options: Readonly<Record<string, string>> = {}) => {
    service = await openAt(place.endpoint(options));
  };
  const lookUp = (ids: readonly P2PId[], query: P2PQuery = {}) =>
    service.lookUp!(
      ids.map((id) => ({ id })),
      query,
      { signal: calm() },
    );
  const states = async (ids: readonly P2PId[], query: P2PQuery = {}) =>
    (await lookUp(ids, query)).map(({ state }) => state);

  for (const format of ["json", "hash"]) {
    it(`find ids of every kind, also in another form of the same text, with format=${format}`, async () => {
      await open({ format });
      const ids: P2PId[] = [
        "text",
        7,
        -0.5,
        10n ** 30n,
        true,
        new Date(5),
        new Uint8Array([0xff, 0]),
        new TaggedValue("mongodb:objectId", "65f0c0ffee0ddba11ca7f00d"),
        { a: 1 },
        "é\u0000*[]?\\",
      ];
      await writeAll(
        service,
        ids.map((id, n) => ({ id, n })),
      );
      expect(await lookUp(ids)).toEqual(ids.map((id, n) => ({ state: "wanted", record: { id, n } })));
      expect(await lookUp(ids.map(idKey))).toEqual(ids.map((id, n) => ({ state: "wanted", record: { id, n } })));
      expect(await lookUp([7n, "absent", 8])).toMatchObject([
        { state: "wanted", record: { id: 7 } },
        { state: "absent" },
        { state: "absent" },
      ]);
    });
  }

  it("tell wanted, unwanted and absent by the whole query, with just its fields", async () => {
    await open();
    await writeAll(service, [
      { id: "a", type: "x", n: 1, m: 2 },
      { id: "b", type: "x", n: 2 },
      { id: "c", type: "y", n: 2 },
    ]);
    const query: P2PQuery = { type: "x", where: { n: { lt: 2 } }, fields: ["m"], orderBy: "n" };
    expect(await lookUp(["c", "d", "b", "a", "a"], query)).toEqual([
      { state: "unwanted" },
      { state: "absent" },
      { state: "unwanted" },
      { state: "wanted", record: { id: "a", m: 2 } },
      { state: "wanted", record: { id: "a", m: 2 } },
    ]);
    expect(await states(["a", "b", "d"], { where: { id: "a" } })).toEqual(["wanted", "unwanted", "absent"]);
    expect(await states(["a", "b"], { where: { id: { in: [] } } })).toEqual(["unwanted", "unwanted"]);
    expect(await states(["a", "b"], { where: { id: { prefix: "b" } } })).toEqual(["unwanted", "wanted"]);
    expect(await lookUp([], query)).toEqual([]);
  });

  it("give what others wrote as reading does, and go by the key where a field id differs", async () => {
    await open();
    const { prefix } = place;
    await client.rpush(`${prefix}list`, "a", "b");
    await client.sadd(`${prefix}set`, "b", "a");
    await client.zadd(`${prefix}zset`, 1.5, "m");
    await client.hset(`${prefix}hash`, "n", "1");
    await client.xadd(`${prefix}stream`, "1-1", "f", "v");
    await client.set(`${prefix}text`, "plain");
    await client.set(`${prefix}other`, '{"id":"text","n":1}');
    const { records } = await readAll(service);
    const found = await lookUp(records.map(({ id }) => id));
    expect(found).toEqual(records.map((record) => ({ state: "wanted", record })));
    expect(await lookUp(["other"])).toEqual([{ state: "wanted", record: { id: "other", _id: "text", n: 1 } }]);
    expect(await states(["text"], { where: { type: "string" } })).toEqual(["wanted"]);
  });

  it("of a dump give the dump", async () => {
    await open({ format: "dump" });
    await client.set(`${place.prefix}a`, "x", "PX", 100_000);
    await client.set(Buffer.concat([Buffer.from(place.prefix), Buffer.from([0xff])]), "bytes");
    const { records } = await readAll(service);
    expect(await lookUp(["a", new Uint8Array([0xff]), "ff"])).toEqual([
      { state: "wanted", record: records[0] },
      { state: "wanted", record: records[1] },
      { state: "wanted", record: records[1] },
    ]);
    await client.set(`${place.prefix}ff`, "text");
    const [text, bytes] = await lookUp(["ff", new Uint8Array([0xff])]);
    expect(text).toMatchObject({ record: { id: "ff" } });
    expect(bytes).toMatchObject({ record: { id: new Uint8Array([0xff]) } });
  });

  for (const format of ["json", "hash"]) {
    it(`of the keys ff and \\xff give the one with the very id, with format=${format}`, async () => {
      await open({ format });
      const id = new Uint8Array([0xff]);
      await client.set(Buffer.concat([Buffer.from(place.prefix), id]), '{"n":"bytes"}');
      expect(await lookUp(["ff", id])).toEqual([
        { state: "wanted", record: { id, n: "bytes" } },
        { state: "wanted", record: { id, n: "bytes" } },
      ]);
      await writeAll(service, [{ id: "ff", n: "text" }]);
      expect(await lookUp(["ff", id])).toEqual([
        { state: "wanted", record: { id: "ff", n: "text" } },
        { state: "wanted", record: { id, n: "bytes" } },
      ]);
      expect(await states(["ff", id], { where: { n: "text" } })).toEqual(["wanted", "unwanted"]);
      expect(await states(["ff", id], { where: { n: "bytes" } })).toEqual(["unwanted", "wanted"]);
    });
  }

  it("what cannot be read has failed, and is not absent; not so where the query never comes upon it", async () => {
    await open({ maxElements: "2" });
    await client.set(`${place.prefix}broken`, '{"n":{"$p2p":"date","value":"never"}}');
    await client.rpush(`${place.prefix}long`, "1", "2", "3");
    const outcomes = await lookUp(["broken", "long", "gone"]);
    expect(outcomes).toMatchObject([
      { state: "failed", error: { code: "INVALID_RECORD", retryable: false } },
      { state: "failed", error: { code: "RECORD_TOO_LARGE", retryable: false } },
      { state: "absent" },
    ]);
    expect(await states(["broken"], { where: { n: 1 } })).toEqual(["failed"]);
    expect(await states(["broken", "long"], { where: { id: "broken" } })).toEqual(["failed", "unwanted"]);
    expect(await states(["broken", "long"], { where: { id: { prefix: "l" } } })).toEqual(["unwanted", "failed"]);
    expect(await states(["broken"], { native: { redis: { type: "list" } } })).toEqual(["unwanted"]);
  });

  it("what can be no id is no record's", async () => {
    await open();
    await client.set(`${place.prefix}\ufffd`, "not asked for");
    await client.set(`${place.prefix}null`, "not asked for");
    await client.set(place.prefix, "no id");
    const ids = ["", "\ud800", new Uint8Array(), null, [1], undefined, new Date(Number.NaN)] as unknown as P2PId[];
    const invalid = { state: "failed", error: { code: "INVALID_RECORD" } };
    const absent = { state: "absent" };
    expect(await lookUp(ids)).toMatchObject([absent, absent, absent, invalid, invalid, invalid, invalid]);
  });

  it("never find the marker", async () => {
    await open({ marker: `${place.prefix}marker` });
    await service.identity!(calm());
    expect(await client.exists(`${place.prefix}marker`)).toBe(1);
    expect(await states(["marker"])).toEqual(["absent"]);
  });

  it("ask for the type of a native query, and for one part of a query", async () => {
    await open();
    await client.rpush(`${place.prefix}list`, "a");
    await writeAll(service, [{ id: "a" }, { id: "b" }, { id: "c" }]);
    const ofType = (type: string) => states(["list", "a", "gone"], { native: { redis: { type } } });
    expect(await ofType("list")).toEqual(["wanted", "unwanted", "absent"]);
    expect(await ofType("STRING")).toEqual(["unwanted", "wanted", "absent"]);
    const parts = await service.partitions({}, 3, calm());
    const ids = ["list", "a", "b", "c"];
    const found = await Promise.all(parts.map((part) => states(ids, part)));
    for (const i of ids.keys()) expect(found.filter((each) => each[i] === "wanted")).toHaveLength(1);
    for (const [n, part] of parts.entries()) {
      const { records } = await readAll(service, part);
      expect(ids.filter((_, i) => found[n]![i] === "wanted").sort()).toEqual(records.map(({ id }) => id).sort());
    }
  });

  it("refuse what cannot be asked by id, with the way out", async () => {
    await open();
    for (const query of [{ limit: 0 }, { limit: 5 }, { offset: 1 }, { native: { redis: { match: "*" } } }]) {
      const error = await errorOf(lookUp(["a"], query));
      expect(error.code, JSON.stringify(query)).toBe("UNSUPPORTED_QUERY");
      expect(error.message).toMatch(/leave these out|prefix/);
    }
    expect(await states(["a"], { offset: 0 })).toEqual(["absent"]);
    expect((await errorOf(lookUp([], { limit: 5 }))).code).toBe("UNSUPPORTED_QUERY");
    expect((await errorOf(lookUp([], { where: { a: { like: "b" } } } as P2PQuery))).code).toBe("INVALID_QUERY");
  });

  it("carry the time to live", async () => {
    await open({ ttlField: "expires" });
    const at = Date.now() + 1_000_000;
    await client.set(`${place.prefix}a`, '{"n":1}', "PXAT", at);
    expect(await lookUp(["a"])).toEqual([{ state: "wanted", record: { id: "a", n: 1, expires: new Date(at) } }]);
    expect(await states(["a"], { where: { expires: { lt: new Date(at) } } })).toEqual(["unwanted"]);
  });

  for (const format of ["json", "hash", "dump"]) {
    it(`take 10,000 ids in a few round trips, with format=${format}`, async () => {
      await open({ format });
      const pipeline = client.pipeline();
      for (let n = 0; n < 10_000; n += 2) {
        if (format === "hash") pipeline.hset(`${place.prefix}${n}`, "n", String(n));
        else pipeline.set(`${place.prefix}${n}`, JSON.stringify({ n }));
      }
      await pipeline.exec();
      const reads = async () => Number(/total_reads_processed:(\d+)/.exec(await client.info("stats"))![1]);
      const before = await reads();
      const found = await states(Array.from({ length: 10_000 }, (_, n) => n));
      expect(found.every((state, n) => state === (n % 2 === 0 ? "wanted" : "absent"))).toBe(true);
      // What the server reads at a time is one request, or a part of a larger one.
      expect((await reads()) - before).toBeLessThan(1000);
    });
  }

  it("take 10,000 ids of a query that names as many, in time that grows with their number alone", async () => {
    await open();
    const ids = Array.from({ length: 10_000 }, (_, n) => new Date(n));
    await writeAll(
      service,
      ids.map((id) => ({ id })),
    );
    const started = performance.now();
    const found = await states(ids, { where: { id: { in: [...ids.slice(1), "gone"] } } });
    expect(found.indexOf("unwanted")).toBe(0);
    expect(found.lastIndexOf("unwanted")).toBe(0);
    // To make the texts of two dates for each pair of them takes tens of seconds.
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it("that fail as a whole throw, and an abort has its own reason", async () => {
    const proxy = await proxyTo(Number(new URL(url).port));
    service = await openAt(`redis://127.0.0.1:${proxy.port}/?prefix=${place.prefix}`, "target", {}, 1000);
    await writeAll(service, [{ id: "a", text: "x".repeat(10_000) }]);
    proxy.cutAfter(100);
    expect(await errorOf(lookUp(["a"]))).toMatchObject({ code: "CONNECTION_LOST", retryable: true });
    expect(await states(["a"])).toEqual(["wanted"]);
    const controller = new AbortController();
    const reason = new Error("enough");
    proxy.stall();
    const looking = service.lookUp!([{ id: "a" }], {}, { signal: controller.signal });
    controller.abort(reason);
    await expect(looking).rejects.toBe(reason);
    await proxy.close();
  });

  describe("agree with reading", () => {
    const scalars = Object.entries(SAMPLE_VALUES)
      .filter(([type]) => !["array", "object", "tagged"].includes(type))
      .flatMap(([, values]) => values as readonly unknown[])
      .filter((value) => !Number.isNaN(value) && !(value instanceof Date && Number.isNaN(value.getTime())));
    const scalar = fc.constantFrom(...scalars.filter((value) => typeof value !== "string" || value.length < 1000));
    const noNull = scalar.filter((value) => value !== null);
    const condition = fc.oneof(
      scalar,
      scalar.map((ne) => ({ ne })),
      ...(["gt", "gte", "lt", "lte"] as const).map((operator) => noNull.map((value) => ({ [operator]: value }))),
      fc.array(scalar, { maxLength: 3 }).map((items) => ({ in: items })),
      fc.boolean().map((exists) => ({ exists })),
      fc.string({ maxLength: 2 }).map((prefix) => ({ prefix })),
    );

    for (const format of ["json", "hash"]) {
      it(`on every operator and value, with format=${format}`, async () => {
        await open({ format });
        const records = recordsArbitrary({ maxStringLength: 200, maxBytesLength: 50, maxDepth: 2 });
        await fc.assert(
          fc.asyncProperty(
            records,
            fc.constantFrom("a", "b", "count", "when", "id"),
            condition,
            async (given, field, value) => {
              const values = scalars
                .slice(0, 25)
                .map((each, n) => ({ id: `s${n}`, [field === "id" ? "a" : field]: each }));
              const all = [...given, ...values] as P2PRecord[];
              await writeAll(service, all);
              const query = { where: { [field]: value } } as P2PQuery;
              const wanted = new Map<string, P2PRecord>();
              for (const record of (await readAll(service, query)).records) wanted.set(idKey(record.id), record);
              const outcomes = await lookUp(
                all.map(({ id }) => id),
                query,
              );
              for (const [i, outcome] of outcomes.entries()) {
                const record = wanted.get(idKey(all[i]!.id));
                expect(outcome).toEqual(record ? { state: "wanted", record } : { state: "unwanted" });
              }
              await place.dispose();
            },
          ),
          { numRuns: 60 },
        );
      });
    }
  });
});
