import type { P2PDataTransferService } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { byId, calm, openAt, readAll, writeAll } from "./opening.ts";
import { makePlace, type Place } from "./places.ts";

const NO_TEXT = Buffer.from([0xff, 0xfe, 0x00, 0x80]);

describeWithService("redis", "reading what others wrote", ({ url }) => {
  let client: Redis;
  let place: Place;
  const at = (name: string) => place.prefix + name;

  beforeAll(async () => {
    client = new Redis(url);
    place = makePlace(url);
    await client.set(at("counter"), "42");
    await client.set(at("text"), "plain text");
    await client.set(at("empty"), "");
    await client.set(at("template"), "{not json}");
    await client.set(at("array"), "[1,2]");
    await client.set(at("bytes"), NO_TEXT);
    await client.set(at("json"), ' { "title": "t", "n": 5, "deep": { "list": [null, true] } }');
    await client.set(at("7"), '{"id":7,"title":"own id"}');
    await client.set(at("user:8"), '{"id":8,"title":"id of another kind"}');
    await client.set(at("user:9"), '{"id":9,"_id":"taken"}');
    await client.set(at("large"), '{"safe":9007199254740991,"big":12345678901234567890,"real":1e20,"half":0.5}');
    await client.set(at("escaped"), '{"ok":"\\u00e9\\ud83d\\ude00"}');
    await client.set(at("surrogate"), '{"bad":"\\ud800"}');
    await client.set(at("brokentag"), '{"when":{"$p2p":"bytes","value":5}}');
    await client.set(at("barertag"), '{"$p2p":"bigint","value":"5"}');
    await client.hset(at("hash"), "name", "n", "age", "42", "raw", NO_TEXT as unknown as string, "_p2p", "not ours");
    await client.hset(at("badname"), NO_TEXT, "x");
    await client.rpush(at("list"), "b", "a", NO_TEXT, "b");
    await client.sadd(at("set"), "b", "a", NO_TEXT);
    await client.zadd(at("zset"), 1.5, "b", "-inf", "a", "inf", "c", 1e21, "d");
    await client.xadd(at("stream"), "5-1", "x", "1", "y", "2");
    await client.xadd(at("stream"), "5-2", "x", "1", "x", "2");
    await client.call("geoadd", at("geo"), "13.4", "52.5", "Berlin");
    await client.pfadd(at("hll"), "a");
  });
  afterAll(async () => {
    await client.quit();
    await place.dispose();
  });

  for (const format of ["json", "hash"]) {
    for (const protocol of [2, 3]) {
      it(`every type has its shape, with format=${format} over RESP${protocol}`, async () => {
        const service = await openAt(place.endpoint({ format }), "source", { redis: { protocol } });
        const { records, failures } = await readAll(service);
        const found = byId(records);
        const bytes = new Uint8Array(NO_TEXT);
        expect(found).toMatchObject({
          counter: { id: "counter", type: "string", value: "42" },
          text: { id: "text", type: "string", value: "plain text" },
          empty: { id: "empty", type: "string", value: "" },
          template: { id: "template", type: "string", value: "{not json}" },
          array: { id: "array", type: "string", value: "[1,2]" },
          bytes: { id: "bytes", type: "string", value: bytes },
          json: { id: "json", title: "t", n: 5, deep: { list: [null, true] } },
          7: { id: 7, title: "own id" },
          "user:8": { id: "user:8", _id: 8, title: "id of another kind" },
          "user:9": { id: "user:9", type: "json", value: { id: 9, _id: "taken" } },
          large: { id: "large", safe: 9007199254740991, big: 12345678901234567890n, real: 1e20, half: 0.5 },
          escaped: { id: "escaped", ok: "é😀" },
          barertag: { id: "barertag", type: "json", value: 5n },
          hash: { id: "hash", name: "n", age: "42", raw: bytes, _p2p: "not ours" },
          list: { id: "list", type: "list", value: ["b", "a", bytes, "b"] },
          set: { id: "set", type: "set", value: ["a", "b", bytes] },
          zset: {
            type: "zset",
            value: [
              { member: "a", score: -Infinity },
              { member: "b", score: 1.5 },
              { member: "d", score: 1e21 },
              { member: "c", score: Infinity },
            ],
          },
          stream: {
            type: "stream",
            value: [
              { id: "5-1", fields: { x: "1", y: "2" } },
              {
                id: "5-2",
                fields: [
                  ["x", "1"],
                  ["x", "2"],
                ],
              },
            ],
          },
          geo: { type: "zset", value: [{ member: "Berlin" }] },
          hll: { type: "string" },
        });
        expect(records).toHaveLength(20);
        expect(failures.map(({ id, error }) => [id, error.code]).sort()).toEqual([
          ["badname", "INVALID_RECORD"],
          ["brokentag", "INVALID_RECORD"],
          ["surrogate", "INVALID_RECORD"],
        ]);
        for (const { error } of failures) expect(error.retryable).toBe(false);
        await service.close();
      });
    }
  }

  it("SCAN finds by pattern and by type what native.redis asks for", async () => {
    const service = await openAt(place.endpoint(), "source");
    const ids = async (redis: { match?: string; type?: string }) =>
      (await readAll(service, { native: { redis } })).records.map(({ id }) => id).sort();
    expect(await ids({ match: "user:[0-9]" })).toEqual(["user:8", "user:9"]);
    expect(await ids({ type: "list" })).toEqual(["list"]);
    expect(await ids({ match: "*e*", type: "set" })).toEqual(["set"]);
    expect(await service.count({ native: { redis: { type: "zset" } } }, calm())).toBe(2);
    expect((await readAll(service, { where: { id: "set" }, native: { redis: { type: "list" } } })).records).toEqual([]);
    for (const redis of [{ pattern: "*" }, { match: 5 }, "user:*"]) {
      const query = { native: { redis } } as never;
      await expect(readAll(service, query)).rejects.toMatchObject({ code: "INVALID_QUERY" });
    }
    await service.close();
  });

  describe("keys that are no text, or nothing but the prefix", () => {
    let odd: Place;
    let service: P2PDataTransferService;
    const binary = Buffer.from([0xc3, 0x28]);
    beforeAll(async () => {
      odd = makePlace(url);
      await client.set(odd.prefix, "nothing left of the name");
      await client.set(Buffer.concat([Buffer.from(odd.prefix), binary]), '{"n":1}');
      await client.set(`${odd.prefix}a`, '{"n":2}');
      service = await openAt(odd.endpoint(), "source");
    });
    afterAll(async () => {
      await service.close();
      await odd.dispose();
    });

    it("a name that is no text is an id of bytes, and is found by it", async () => {
      const { records, failures } = await readAll(service);
      const id = new Uint8Array(binary);
      expect(records).toEqual([
        { n: 2, id: "a" },
        { n: 1, id },
      ]);
      expect(failures).toMatchObject([{ id: odd.prefix, error: { code: "INVALID_RECORD" } }]);
      expect((await readAll(service, { where: { id } })).records).toEqual([{ n: 1, id }]);
    });

    it("cursors point after it too", async () => {
      const cursors: unknown[] = [];
      for await (const { cursor } of service.readFromSource({}, { batchSize: 1, signal: calm() })) cursors.push(cursor);
      for (const [i, after] of cursors.entries()) {
        const rest = await readAll(service, {}, { after: JSON.parse(JSON.stringify(after)) as never });
        expect(rest.records.length + rest.failures.length).toBe(cursors.length - 1 - i);
      }
    });
  });

  describe("collections that are large", () => {
    let large: Place;
    const names = Array.from({ length: 2500 }, (_, i) => `e${String(i).padStart(4, "0")}`);
    beforeAll(async () => {
      large = makePlace(url);
      await client.rpush(`${large.prefix}list`, ...names);
      await client.sadd(`${large.prefix}set`, ...names);
      await client.zadd(`${large.prefix}zset`, ...names.flatMap((name, i) => [i, name]));
      await client.hset(`${large.prefix}hash`, ...names.flatMap((name, i) => [name, i]));
      const pipeline = client.pipeline();
      for (const [i, name] of names.entries()) pipeline.xadd(`${large.prefix}stream`, `1-${i + 1}`, name, i);
      await pipeline.exec();
    });
    afterAll(() => large.dispose());

    it("come whole, read in pieces", async () => {
      for (const format of ["json", "hash"]) {
        const service = await openAt(large.endpoint({ format }), "source");
        const { list, set, zset, hash, stream } = byId((await readAll(service)).records);
        expect(list!.value).toEqual(names);
        expect(set!.value).toEqual(names);
        expect(zset!.value).toEqual(names.map((member, score) => ({ member, score })));
        expect(hash).toEqual({ ...Object.fromEntries(names.map((name, i) => [name, String(i)])), id: "hash" });
        expect(stream!.value).toEqual(names.map((name, i) => ({ id: `1-${i + 1}`, fields: { [name]: String(i) } })));
        await service.close();
      }
    });

    it("beyond maxElements are failures", async () => {
      const service = await openAt(large.endpoint({ maxElements: "2499" }), "source");
      const { records, failures } = await readAll(service);
      expect(records).toEqual([]);
      expect(failures.map(({ id, error }) => [id, error.code]).sort()).toEqual(
        ["hash", "list", "set", "stream", "zset"].map((id) => [id, "RECORD_TOO_LARGE"]),
      );
      await service.close();
    });
  });

  it("keys of several types among many of one come without losing any", async () => {
    const mixed = makePlace(url);
    const pipeline = client.pipeline();
    for (let i = 0; i < 1500; i++) {
      if (i % 7 === 0) pipeline.rpush(`${mixed.prefix}${i}`, "x");
      else if (i % 11 === 0) pipeline.hset(`${mixed.prefix}${i}`, "x", "y");
      else pipeline.set(`${mixed.prefix}${i}`, "{}");
    }
    await pipeline.exec();
    for (const format of ["json", "hash"]) {
      const service = await openAt(mixed.endpoint({ format, scanCount: "100" }), "source");
      expect(Object.keys(byId((await readAll(service, {}, { batchSize: 90 })).records))).toHaveLength(1500);
      await service.close();
    }
    await mixed.dispose();
  });

  it("a key that holds another type is replaced by upsert, and in the way of insert", async () => {
    for (const format of ["json", "hash"]) {
      const own = makePlace(url);
      await client.rpush(`${own.prefix}a`, "x");
      const service = await openAt(own.endpoint({ format }));
      const insert = await service.writeToTarget([{ id: "a", n: 1 }], { mode: "insert", signal: calm() });
      expect(insert.failures.map(({ error }) => error.code)).toEqual(["DUPLICATE_ID"]);
      await writeAll(service, [{ id: "a", n: 1 }]);
      expect((await readAll(service)).records).toEqual([{ id: "a", n: 1 }]);
      await service.close();
      await own.dispose();
    }
  });
});
