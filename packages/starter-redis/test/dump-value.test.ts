import { verify } from "@omni/p2p-core";
import { type P2PRecord, parseEndpoint } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { comparableDump } from "../src/values/dump-value.ts";
import { uncompressLzf } from "../src/values/lzf.ts";
import { openAt, readAll, writeAll } from "./opening.ts";
import { makePlace, type Place } from "./places.ts";

describeWithService("redis", "dumps that are compared", ({ url }) => {
  let client: Redis;
  let from: Place;
  let to: Place;
  beforeAll(() => {
    client = new Redis(url);
    [from, to] = [makePlace(url), makePlace(url)];
  });
  afterAll(async () => {
    await client.quit();
    await from.dispose();
    await to.dispose();
  });

  /** Each value in two ways in which a server may come to hold it. */
  const long = (n: number) => `${"long ".repeat(20)}${n}`;
  const many = (n: number, make: (at: number) => string) => Array.from({ length: n }, (_, at) => make(at));
  const values: Record<string, (key: string, reversed: boolean) => Promise<unknown>> = {
    "small-set": (key, r) => client.sadd(key, ...turned(["a", "b", "c"], r)),
    "number-set": (key, r) => client.sadd(key, ...turned(["1", "-70000", "5000000000"], r)),
    "once-mixed-set": async (key, r) => {
      await client.sadd(key, ...turned(["1", "2", "3"], r));
      if (r) await client.sadd(key, "x").then(() => client.srem(key, "x"));
    },
    "large-set": (key, r) => client.sadd(key, ...turned(many(700, long), r)),
    "small-hash": (key, r) =>
      client.hset(
        key,
        Object.fromEntries(
          turned(
            [
              ["a", "1"],
              ["b", long(1)],
              ["c", "-300"],
            ],
            r,
          ),
        ),
      ),
    "large-hash": (key, r) =>
      client.hset(
        key,
        Object.fromEntries(
          turned(
            many(700, long).map((f) => [f, f]),
            r,
          ),
        ),
      ),
    "small-zset": (key, r) =>
      client.zadd(
        key,
        ...turned(
          [
            ["1", "a"],
            ["1", "b"],
            ["-inf", "c"],
          ],
          r,
        ).flat(),
      ),
    "large-zset": (key, r) =>
      client.zadd(
        key,
        ...turned(
          many(300, long).map((m, at) => [`${at / 7}`, m]),
          r,
        ).flat(),
      ),
    "grown-hash": async (key, r) => {
      if (r) await client.hset(key, "x", "x".repeat(1000)).then(() => client.hset(key, "x", "1"));
      await client.hset(key, "x", "1", "y", "2");
    },
    list: (key) => client.rpush(key, "b", "a", "12", "-5000", long(3), "x".repeat(20_000), "-9223372036854775808"),
    "bytes-list": (key) => client.rpush(key, Buffer.from([0xff, 0x00]), "300", "8000000", "70000"),
    text: (key) => client.set(key, long(1).repeat(50)),
    number: (key) => client.set(key, "-12345"),
    stream: (key) => client.xadd(key, "5-1", "x", "1"),
  };

  const open = async (place: Place, role: "source" | "target") => {
    const endpoint = place.endpoint({ format: "dump" });
    return {
      service: await openAt(endpoint, role),
      endpoint: typeof endpoint === "string" ? parseEndpoint(endpoint) : endpoint,
    };
  };

  it("are the same when their values are, however the servers keep them", async () => {
    for (const [name, make] of Object.entries(values)) {
      await make(from.prefix + name, false);
      await make(to.prefix + name, true);
    }
    const [source, target] = [await open(from, "source"), await open(to, "source")];
    const [ours, theirs] = [(await readAll(source.service)).records, (await readAll(target.service)).records];
    const dumps = new Map(theirs.map(({ id, dump }) => [id, dump as Buffer]));
    const unequal = ours.filter(({ id, dump }) => Buffer.compare(dump as Buffer, dumps.get(id)!) !== 0);
    // Those whose bytes differ in any case; of others it depends on the server's hash seed.
    expect(unequal.map(({ id }) => id)).toEqual(
      expect.arrayContaining(["once-mixed-set", "large-set", "large-hash", "grown-hash"]),
    );
    expect(await verify(source, target, {})).toMatchObject({ equal: true, sourceCount: 14, differences: [] });
    await source.service.close();
    await target.service.close();
  });

  it("differ when a member does, and say which", async () => {
    await client.srem(`${to.prefix}large-set`, long(5));
    await client.zadd(`${to.prefix}small-zset`, 2, "b");
    await client.hset(`${to.prefix}large-hash`, long(0), "other");
    await client.rpush(`${to.prefix}list`, "more");
    const [source, target] = [await open(from, "source"), await open(to, "source")];
    const { differences, different } = await verify(source, target, {});
    expect(different).toBe(4);
    const fields = Object.fromEntries(differences.map(({ id, fields }) => [id, fields![0]]));
    expect(fields).toMatchObject({
      "large-set": { field: expect.stringMatching(/^dump\.set\[\d+]$/) },
      "small-zset": { field: "dump.zset[1].score", source: "1", target: "2" },
      "large-hash": { field: "dump.hash[0][1]", target: '"other"' },
      list: { field: "dump.list[7]", target: '"more"' },
    });
    await source.service.close();
    await target.service.close();
  });

  it("are compared also with those that another store kept", async () => {
    const source = await open(from, "source");
    const { records } = await readAll(source.service);
    await using place = { place: makePlace(url), [Symbol.asyncDispose]: () => place.place.dispose() };
    const copy = await open(place.place, "target");
    await writeAll(copy.service, records);
    expect(await verify(source, copy, {})).toMatchObject({ equal: true, sourceCount: 14 });
    await source.service.close();
    await copy.service.close();
  });
});

function turned<T>(items: readonly T[], reversed: boolean): T[] {
  return reversed ? items.toReversed() : [...items];
}

describe("a dump that is not known", () => {
  const footer = [7, 0, 1, 2, 3, 4, 5, 6, 7, 8];

  it.each<[string, number[]]>([
    ["a module's", [7, 1, 2, 3]],
    ["a torn set", [2, 5, 1, 97]],
    ["a set with more behind it", [2, 1, 1, 97, 97]],
    ["a set that says it is very long", [2, 0x80, 0xff, 0xff, 0xff, 0xff, 1, 97]],
    ["a compressed string that is none", [0, 0xc3, 2, 0x40, 0xff, 0xe0, 0xff]],
    ["a compressed string that would fill the memory", [0, 0xc3, 2, 0x80, 0xff, 0xff, 0xff, 0xff, 0, 97]],
    ["a torn listpack", [20, 4, 1, 0, 0, 0]],
    ["a torn intset", [11, 8, 2, 0, 0, 0, 255, 255, 255, 255]],
  ])("is compared by its bytes, without the version and checksum: %s", (_, body) => {
    const record: P2PRecord = { id: "a", dump: Uint8Array.from([...body, ...footer]) };
    expect(comparableDump(record)).toEqual({ id: "a", dump: Uint8Array.from(body) });
  });

  it("is left alone where it is none at all", () => {
    for (const dump of ["text", new Uint8Array(3), null])
      expect(comparableDump({ id: 1, dump })).toEqual({ id: 1, dump });
    const form = comparableDump({ id: 1, dump: Uint8Array.from([2, 1, 1, 97, ...footer]) });
    expect(form).toEqual({ id: 1, dump: { set: ["a"] } });
    expect(comparableDump(form)).toEqual(form);
  });
});

describe("LZF", () => {
  it("repeats what it has just written", () => {
    expect(uncompressLzf(Buffer.from([0, 97, 0xe0, 10, 0]), 20).toString()).toBe("a".repeat(20));
  });
});
