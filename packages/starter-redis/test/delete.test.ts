import {
  type DeleteRef,
  type P2PDataTransferService,
  type P2PId,
  type P2PRecord,
  recordDigest,
  TaggedValue,
} from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { calm, errorOf, openAt, readAll, writeAll } from "./opening.ts";
import { makePlace, type Place } from "./places.ts";
import { proxyTo } from "./tcp.ts";

describeWithService("redis", "deletes", ({ url }) => {
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
  const remove = (refs: readonly DeleteRef[], on = service) => on.deleteFromTarget!(refs, { signal: calm() });
  const removeIds = (ids: readonly P2PId[]) => remove(ids.map((id) => ({ id })));
  const left = async () => (await client.keys(`${place.prefix}*`)).map((key) => key.slice(place.prefix.length)).sort();
  const as = (record: P2PRecord): DeleteRef => ({ id: record.id, expected: recordDigest(record) });

  for (const format of ["json", "hash"]) {
    it(`take ids of every kind, a twin once, and what is absent for no error, with format=${format}`, async () => {
      await open({ format });
      const ids: P2PId[] = [
        "text",
        7,
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
        ids.map((id) => ({ id })),
      );
      await writeAll(service, [{ id: "other" }]);
      expect(await removeIds([...ids, "7", "gone", "gone"])).toEqual({
        deleted: ids.length,
        absent: 3,
        changed: [],
        failures: [],
      });
      expect(await left()).toEqual(["other"]);
      expect(await remove([])).toEqual({ deleted: 0, absent: 0, changed: [], failures: [] });
    });
  }

  it("leave the marker, and keys beyond the prefix", async () => {
    await open({ marker: `${place.prefix}marker`, prefix: `${place.prefix}a:` });
    await client.mset(`${place.prefix}marker`, "x", `${place.prefix}b`, "y", `${place.prefix}a:`, "no id");
    expect(await removeIds(["marker", "b", "", new Uint8Array()])).toMatchObject({ deleted: 0, absent: 4 });
    const marked = await openAt(place.endpoint({ marker: `${place.prefix}marker` }));
    for (const ref of [{ id: "marker" }, { id: "marker", expected: recordDigest({ id: "marker" }) }]) {
      expect(await remove([ref], marked)).toMatchObject({ deleted: 0, absent: 1 });
    }
    await marked.close();
    expect(await left()).toEqual(["a:", "b", "marker"]);
  });

  it("what can be no id takes no other key for it", async () => {
    await open();
    await client.mset(`${place.prefix}\ufffd`, "x", `${place.prefix}null`, "x", `${place.prefix}1`, "x");
    const ids = ["\ud800", null, [1], undefined, new Date(Number.NaN)] as unknown as P2PId[];
    const { failures, ...rest } = await removeIds(ids);
    expect(rest).toEqual({ deleted: 0, absent: 1, changed: [] });
    expect(failures.map(({ index, error }) => [index, error.code])).toEqual(
      [1, 2, 3, 4].map((index) => [index, "INVALID_RECORD"]),
    );
    expect(await left()).toHaveLength(3);
  });

  it("of the keys ff and \\xff take what is written for the id, and what reading gives with this very id", async () => {
    const bytes = new Uint8Array([0xff]);
    const binary = Buffer.concat([Buffer.from(place.prefix), bytes]);
    const both = () => client.mset(`${place.prefix}ff`, '{"n":1}', binary, '{"n":2}');
    const there = async () => [await client.exists(`${place.prefix}ff`), await client.exists(binary)];
    await open({ format: "dump" });
    await both();
    expect(await removeIds([bytes, bytes])).toMatchObject({ deleted: 1, absent: 1 });
    expect(await there()).toEqual([1, 0]);
    await both();
    expect(await removeIds(["ff"])).toMatchObject({ deleted: 1 });
    expect(await there()).toEqual([0, 1]);
    await service.close();
    await open();
    await both();
    expect(await remove([as({ id: bytes, n: 2 })])).toMatchObject({ deleted: 1, changed: [] });
    expect(await there()).toEqual([1, 0]);
    await both();
    expect(await removeIds(["ff"])).toMatchObject({ deleted: 1 });
    expect(await there()).toEqual([0, 1]);
    expect(await removeIds([bytes])).toMatchObject({ deleted: 1 });
    expect(await there()).toEqual([0, 0]);
  });

  it("take 10,000 ids in a few round trips", async () => {
    await open();
    const records = Array.from({ length: 10_000 }, (_, id) => ({ id, n: id }));
    await writeAll(service, records.slice(0, 9000));
    const reads = async () => Number(/total_reads_processed:(\d+)/.exec(await client.info("stats"))![1]);
    const before = await reads();
    const refs = records.map((record) => (record.id % 2 === 0 ? as(record) : { id: record.id }));
    expect(await remove(refs)).toEqual({ deleted: 9000, absent: 1000, changed: [], failures: [] });
    expect((await reads()) - before).toBeLessThan(1000);
    expect(await left()).toEqual([]);
  });

  describe("of the expected record", () => {
    const others: Readonly<Record<string, readonly [make: (string | number)[], change: (string | number)[]]>> = {
      text: [
        ["set", "plain"],
        ["append", "x"],
      ],
      list: [
        ["rpush", "a", "b"],
        ["rpush", "c"],
      ],
      set: [
        ["sadd", "b", "a", "\u00e9"],
        ["sadd", "c"],
      ],
      numbers: [
        ["sadd", 3, 1, 2],
        ["srem", 2],
      ],
      zset: [
        ["zadd", 1.1, "m", "+inf", "n", 1e17, "o"],
        ["zincrby", 1, "m"],
      ],
      hash: [
        ["hset", "a", "1", "b", "2"],
        ["hset", "a", "2"],
      ],
      stream: [
        ["xadd", "1-1", "f", "v"],
        ["xadd", "1-2", "f", "v"],
      ],
    };

    for (const format of ["json", "hash", "dump"]) {
      it(`the changed one stays, of every type, with format=${format}`, async () => {
        await open({ format });
        const call = ([name, ...args]: (string | number)[], key: string) =>
          client.call(name as string, `${place.prefix}${key}`, ...args);
        for (const [key, [make]] of Object.entries(others)) await call(make, key);
        const refs = (await readAll(service)).records.map(as);
        expect(refs).toHaveLength(Object.keys(others).length);
        for (const [key, [, change]] of Object.entries(others)) await call(change, key);
        expect(await remove(refs)).toEqual({ deleted: 0, absent: 0, changed: refs.map((_, i) => i), failures: [] });
        const now = (await readAll(service)).records.map(as);
        expect(await remove([...now, now[0]!])).toEqual({ deleted: now.length, absent: 1, changed: [], failures: [] });
        expect(await left()).toEqual([]);
      });

      it(`a large one of every type too, with format=${format}`, async () => {
        await open({ format });
        const many = Array.from({ length: 5000 }, (_, n) => n);
        await client.rpush(`${place.prefix}list`, ...many);
        await client.sadd(`${place.prefix}set`, ...many.map((n) => `m${n}`));
        await client.zadd(`${place.prefix}zset`, ...many.flatMap((n) => [n / 7, `m${n}`]));
        await client.hset(`${place.prefix}hash`, ...many.flatMap((n) => [`f${n}`, n]));
        for (const n of many) client.xadd(`${place.prefix}stream`, "*", "n", n);
        const refs = (await readAll(service)).records.map(as);
        expect(await remove(refs)).toEqual({ deleted: 5, absent: 0, changed: [], failures: [] });
      });
    }

    it("a time to live that is a part of it counts", async () => {
      await open({ ttlField: "expires" });
      const at = Date.now() + 1_000_000;
      await client.set(`${place.prefix}a`, '{"n":1}', "PXAT", at);
      await client.set(`${place.prefix}b`, '{"n":1}');
      const refs = (await readAll(service)).records.map(as);
      await client.pexpireat(`${place.prefix}a`, at + 1);
      await client.pexpireat(`${place.prefix}b`, at + 1);
      expect((await remove(refs)).changed).toEqual([0, 1]);
      expect((await remove((await readAll(service)).records.map(as))).deleted).toBe(2);
    });

    it("another writer between the look and the delete keeps its record", async () => {
      await open();
      const records = Array.from({ length: 200 }, (_, n) => ({ id: `r${n}`, n }));
      const other = await openAt(place.endpoint());
      for (let round = 0; round < 20; round++) {
        await writeAll(service, records);
        const written = records.map((record) => ({ ...record, round }));
        const write = async () => {
          for (let i = 0; i < written.length; i += 20) {
            const signal = calm();
            await other.writeToTarget(written.slice(i, i + 20), { mode: "upsert", signal });
          }
        };
        const [result] = await Promise.all([remove(records.map(as)), write()]);
        expect(result.deleted + result.absent + result.changed.length).toBe(records.length);
        // Whatever came first: what the other wrote is never taken for what was expected.
        expect((await readAll(service)).records.toSorted((a, b) => (a.n as number) - (b.n as number))).toEqual(written);
      }
      await other.close();
    });

    it("a record that is written anew as it was is the expected one still", async () => {
      await open();
      await client.set(`${place.prefix}a`, '{"n":1,"m":2}');
      const [record] = (await readAll(service)).records;
      await client.set(`${place.prefix}a`, '{ "m": 2, "n": 1 }');
      expect(await remove([as(record!)])).toMatchObject({ deleted: 1 });
    });

    it("one that cannot be read any more has changed, one that is gone is absent", async () => {
      await open();
      await client.mset(`${place.prefix}a`, '{"n":1}', `${place.prefix}b`, '{"n":1}');
      const refs = (await readAll(service)).records.map(as);
      await client.set(`${place.prefix}a`, '{"n":{"$p2p":"date","value":"never"}}');
      await client.del(`${place.prefix}b`);
      expect(await remove(refs)).toEqual({ deleted: 0, absent: 1, changed: [0], failures: [] });
      expect(await left()).toEqual(["a"]);
    });

    it("a dump is known by what it means as well", async () => {
      await open({ format: "dump" });
      await client.hset(`${place.prefix}a`, "f", "1", "g", "2");
      const [record] = (await readAll(service)).records;
      const expected = recordDigest(service.comparable!(record!));
      await client.del(`${place.prefix}a`);
      await client.hset(`${place.prefix}a`, "g", "2", "f", "1");
      expect(await remove([{ id: "a", expected }])).toMatchObject({ deleted: 1 });
    });
  });

  it("that the server refuses are failures by index, and those of all records are one error", async () => {
    const user = `p2p${Date.now()}`;
    await client.call("acl", "setuser", user, "on", ">pass", `~${place.prefix}a*`, "+@all");
    const limited = new URL(place.endpoint());
    limited.username = user;
    limited.password = "pass";
    service = await openAt(limited.href);
    await client.mset(`${place.prefix}a`, '{"n":1}', `${place.prefix}b`, '{"n":1}');
    const result = await removeIds(["a", "b", "ab"]);
    expect(result).toMatchObject({ deleted: 1, absent: 1, changed: [] });
    expect(result.failures).toMatchObject([{ index: 1, id: "b", error: { code: "TARGET_NOT_WRITABLE" } }]);
    expect((await errorOf(removeIds(["b"]))).code).toBe("TARGET_NOT_WRITABLE");
    await client.call("acl", "setuser", user, "-unlink");
    await client.set(`${place.prefix}a`, '{"n":1}');
    expect(await errorOf(remove([as({ id: "a", n: 1 })]))).toMatchObject({ code: "TARGET_NOT_WRITABLE" });
    expect(await left()).toEqual(["a", "b"]);
    await client.call("acl", "deluser", user);
  });

  it("over a connection that is cut tell what was acknowledged, and can be asked again", async () => {
    const proxy = await proxyTo(Number(new URL(url).port));
    service = await openAt(`redis://127.0.0.1:${proxy.port}/?prefix=${place.prefix}`, "target", {}, 3000);
    const records = Array.from({ length: 500 }, (_, id) => ({ id }));
    await writeAll(service, records);
    // An answer to UNLINK has four bytes.
    proxy.cutAfter(4 * 200);
    const result = await remove(records);
    expect(result).toMatchObject({ deleted: 200, absent: 0, changed: [] });
    expect(result.failures).toHaveLength(300);
    expect(result.failures[0]!.error).toMatchObject({ code: "CONNECTION_LOST", retryable: true });
    await service.ping(calm()).catch(() => {});
    const { deleted, absent } = await remove(records);
    expect(deleted + absent).toBe(500);
    expect(await left()).toEqual([]);
    proxy.stall();
    const controller = new AbortController();
    const reason = new Error("enough");
    const removing = service.deleteFromTarget!([{ id: 1 }], { signal: controller.signal });
    controller.abort(reason);
    await expect(removing).rejects.toBe(reason);
    await proxy.close();
  });
});
