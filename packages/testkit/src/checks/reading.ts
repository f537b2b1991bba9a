import { encodeJson, idKey, isP2PError, type P2PQuery, type P2PRecord } from "@omni/p2p-core/starter";
import { expect } from "vitest";
import { type Bench, calm, readBatches, readRecords, rejection } from "../bench.ts";
import { assertSameRecords } from "../compare.ts";
import { sampleRecords } from "../sample-records.ts";
import { check, group, type Suite, shared } from "../suite.ts";
import { expectCode } from "./contract.ts";

const COUNT = 57;

/** Reading: order, batches, offset and limit, count. */
export function readingChecks(suite: Suite): void {
  group("reading", () => {
    const records = sampleRecords(COUNT);
    const place = shared(suite, (bench) => bench.filled(records));
    batchChecks(suite, records, () => place().source);
    sliceChecks(suite, () => place().source);
  });
}

function batchChecks(suite: Suite, records: readonly P2PRecord[], source: () => Source): void {
  check(suite, "every record comes once, whatever the batch size", async () => {
    for (const batchSize of [1, 2, 7, COUNT - 1, COUNT, COUNT + 1, 10_000]) {
      const context = `batchSize ${batchSize}`;
      assertSameRecords(await readRecords(source(), {}, { batchSize }), records, { context });
    }
  });

  check(suite, "the order is stable", async () => {
    const first = await readRecords(source());
    for (const batchSize of [1, 5, 100]) {
      assertSameRecords(await readRecords(source(), {}, { batchSize }), first, {
        ordered: true,
        context: `batchSize ${batchSize}`,
      });
    }
  });

  check(suite, "batches are as large as asked while there is more to read", async () => {
    const batches = await readBatches(source(), {}, { batchSize: 10 });
    const sizes = batches.map((batch) => batch.records.length).filter((size) => size > 0);
    // A store that pages by bytes or by hash slots may give less now and then, but not one by one.
    expect(sizes[0]).toBeGreaterThan(0);
    expect(sizes.length, `sizes of batches: ${sizes.join(", ")}`).toBeLessThanOrEqual(Math.ceil(COUNT / 10) * 2);
  });

  check(suite, "law 5, bounded memory: batchBytes limits a batch, and a larger record comes alone", async (bench) => {
    const large = Array.from({ length: 30 }, (_, i) => ({ id: `r${i}`, body: "y".repeat(i === 11 ? 60_000 : 5_000) }));
    const { source: big } = await bench.filled(large);
    const batches = await readBatches(big, {}, { batchSize: 1000, batchBytes: 20_000 });
    assertSameRecords(
      batches.flatMap((batch) => batch.records),
      large,
    );
    for (const batch of batches) {
      const bytes = batch.records.reduce((sum, record) => sum + encodeJson(record).length, 0);
      const most = batch.records.length === 1 ? Infinity : 40_000;
      expect(bytes, `bytes in a batch of ${batch.records.length} records`).toBeLessThanOrEqual(most);
    }
  });

  check(suite, "law 6, linear cost: a cursor does not grow with the position", async () => {
    for (const query of [{}, { where: { position: { gte: 0 } } }]) {
      const sizes = (await readBatches(source(), query, { batchSize: 1 })).map((b) => JSON.stringify(b.cursor).length);
      expect(Math.max(...sizes), "characters in the largest cursor").toBeLessThanOrEqual(sizes[0]! + 100);
    }
  });

  check(suite, "a reader may stop early, and read again", async () => {
    for (let i = 0; i < 3; i++) {
      for await (const batch of source().readFromSource({}, { batchSize: 5, signal: calm() })) {
        expect(batch.records.length).toBeGreaterThan(0);
        break;
      }
    }
    expect(await readRecords(source())).toHaveLength(COUNT);
  });

  check(suite, "two readers of one service do not disturb each other", async (_, skip) => {
    if (!source().capabilities.shareable) skip("capabilities.shareable is false");
    const [first, second] = await Promise.all([
      readRecords(source(), {}, { batchSize: 4 }),
      readRecords(source(), {}, { batchSize: 9 }),
    ]);
    assertSameRecords(first, records);
    assertSameRecords(second, first, { ordered: true });
  });

  check(suite, "records belong to the reader: changing them changes nothing in the store", async () => {
    for (const record of await readRecords(source())) {
      const open = record as unknown as Record<string, unknown>;
      (open.bytes as Uint8Array).fill(7);
      (open.date as Date).setTime(7);
      (open.array as unknown[]).push(7);
      for (const field of Object.keys(open)) delete open[field];
    }
    assertSameRecords(await readRecords(source()), records);
  });

  check(suite, "fields picks fields, and the id comes along", async () => {
    const queries: P2PQuery[] = [
      { fields: ["title"] },
      { fields: ["id", "sometimes"] },
      { fields: ["object", "date", "nothing", "no such field"] },
      { fields: [] },
      { fields: ["title", "title"] },
    ];
    for (const query of queries) {
      const wanted = new Set(["id", ...query.fields!]);
      const expected = records.map(
        (record) => Object.fromEntries(Object.entries(record).filter(([field]) => wanted.has(field))) as P2PRecord,
      );
      assertSameRecords(await readRecords(source(), query), expected, { context: `fields ${query.fields}` });
    }
  });
}

type Source = Awaited<ReturnType<Bench["open"]>>;

function sliceChecks(suite: Suite, source: () => Source): void {
  check(suite, "offset and limit cut the same order", async () => {
    const all = await readRecords(source());
    const slices = [
      { limit: 0 },
      { limit: 1 },
      { limit: 10 },
      { limit: COUNT },
      { limit: COUNT + 5 },
      { offset: 0 },
      { offset: 1 },
      { offset: 10, limit: 7 },
      { offset: COUNT - 1 },
      { offset: COUNT },
      { offset: COUNT + 9, limit: 3 },
    ];
    for (const slice of slices) {
      const expected = all.slice(slice.offset ?? 0, (slice.offset ?? 0) + (slice.limit ?? Infinity));
      for (const batchSize of [3, 1000]) {
        const context = `${JSON.stringify(slice)}, batchSize ${batchSize}`;
        assertSameRecords(await readRecords(source(), slice, { batchSize }), expected, { ordered: true, context });
      }
    }
  });

  check(suite, "offset and limit count after where", async () => {
    const where = { type: "note" };
    const all = await readRecords(source(), { where });
    const slices = [{ limit: 4 }, { offset: 3 }, { offset: 2, limit: 5 }];
    for (const slice of slices) {
      const expected = all.slice(slice.offset ?? 0, (slice.offset ?? 0) + (slice.limit ?? Infinity));
      assertSameRecords(await readRecords(source(), { where, ...slice }, { batchSize: 2 }), expected, {
        ordered: true,
        context: JSON.stringify(slice),
      });
    }
  });

  check(suite, "count is the number of records that are read", async () => {
    const queries: P2PQuery[] = [
      {},
      { type: "note" },
      { where: { position: { lt: 10 } } },
      { where: { sometimes: null } },
      { where: { id: "no such id" } },
      { limit: 5 },
      { offset: 50 },
      { offset: 3, limit: 4 },
      { offset: COUNT + 1 },
      { limit: 0 },
      { where: { flag: true }, offset: 4, limit: 1000 },
      { orderBy: "title", limit: 7 },
    ];
    const counted = await source().count({}, calm());
    if (source().capabilities.countable) expect(counted, "count({}) of a countable store").toBe(COUNT);
    for (const query of queries) {
      if (query.orderBy && suite.lacks.has("sorting")) continue;
      const count = await source().count(query, calm());
      if (count !== undefined) {
        expect(count, JSON.stringify(query)).toBe((await readRecords(source(), query)).length);
      }
    }
  });

  check(suite, "a query that is not valid is refused by the part that is wrong", async () => {
    const queries: [string, unknown][] = [
      ["tpye", { tpye: "note" }],
      ["where.title", { where: { title: { $gt: "" } } }],
      ["where.title", { where: { title: ["a"] } }],
      ["where.title", { where: { title: undefined } }],
      ["where.title", { where: { title: { gt: null } } }],
      ["where.title", { where: { title: { in: "a" } } }],
      ["limit", { limit: -1 }],
      ["limit", { limit: 1.5 }],
      ["offset", { offset: Number.NaN }],
      ["orderBy", { orderBy: { field: "title", direction: "up" } }],
      ["fields", { fields: [5] }],
    ];
    for (const [part, query] of queries) {
      const error = await rejection(readRecords(source(), query as P2PQuery), `reading ${JSON.stringify(query)}`);
      expectCode(error, "INVALID_QUERY");
      expect((error as Error).message).toContain(part);
      expectCode(
        await rejection(source().count(query as P2PQuery, calm()), `counting ${JSON.stringify(query)}`),
        "INVALID_QUERY",
      );
    }
  });

  check(suite, "a native query of another store is refused", async () => {
    const query = { native: { "no-such-store": {} } } as P2PQuery;
    const error = await rejection(readRecords(source(), query), "a native query of another store");
    expect(isP2PError(error, "UNSUPPORTED_QUERY") || isP2PError(error, "INVALID_QUERY"), String(error)).toBe(true);
  });

  check(suite, "ids are the identity: no two records share one", async () => {
    const keys = (await readRecords(source())).map((record) => idKey(record.id));
    expect(new Set(keys).size).toBe(keys.length);
  });
}
