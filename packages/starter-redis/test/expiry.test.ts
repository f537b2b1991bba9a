import type { P2PRecord } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { byId, calm, openAt, readAll, writeAll } from "./opening.ts";
import { makePlace } from "./places.ts";

describeWithService("redis", "time to live", ({ url }) => {
  let client: Redis;
  beforeAll(() => {
    client = new Redis(url);
  });
  afterAll(() => client.quit());

  for (const format of ["json", "hash"]) {
    it(`ttl is set on what is written, with format=${format} and in every mode`, async () => {
      const place = makePlace(url);
      const service = await openAt(place.endpoint({ format, ttl: "100" }));
      for (const mode of ["upsert", "insert", "skip"] as const) {
        await service.writeToTarget([{ id: mode }], { mode, signal: calm() });
        const left = await client.pttl(place.prefix + mode);
        expect(left).toBeGreaterThan(95_000);
        expect(left).toBeLessThanOrEqual(100_000);
      }
      await service.close();
      const plain = await openAt(place.endpoint({ format }));
      await writeAll(plain, [{ id: "upsert" }]);
      expect(await client.pttl(`${place.prefix}upsert`)).toBe(-1);
      await plain.close();
      await place.dispose();
    });

    it(`ttlField carries it, through another store too, with format=${format}`, async () => {
      const [from, to] = [makePlace(url), makePlace(url)];
      const at = Date.now() + 3_600_000;
      await client.set(`${from.prefix}a`, '{"n":1}', "PXAT", at);
      await client.set(`${from.prefix}b`, '{"n":2}');
      await client.hset(`${from.prefix}c`, "n", "3");
      await client.pexpireat(`${from.prefix}c`, at + 5);
      const source = await openAt(from.endpoint({ ttlField: "expires" }), "source");
      const target = await openAt(to.endpoint({ format, ttlField: "expires" }));
      const { records } = await readAll(source);
      expect(byId(records)).toEqual({
        a: { id: "a", n: 1, expires: new Date(at) },
        b: { id: "b", n: 2 },
        c: { id: "c", n: "3", expires: new Date(at + 5) },
      });
      await writeAll(target, records);
      expect(await client.pexpiretime(`${to.prefix}a`)).toBe(at);
      expect(await client.pexpiretime(`${to.prefix}b`)).toBe(-1);
      expect(await client.pexpiretime(`${to.prefix}c`)).toBe(at + 5);
      expect(byId((await readAll(target)).records)).toEqual(byId(records));
      const bare = await openAt(to.endpoint({ format }), "source");
      expect(byId((await readAll(bare)).records).a).toEqual({ id: "a", n: 1 });
      expect((await readAll(target, { where: { expires: { gt: new Date(at) } } })).records).toHaveLength(1);
      for (const service of [source, target, bare]) await service.close();
      await from.dispose();
      await to.dispose();
    });

    it(`ttlField takes dates, seconds and nothing, and refuses the rest, with format=${format}`, async () => {
      const place = makePlace(url);
      const service = await openAt(place.endpoint({ format, ttlField: "ttl", ttl: "1000" }));
      const records: P2PRecord[] = [
        { id: "date", ttl: new Date(Date.now() + 50_000) },
        { id: "seconds", ttl: 50 },
        { id: "bigint", ttl: 50n },
        { id: "fraction", ttl: 49.5 },
        { id: "null", ttl: null },
        { id: "absent" },
        { id: "past", ttl: new Date(0) },
        { id: "zero", ttl: 0 },
        { id: "text", ttl: "50" },
        { id: "nan", ttl: Number.NaN },
        { id: "far", ttl: new Date(8.64e15) },
      ];
      const result = await service.writeToTarget(records, { mode: "upsert", signal: calm() });
      expect(result.written).toBe(8);
      expect(result.failures.map(({ index, error }) => [index, error.code])).toEqual([
        [7, "TYPE_MISMATCH"],
        [8, "TYPE_MISMATCH"],
        [9, "TYPE_MISMATCH"],
      ]);
      const left = async (id: string) => (await client.pttl(place.prefix + id)) / 1000;
      for (const id of ["date", "seconds", "bigint", "fraction"]) expect(await left(id)).toBeCloseTo(49.5, -1);
      for (const id of ["null", "absent"]) expect(await left(id)).toBeGreaterThan(990);
      expect(await client.exists(`${place.prefix}past`)).toBe(0);
      await service.close();
      await place.dispose();
    });
  }
});
