import { MemoryCheckpointStore } from "@omni/p2p-core";
import { boundService } from "@omni/p2p-core/engine";
import { type P2PDataTransferService, P2PError, type P2PQuery, type P2PRecord } from "@omni/p2p-core/starter";
import { expect } from "vitest";
import { assertAllWritten, type Bench, calm, readBatches, readRecords, rejection } from "../bench.ts";
import { assertSameRecords } from "../compare.ts";
import { holds } from "../holding.ts";
import { overWire } from "../over-wire.ts";
import { decoded, documentsOf, interceptRaw, rawSource, rawTarget, readRaw, writeRaw } from "../raw-bench.ts";
import { everyValueType, sampleRecords } from "../sample-records.ts";
import { check, group, queryText, type Suite, shared } from "../suite.ts";
import { type Interposed, LetterBox, type Side, transferOnce } from "../transfer-bench.ts";

const COUNT = 40;

/** The raw lane, for adapters that have one: it must do what the records' own lane does. */
export function rawLaneChecks(suite: Suite): void {
  group("raw lane", () => {
    const records = sampleRecords(COUNT);
    const place = shared(suite, (bench) => bench.filled(records));
    readingChecks(suite, () => place().source);
    writingChecks(suite, records, () => place().source);
    transferringChecks(suite, records);
  });
}

function readingChecks(suite: Suite, source: () => P2PDataTransferService): void {
  const queries: P2PQuery[] = [
    {},
    { where: { position: { gte: 5, lt: 33 } } },
    { type: "note", fields: ["title", "sometimes"] },
    { offset: 3, limit: 20 },
    { where: { flag: true }, offset: 2, limit: 7, fields: [] },
    { limit: 0 },
  ];
  const same = async (query: P2PQuery): Promise<void> => {
    const expected = await readRecords(source(), query);
    for (const batchSize of [1, 7, 1000]) await assertSameReading(source(), query, expected, batchSize);
  };

  check(suite, "raw lane: documents are those of the records, in their order", async (_, skip) => {
    rawSource(source(), skip);
    for (const query of queries) await same(query);
    for (const part of await source().partitions({}, 3, calm())) await same(part);
  });

  check(
    suite,
    "raw lane: documents are sorted as the records are",
    async (_, skip) => {
      rawSource(source(), skip);
      await same({ orderBy: "title" });
      await same({ orderBy: [{ field: "flag", direction: "desc" }, "sometimes"], offset: 4, limit: 21 });
    },
    ["sorting"],
  );

  check(suite, "law 4, resume: raw lane, its cursors and those of the records are one kind", async (_, skip) => {
    const raw = rawSource(source(), skip);
    for (const query of [{}, { where: { position: { gte: 4 } }, fields: ["title"] }, { offset: 3 }]) {
      const all = await readRecords(source(), query);
      let read = 0;
      for (const batch of await readRaw(raw, query, { batchSize: 7 })) {
        read += batch.documents.length;
        const rest = await readRecords(source(), query, { after: overWire(batch.cursor) });
        assertSameRecords(rest, all.slice(read), { ordered: true, context: `records after ${read} documents` });
      }
      read = 0;
      for (const batch of await readBatches(source(), query, { batchSize: 9 })) {
        read += batch.records.length;
        const rest = await readRaw(raw, query, { after: overWire(batch.cursor) });
        assertSameRecords(decoded(raw, rest), all.slice(read), {
          ordered: true,
          context: `documents after ${read} records`,
        });
      }
    }
  });

  check(suite, "law 5, bounded memory: raw lane, batchBytes limits a batch", async (bench, skip) => {
    const large = Array.from({ length: 20 }, (_, i) => ({ id: `r${i}`, body: `${i}`.padEnd(5_000, "y") }));
    const raw = rawSource((await bench.filled(large)).source, skip);
    const batches = await readRaw(raw, {}, { batchSize: 1000, batchBytes: 20_000 });
    assertSameRecords(decoded(raw, batches), large);
    for (const { bytes } of batches) expect(bytes, "bytes of a batch").toBeLessThanOrEqual(40_000);
  });

  check(suite, "raw lane: an abort ends reading and writing with its reason", async (bench, skip) => {
    const raw = rawSource(source(), skip);
    const reason = new P2PError("ABORTED", "the check wants no more");
    const signal = AbortSignal.abort(reason);
    expect(await rejection(readRaw(raw, {}, { signal }), "reading")).toBe(reason);
    const target = rawTarget(await bench.open(await bench.place(), "target"), raw, skip);
    const documents = (await readRaw(raw, {})).flatMap((batch) => batch.documents);
    expect(await rejection(target.write(documents, { mode: "upsert", signal }), "writing")).toBe(reason);
  });
}

function writingChecks(suite: Suite, records: readonly P2PRecord[], source: () => P2PDataTransferService): void {
  check(suite, "law 2, round trip: raw lane, every sample value", async (bench, skip) => {
    const place = await bench.place();
    const first = await bench.open(place, "target");
    const values = everyValueType().filter((record) => holds(first.capabilities, record));
    const filled = await bench.filled([...values, ...records]);
    const raw = rawSource(filled.source, skip);
    const documents = await documentsOf(raw);
    assertAllWritten(await writeRaw(rawTarget(first, raw, skip), documents));
    assertSameRecords(await bench.contents(place), [...values, ...records]);
    // What was written raw is like any other: it can be read raw again, and picked from.
    const again = await bench.place();
    const copy = rawSource(await bench.open(place, "source"), skip);
    const second = await bench.open(again, "target");
    assertAllWritten(await writeRaw(rawTarget(second, copy, skip), await documentsOf(copy)));
    assertSameRecords(await bench.contents(again), [...values, ...records]);
    const query: P2PQuery = { type: "note", fields: ["title", "tagged"] };
    assertSameRecords(await bench.contents(again, query), await readRecords(filled.source, query));
  });

  check(suite, "raw lane: only the fields asked for are written", async (bench, skip) => {
    const raw = rawSource(source(), skip);
    const place = await bench.place();
    const target = rawTarget(await bench.open(place, "target"), raw, skip);
    const query: P2PQuery = { where: { position: { lt: 9 } }, fields: ["title", "sometimes", "bytes"] };
    assertAllWritten(await writeRaw(target, await documentsOf(raw, query)));
    assertSameRecords(await bench.contents(place), await readRecords(source(), query));
  });

  check(suite, "raw lane: modes and failures are those of the records, by index", async (bench, skip) => {
    const raw = rawSource(source(), skip);
    const documents = await documentsOf(raw);
    const order = documents.map((document) => raw.decode(document));
    const there = [0, 3, 4, 17, COUNT - 1];
    const old = there.map((i): P2PRecord => ({ id: order[i]!.id, old: true }));
    for (const mode of ["insert", "skip", "upsert"] as const) {
      const place = await bench.place();
      await bench.write(place, old);
      const target = rawTarget(await bench.open(place, "target"), raw, skip);
      const { written, skipped, failures } = await writeRaw(target, documents, mode);
      expect([written, skipped, failures.length], `${mode}: written, skipped, failed`).toEqual(
        mode === "upsert" ? [COUNT, 0, 0] : mode === "skip" ? [COUNT - 5, 5, 0] : [COUNT - 5, 0, 5],
      );
      const failed = failures.toSorted((a, b) => a.index - b.index);
      expect(
        failed.map(({ index, id, error }) => ({ index, id, code: error.code, retryable: error.retryable })),
      ).toEqual(
        mode === "insert"
          ? there.map((index) => ({ index, id: order[index]!.id, code: "DUPLICATE_ID", retryable: false }))
          : [],
      );
      const kept = mode === "upsert" ? [] : there;
      assertSameRecords(await bench.contents(place), [
        ...(mode === "upsert" ? [] : old),
        ...order.filter((_, i) => !kept.includes(i)),
      ]);
      // Documents are never changed, so the same ones can be sent again: that is how a retry works.
      const retried = await writeRaw(target, documents.slice(5, 9), "upsert");
      expect(retried.written, `${mode}: written when some are sent again`).toBe(4);
    }
  });

  check(suite, "raw lane: the form of another store is not accepted", async (bench, skip) => {
    const raw = rawSource(source(), skip);
    const target = rawTarget(await bench.open(await bench.place(), "target"), raw, skip);
    expect(target.accepts("no-such-store:form")).toBe(false);
    expect(raw.format, "its format").toMatch(/^[^:]+:./);
  });
}

function transferringChecks(suite: Suite, records: readonly P2PRecord[]): void {
  check(suite, "raw lane: a transfer takes it, and tells the same as one of records", async (bench, skip) => {
    const source = await filledSide(bench, records);
    const raw = rawSource(await bench.open(source.endpoint, "source"), skip);
    const there = records.slice(3, 6).map(({ id }): P2PRecord => ({ id, old: true }));
    const run = async (interpose: Interposed) => {
      const target = await filledSide(bench, there);
      rawTarget(await bench.open(target.endpoint, "target"), raw, skip);
      const deadLetters = new LetterBox();
      const options = { mode: "insert", batchSize: 7, deadLetters } as const;
      const query: P2PQuery = { where: { position: { lt: 35 } }, limit: 30 };
      const result = await transferOnce(source, target, options, { interpose, query });
      const { totalRecords, successCount, failureCount, skippedCount } = result;
      const letters = deadLetters.letters.map(({ id, code, record, position }) => ({ id, code, record, position }));
      const contents = await bench.contents(target.endpoint);
      return { counts: { totalRecords, successCount, failureCount, skippedCount }, letters, contents };
    };
    let calls = 0;
    const byRaw = await run((service) => interceptRaw(service, () => calls++));
    expect(calls, "raw writes").toBeGreaterThan(0);
    const { contents, ...told } = await run(boundService);
    expect({ counts: byRaw.counts, letters: byRaw.letters }).toEqual(told);
    assertSameRecords(byRaw.contents, contents);
  });

  check(suite, "law 4, resume: raw lane, a transfer goes on by the other lane", async (bench, skip) => {
    const source = await filledSide(bench, records);
    const raw = rawSource(await bench.open(source.endpoint, "source"), skip);
    for (const kill of [0, 2, 5]) {
      const target: Side = { bench, endpoint: await bench.place() };
      rawTarget(await bench.open(target.endpoint, "target"), raw, skip);
      const options = { batchSize: 6, concurrency: 1, transferId: "raw", checkpoint: new MemoryCheckpointStore() };
      let calls = 0;
      const interpose: Interposed = (service) =>
        interceptRaw(service, () => {
          if (calls++ === kill) throw new P2PError("WRITE_FAILED", "killed by the check");
        });
      await rejection(transferOnce(source, target, options, { interpose }), "a transfer that is killed");
      const result = await transferOnce(source, target, { ...options, resume: true }, { interpose: boundService });
      expect(result).toMatchObject({ totalRecords: COUNT, successCount: COUNT });
      assertSameRecords(await bench.contents(target.endpoint), records, { context: `killed at write ${kill}` });
    }
  });
}

async function assertSameReading(
  source: P2PDataTransferService,
  query: P2PQuery,
  expected: readonly P2PRecord[],
  batchSize: number,
): Promise<void> {
  const raw = source.rawSource!;
  assertSameRecords(decoded(raw, await readRaw(raw, query, { batchSize })), expected, {
    ordered: true,
    context: `${queryText(query)}, batchSize ${batchSize}`,
  });
}

async function filledSide(bench: Bench, records: readonly P2PRecord[]): Promise<Side> {
  const endpoint = await bench.place();
  await bench.write(endpoint, records);
  return { bench, endpoint };
}
