import type { JsonValue, P2PDataTransferService } from "@omni/p2p-core/starter";
import { startService, type TestService } from "@omni/p2p-test-services";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { calm, openAt, readAll } from "./opening.ts";

const OURS = 1000;
const FOREIGN = 100_000;

describeWithService("redis", "order and cost of reading", () => {
  let server: TestService;
  let client: Redis;

  beforeAll(async () => {
    server = await startService("redis", { exclusive: true });
    client = new Redis(server.url);
  });
  afterAll(async () => {
    await client.quit();
    await server.stop();
  });

  const fill = async (prefix: string, count: number) => {
    for (let from = 0; from < count; from += 5000) {
      const args: string[] = [];
      for (let i = from; i < Math.min(count, from + 5000); i++) args.push(`${prefix}${i}`, `{"n":${i}}`);
      await client.mset(...args);
    }
  };
  /** How often each command was carried out while something was done. */
  const commandsOf = async (work: () => Promise<unknown>): Promise<Record<string, number>> => {
    await client.config("RESETSTAT");
    await work();
    const stats = (await client.info("commandstats")).matchAll(/^cmdstat_(\w+):calls=(\d+)/gm);
    return Object.fromEntries(Array.from(stats, ([, name, calls]) => [name!, Number(calls)]));
  };

  describe("a thousand keys of ours beside a hundred thousand of others", () => {
    beforeAll(async () => {
      await client.flushall();
      await fill("foreign:", FOREIGN);
      await fill("ours:", OURS);
    });

    it("costs no more than two commands for each page, and never KEYS", async () => {
      const service = await openAt(`${server.url}?prefix=ours:&scanCount=1000`, "source");
      let count = 0;
      const commands = await commandsOf(async () => {
        count = (await readAll(service, {}, { batchSize: 500 })).records.length;
      });
      expect(count).toBe(OURS);
      const pages = commands.scan!;
      expect(pages).toBeLessThan(((OURS + FOREIGN) / 1000) * 2.1);
      const trips = pages + commands.mget! + (commands.type ?? 0);
      expect(trips).toBeLessThanOrEqual(2 * pages);
      expect(commands.keys).toBeUndefined();
      expect(commands.get).toBeUndefined();
      await service.close();
    });

    it("named ids cost no scan, and counting costs no values", async () => {
      const service = await openAt(`${server.url}?prefix=ours:`, "source");
      const named = await commandsOf(async () => {
        const where = { id: { in: ["1", "2", "no such id", 3] } };
        expect((await readAll(service, { where })).records).toHaveLength(3);
        expect((await readAll(service, { where: { id: "5" } })).records).toHaveLength(1);
        expect(await service.count({ where: { id: { in: ["1", "no such id"] } } }, calm())).toBe(1);
      });
      expect(named.scan).toBeUndefined();
      const counted = await commandsOf(async () => expect(await service.count({}, calm())).toBe(OURS));
      expect(counted.mget).toBeUndefined();
      await service.close();
      const all = await openAt(server.url, "source");
      const sized = await commandsOf(async () => expect(await all.count({}, calm())).toBe(OURS + FOREIGN));
      expect(sized.scan).toBeUndefined();
      await all.close();
    });
  });

  describe("beyond maxSortedKeys", () => {
    const COUNT = 3000;
    let service: P2PDataTransferService;
    beforeAll(async () => {
      await client.flushall();
      await fill("many:", COUNT);
      await fill("other:", COUNT);
    });
    beforeEach(async () => {
      service = await openAt(`${server.url}?prefix=many:&maxSortedKeys=100&scanCount=70`, "source");
      return () => service.close();
    });

    it("every record comes once, in the order of SCAN, whatever the batch size", async () => {
      for (const batchSize of [1, 7, 70, 71, 5000]) {
        const { records } = await readAll(service, {}, { batchSize });
        expect(records).toHaveLength(COUNT);
        expect(new Set(records.map(({ id }) => id)).size).toBe(COUNT);
      }
    });

    it("every cursor gives exactly the rest, also to another service", async () => {
      const all = (await readAll(service)).records;
      let read = 0;
      for (const cursor of await cursors(service, 333)) {
        read = Math.min(read + 333, COUNT);
        const other = await openAt(`${server.url}?prefix=many:&maxSortedKeys=100&scanCount=70`, "source");
        expect((await readAll(other, {}, { after: cursor })).records).toEqual(all.slice(read));
        await other.close();
      }
      expect(read).toBe(COUNT);
    });

    it("a cursor of another run of the server starts anew, and so does one whose page has changed", async () => {
      const [cursor] = (await cursors(service, 333)) as [{ at: { scan: { run: string; check: number } } }];
      const { scan } = cursor.at;
      const anew = { scan: { ...scan, run: "another" } } as unknown as JsonValue;
      expect((await readAll(service, {}, { after: anew })).records).toHaveLength(COUNT);
      const changed = { scan: { ...scan, check: scan.check ^ 1 } } as unknown as JsonValue;
      const { records } = await readAll(service, {}, { after: changed });
      expect(records.length).toBeGreaterThan(COUNT - 333);
      expect(records.length).toBeLessThanOrEqual(COUNT - 333 + 70);
    });

    it("offset and limit count in the order of keys, which stays", async () => {
      const names = Array.from({ length: COUNT }, (_, i) => String(i)).sort();
      for (const [offset, limit] of [
        [0, 10],
        [5, 250],
        [2990, 100],
        [0, 3000],
        [150, 100],
      ] as const) {
        const { records } = await readAll(service, { offset, limit }, { batchSize: 40 });
        expect(records.map(({ id }) => id)).toEqual(names.slice(offset, offset + limit));
      }
      const where = { n: { gte: 2000 } };
      const wanted = names.filter((name) => Number(name) >= 2000);
      const some = await readAll(service, { where, offset: 120, limit: 300 }, { batchSize: 40 });
      expect(some.records.map(({ id }) => id)).toEqual(wanted.slice(120, 420));
      const [first] = await cursors(service, 40, { offset: 3 });
      const rest = await readAll(service, { limit: 50 }, { after: first! });
      expect(rest.records.map(({ id }) => id)).toEqual(names.slice(43, 93));
    });

    it("parts are disjoint and cover the whole", async () => {
      const seen: unknown[] = [];
      for (const part of await service.partitions({}, 5, calm())) {
        const { records } = await readAll(service, part);
        expect(records.length).toBeGreaterThan(COUNT / 10);
        seen.push(...records.map(({ id }) => id));
      }
      expect(seen).toHaveLength(COUNT);
      expect(new Set(seen).size).toBe(COUNT);
    });

    it("keys that are deleted meanwhile, so that the table shrinks, make no record come twice or never", async () => {
      // SCAN itself repeats a key or two in about every third of these rounds.
      for (let round = 0; round < 8; round++) {
        await client.flushall();
        await fill("many:", COUNT);
        await fill("doomed:", 20 * COUNT);
        const shrinking = await openAt(`${server.url}?prefix=many:&maxSortedKeys=100&scanCount=331`, "source");
        const seen = new Map<unknown, number>();
        let batches = 0;
        for await (const batch of shrinking.readFromSource({}, { batchSize: 16, signal: calm() })) {
          for (const { id } of batch.records) seen.set(id, (seen.get(id) ?? 0) + 1);
          if (++batches !== 10 + 7 * round) continue;
          const doomed = Array.from({ length: 20 * COUNT }, (_, i) => `doomed:${i}`);
          for (let i = 0; i < doomed.length; i += 10_000) await client.unlink(...doomed.slice(i, i + 10_000));
          // The server shrinks its table in its own time.
          await new Promise((resolve) => setTimeout(resolve, 250));
        }
        expect(seen.size).toBe(COUNT);
        expect([...seen.values()].filter((times) => times > 1)).toEqual([]);
        await shrinking.close();
      }
    });
  });

  it("a sorted read goes on by value and id when what was read already is deleted, and what comes before is added", async () => {
    await client.flushall();
    // Of each number several, and some that are no number.
    for (let i = 0; i < 300; i++) await client.set(`s:${i}`, `{"n":${i % 9 === 0 ? '"text"' : i % 50}}`);
    for (const orderBy of ["n", { field: "n", direction: "desc" }] as const) {
      for (let i = 0; i < 300; i++) await client.set(`s:${i}`, `{"n":${i % 9 === 0 ? '"text"' : i % 50}}`);
      const service = await openAt(`${server.url}?prefix=s:`, "source");
      const expected = (await readAll(service, { orderBy })).records.map(({ id }) => id);
      const read: unknown[] = [];
      let after: JsonValue | undefined;
      while (read.length < 300) {
        for await (const batch of service.readFromSource({ orderBy }, { batchSize: 100, signal: calm(), after })) {
          read.push(...batch.records.map(({ id }) => id));
          after = JSON.parse(JSON.stringify(batch.cursor)) as JsonValue;
          break;
        }
        await client.del(...read.map((id) => `s:${String(id)}`));
      }
      expect(read).toEqual(expected);
      await service.close();
    }
  });

  it("a limit counts from the cursor in a sorted read, also where keys are the same but for their kind", async () => {
    await client.flushall();
    await client.mset("k:ff", '{"n":1}', "k:a", '{"n":1}');
    await client.set(Buffer.from("k:\xff", "latin1"), '{"n":1}');
    const service = await openAt(`${server.url}?prefix=k:`, "source");
    const all = (await readAll(service, { orderBy: "n" })).records.map(({ id }) => id);
    expect(all).toHaveLength(3);
    for (const [i, cursor] of (await cursors(service, 1, { orderBy: "n" })).entries()) {
      const rest = await readAll(service, { orderBy: "n", limit: 1, offset: 1 }, { after: cursor });
      expect(rest.records.map(({ id }) => id)).toEqual(all.slice(i + 1, i + 2));
    }
    await service.close();
  });

  it("a cursor that is none is refused", async () => {
    const service = await openAt(server.url, "source");
    for (const after of [null, 5, "x", {}, { key: 5 }, { scan: { run: 1 } }, { rank: 1 }] as JsonValue[]) {
      await expect(readAll(service, {}, { after })).rejects.toMatchObject({ code: "CHECKPOINT_INVALID" });
    }
    const unsorted: JsonValue[] = [{ key: "a" }, { rank: 1 }, { store: "redis", at: { sort: [1], id: 1 } }];
    for (const after of [...unsorted, { sort: [], id: 1, key: "a" }, { store: "sqlite", at: { key: "a" } }]) {
      const sorted = readAll(service, { orderBy: "n" }, { after: after as JsonValue });
      await expect(sorted).rejects.toMatchObject({ code: "CHECKPOINT_INVALID" });
    }
    await service.close();
  });
});

async function cursors(service: P2PDataTransferService, batchSize: number, query = {}): Promise<JsonValue[]> {
  const found: JsonValue[] = [];
  for await (const batch of service.readFromSource(query, { batchSize, signal: calm() })) {
    found.push(JSON.parse(JSON.stringify(batch.cursor)) as JsonValue);
  }
  return found;
}
