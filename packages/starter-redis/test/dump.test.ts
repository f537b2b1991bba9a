import { fromJson, type JsonValue, type P2PRecord, type P2PValue, toJson } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { calm, openAt, readAll, writeAll } from "./opening.ts";
import { makePlace, type Place } from "./places.ts";

describeWithService("redis", "dumps", ({ url }) => {
  let client: Redis;
  let from: Place;
  let to: Place;
  beforeAll(async () => {
    client = new Redis(url);
    [from, to] = [makePlace(url), makePlace(url)];
    const at = (name: string) => from.prefix + name;
    await client.set(at("text"), "plain");
    await client.set(at("bytes"), Buffer.from([0xff, 0]), "PX", 1_000_000);
    await client.hset(at("hash"), "a", "1");
    await client.rpush(at("list"), "b", "a");
    await client.sadd(at("set"), "b", "a");
    await client.zadd(at("zset"), 1.5, "b");
    await client.xadd(at("stream"), "5-1", "x", "1", "x", "2");
    await client.xgroup("CREATE", at("stream"), "readers", "0");
  });
  afterAll(async () => {
    await client.quit();
    await from.dispose();
    await to.dispose();
  });

  const names = ["bytes", "hash", "list", "set", "stream", "text", "zset"];

  it("carry every type, with its time to live, also through the JSON of another store", async () => {
    const source = await openAt(from.endpoint({ format: "dump" }), "source");
    const target = await openAt(to.endpoint({ format: "dump" }));
    const { records } = await readAll(source);
    expect(records.map(({ id }) => id)).toEqual(names);
    const text = JSON.stringify(records.map((record) => toJson(record)));
    await writeAll(
      target,
      (JSON.parse(text) as JsonValue[]).map((json) => fromJson(json) as P2PRecord),
    );
    for (const name of names) {
      // The members of a set lie in a hash table, where those in one bucket may change places.
      const content = async (key: string) =>
        name === "set" ? (await client.smembers(key)).sort() : client.dumpBuffer(key);
      expect(await content(to.prefix + name), name).toEqual(await content(from.prefix + name));
      expect(await client.pexpiretime(to.prefix + name)).toBe(await client.pexpiretime(from.prefix + name));
    }
    expect(await client.xinfo("GROUPS", `${to.prefix}stream`)).toHaveLength(1);
    await source.close();
    await target.close();
  });

  it("insert, skip and upsert mean what they say", async () => {
    const source = await openAt(from.endpoint({ format: "dump" }), "source");
    const target = await openAt(to.endpoint({ format: "dump" }));
    const { records } = await readAll(source);
    await client.del(`${to.prefix}list`);
    const insert = await target.writeToTarget(records, { mode: "insert", signal: calm() });
    expect(insert.written).toBe(1);
    expect(new Set(insert.failures.map(({ error }) => error.code))).toEqual(new Set(["DUPLICATE_ID"]));
    const skip = await target.writeToTarget(records, { mode: "skip", signal: calm() });
    expect(skip).toMatchObject({ written: 0, skipped: records.length, failures: [] });
    await client.set(`${to.prefix}list`, "another type");
    await writeAll(target, records);
    expect(await client.lrange(`${to.prefix}list`, 0, -1)).toEqual(["b", "a"]);
    await source.close();
    await target.close();
  });

  it("what is no dump is a failure, and the rest is written", async () => {
    const source = await openAt(from.endpoint({ format: "dump" }), "source");
    const target = await openAt(to.endpoint({ format: "dump" }));
    const [good] = (await readAll(source, { where: { id: "set" } })).records;
    const records: P2PRecord[] = [
      { id: "none", title: "an ordinary record" },
      { id: "torn", dump: (good!.dump as Uint8Array).subarray(1) as P2PValue },
      { ...good!, id: "fine" },
    ];
    const result = await target.writeToTarget(records, { mode: "upsert", signal: calm() });
    expect(result.written).toBe(1);
    expect(result.failures.map(({ index, error }) => [index, error.code])).toEqual([
      [0, "INVALID_RECORD"],
      [1, "TYPE_MISMATCH"],
    ]);
    await source.close();
    await target.close();
  });
});
