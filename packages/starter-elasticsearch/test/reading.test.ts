import { idKey, type JsonValue, matches, type P2PQuery, type P2PRecord, parseQuery } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, test } from "vitest";
import { call } from "./fresh-index.ts";
import { calm, open, read, readBatches, rejection, testIndex, write } from "./opening.ts";

const RECORDS: readonly P2PRecord[] = Array.from({ length: 500 }, (_, i) => ({
  id: `r${String(i).padStart(3, "0")}`,
  n: i,
  group: i % 7,
  // Some that the server cannot sort.
  value: i % 11 === 0 ? Number.POSITIVE_INFINITY : i % 13 === 0 ? "text" : i % 5 === 0 ? null : 1000 - i,
}));

const ids = (records: readonly P2PRecord[]): string[] => records.map(({ id }) => idKey(id));

describeWithService("elasticsearch", "reading", ({ url }) => {
  test("every cursor gives exactly the rest, also after the segments of several shards were merged", async () => {
    const { index, endpoint } = testIndex(url);
    const target = await open(`${endpoint}&shards=3`);
    for (let start = 0; start < RECORDS.length; start += 50) {
      await write(target, RECORDS.slice(start, start + 50));
      await call(url, "POST", `/${index}/_refresh`);
    }
    // Records that changed leave holes behind, which the merge then closes.
    await write(
      target,
      RECORDS.filter((_, i) => i % 3 === 0),
    );
    const queries: P2PQuery[] = [
      {},
      { where: { group: { in: [1, 2] } } },
      { orderBy: "group" },
      { orderBy: [{ field: "value", direction: "desc" }, "group"] },
      { orderBy: { field: "id", direction: "desc" }, where: { value: { exists: true } }, offset: 5, limit: 300 },
    ];
    const before = await open(endpoint, "source");
    const runs: { query: P2PQuery; cursors: JsonValue[]; sizes: number[]; all: string[] }[] = [];
    for (const query of queries) {
      const batches = await readBatches(before, query, { batchSize: 37 });
      runs.push({
        query,
        cursors: batches.map(({ cursor }) => JSON.parse(JSON.stringify(cursor)) as JsonValue),
        sizes: batches.map(({ records }) => records.length),
        all: ids(batches.flatMap(({ records }) => records)),
      });
    }
    await before.close();
    await call(url, "POST", `/${index}/_forcemerge?max_num_segments=1`);
    await call(url, "POST", `/${index}/_refresh`);
    const after = await open(endpoint, "source");
    for (const { query, cursors, sizes, all } of runs) {
      expect(new Set(all).size, JSON.stringify(query)).toBe(all.length);
      const { limit } = parseQuery(query);
      let seen = 0;
      for (const [i, cursor] of cursors.entries()) {
        seen += sizes[i]!;
        const rest = limit === Infinity ? query : { ...query, limit: limit - seen };
        const found = await read(after, rest, { batchSize: 1000, after: cursor });
        expect(ids(found), `${JSON.stringify(query)} after ${seen}`).toEqual(all.slice(seen));
      }
    }
  });

  test("parts of a large index are of about one size, also after changes", async () => {
    const { endpoint } = testIndex(url);
    const target = await open(`${endpoint}&shards=2`);
    await write(target, RECORDS);
    await write(target, RECORDS);
    const source = await open(endpoint, "source");
    for (const query of [{}, { where: { group: { lt: 3 } } }] as P2PQuery[]) {
      const parts = await source.partitions(query, 4, calm());
      expect(parts).toHaveLength(4);
      const found = await Promise.all(parts.map((part) => read(source, part)));
      const expected = RECORDS.filter((record) => matches(parseQuery(query).conditions, record));
      expect(ids(found.flat()).sort()).toEqual(ids(expected));
      for (const records of found) expect(records.length).toBeGreaterThan(expected.length / 8);
    }
    const wrong = { partition: { table: "x" } } as P2PQuery;
    expect((await rejection(read(source, wrong))).code).toBe("INVALID_QUERY");
    expect((await rejection(read(source, {}, { after: "x" }))).code).toBe("CHECKPOINT_INVALID");
    expect((await rejection(read(source, { orderBy: "n" }, { after: [1, 2] }))).code).toBe("CHECKPOINT_INVALID");
  });

  test("a count is exact while little has to be looked at, and left open otherwise", async () => {
    const { endpoint } = testIndex(url);
    const target = await open(endpoint);
    await write(target, RECORDS);
    const source = await open(endpoint, "source");
    const queries: P2PQuery[] = [
      { where: { value: Number.POSITIVE_INFINITY } },
      { where: { value: { gt: 600 } } },
      { where: { value: { ne: 999 } } },
      { where: { value: null } },
      { where: { value: "text" } },
      { where: { group: 1 }, offset: 10, limit: 20 },
    ];
    for (const query of queries) {
      expect(await source.count(query, calm()), JSON.stringify(query)).toBe((await read(source, query)).length);
    }
  });

  test("an order that would need too much memory is refused, and says why", async () => {
    const { endpoint } = testIndex(url);
    const target = await open(endpoint);
    const bytes = Uint8Array.of(1);
    for (let start = 0; start < 10_050; start += 2010) {
      await write(
        target,
        Array.from({ length: 2010 }, (_, i) => ({ id: start + i, bytes })),
      );
    }
    const error = await rejection(read(await open(endpoint, "source"), { orderBy: "bytes" }));
    expect(error.code).toBe("UNSUPPORTED_QUERY");
    expect(error.message).toContain('"bytes"');
  });

  test("pages grow and shrink with the records, and batches keep to their bytes", async () => {
    const { endpoint } = testIndex(url);
    const target = await open(endpoint);
    const records = Array.from({ length: 400 }, (_, i) => ({
      id: `r${String(i).padStart(3, "0")}`,
      body: "x".repeat(i < 300 ? 10 : 50_000),
    }));
    await write(target, records);
    const source = await open(endpoint, "source");
    const batches = await readBatches(source, {}, { batchSize: 1000, batchBytes: 300_000 });
    expect(ids(batches.flatMap((batch) => batch.records))).toEqual(ids(records));
    for (const batch of batches) {
      const size = batch.records.reduce((sum, { body }) => sum + (body as string).length, 0);
      expect(size).toBeLessThanOrEqual(300_000);
    }
  });

  test("an index that gives few documents at a time is read all the same", async () => {
    const { index, endpoint } = testIndex(url);
    await write(await open(endpoint), RECORDS);
    await call(url, "PUT", `/${index}/_settings`, { "index.max_result_window": 50 });
    const source = await open(endpoint, "source");
    expect(ids(await read(source))).toEqual(ids(RECORDS));
    expect(ids(await read(source, { orderBy: "n" }))).toEqual(ids(RECORDS));
  });

  test("a sorted read goes on behind the last record, when some that were read have been deleted", async () => {
    const { index, endpoint } = testIndex(url);
    const records = Array.from({ length: 40 }, (_, i): P2PRecord => {
      const number = String(i).padStart(2, "0");
      // Every second one is too long for the server to sort.
      return { id: `r${number}`, n: 1, text: i % 2 ? `${number}${"x".repeat(300)}` : number };
    });
    await write(await open(endpoint), records);
    const source = await open(endpoint, "source");
    const [first] = await readBatches(source, { orderBy: "text" }, { batchSize: 20 });
    expect(first!.records.map(({ id }) => id)).toEqual(records.slice(0, 20).map(({ id }) => id));
    for (const { id } of records.slice(0, 10)) await call(url, "DELETE", `/${index}/_doc/${id}?refresh=true`);
    const cursor = JSON.parse(JSON.stringify(first!.cursor)) as JsonValue;
    const rest = await read(source, { orderBy: "text" }, { after: cursor });
    expect(rest.map(({ id }) => id)).toEqual(records.slice(20).map(({ id }) => id));
  });
});
