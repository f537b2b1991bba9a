import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { P2PError, type P2PRecord, type Transform } from "../../src/index.ts";
import { idKey } from "../../src/starter.ts";
import { busy, records, refused, type Script, ScriptedStore, withFailures } from "../support/scripted-store.ts";
import { CheckpointLog, expectNoUnhandledRejections, LetterBox, transfer } from "../support/transferring.ts";

/** What becomes of a record of the source. */
const FATES = {
  written: { success: 1 },
  refused: { failure: 1 },
  busyOnce: { success: 1 },
  busyTwice: { success: 1 },
  busyForEver: { failure: 1 },
  dropped: { skipped: 1 },
  throws: { failure: 1 },
  rejects: { failure: 1 },
  tripled: { success: 3 },
  half: { success: 1, failure: 1 },
  emptied: { skipped: 1 },
  junk: { failure: 1 },
  noId: { failure: 1 },
  unreadable: { failure: 1 },
  there: { skipped: 1 },
} as const satisfies Record<string, { success?: number; failure?: number; skipped?: number }>;
type Fate = keyof typeof FATES;

const MAX_RETRIES = 5;

function fateOf(record: P2PRecord): Fate {
  return record.fate as Fate;
}

const transform: Transform = (record) => {
  switch (fateOf(record)) {
    case "dropped":
      return null;
    case "emptied":
      return [];
    case "throws":
      throw new Error("not this one");
    case "rejects":
      return Promise.reject(new Error("nor this one"));
    case "tripled":
      return Promise.resolve([1, 2, 3].map((n) => ({ ...record, id: `${idKey(record.id)}-${n}` })));
    case "half":
      return [record, { ...record, id: "" }];
    case "junk":
      return "junk" as never;
    default:
      return record;
  }
};

const cases = fc.record({
  fates: fc.array(fc.constantFrom(...(Object.keys(FATES) as Fate[]), "written", "written", "written"), {
    maxLength: 120,
  }),
  batchSize: fc.integer({ min: 1, max: 40 }),
  concurrency: fc.integer({ min: 1, max: 6 }),
  readAhead: fc.integer({ min: 1, max: 4 }),
  /** First tries of batches that fail as a whole. */
  thrown: fc.array(fc.nat({ max: 20 }), { maxLength: 4 }),
  turns: fc.infiniteStream(fc.nat({ max: 4 })),
});

expectNoUnhandledRejections();

describe("law 1, conservation", () => {
  it("records read are written, skipped or dead letters, whatever goes wrong and in whatever order", async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ fates, batchSize, concurrency, readAhead, thrown, turns }) => {
        const list = records(fates.length, (at) => ({ fate: fates[at] }));
        for (const [at, fate] of fates.entries()) if (fate === "noId") list[at] = { at, fate } as never;
        const unreadable = new Set(fates.flatMap((fate, at) => (fate === "unreadable" ? [at] : [])));
        const source = new ScriptedStore(list, { unreadable });
        const tries = new Map<string, number>();
        const firsts = new Set<P2PRecord>();
        let resent = 0;
        const write: Script["write"] = async (call) => {
          for (const record of call.records) {
            const seen = tries.get(idKey(record.id)) ?? 0;
            if (seen > 0) resent++;
            tries.set(idKey(record.id), seen + 1);
          }
          for (let turn = turns.next().value!; turn > 0; turn--) await new Promise(setImmediate);
          const isFirst = !firsts.has(call.records[0]!);
          firsts.add(call.records[0]!);
          if (isFirst && thrown.includes(firsts.size)) throw busy();
          return withFailures(call, (record) => {
            const fate = fateOf(record);
            const times = refusals.get(idKey(record.id)) ?? 0;
            refusals.set(idKey(record.id), times + 1);
            if (fate === "refused") return refused();
            if (fate === "busyForEver" || (fate === "busyOnce" && times < 1) || (fate === "busyTwice" && times < 2)) {
              return busy();
            }
            return undefined;
          });
        };
        const refusals = new Map<string, number>();
        const target = new ScriptedStore([], { write });
        for (const record of list)
          if (fateOf(record) === "there") target.content.set(idKey(record.id), { id: record.id, old: true });
        const box = new LetterBox();
        const checkpoint = new CheckpointLog();
        const result = await transfer(source, target, {
          batchSize,
          concurrency,
          readAhead,
          mode: "skip",
          maxRetries: MAX_RETRIES,
          transform,
          deadLetters: box,
          transferId: "law-1",
          checkpoint,
          maxFailures: "all",
        });

        const expected = { success: 0, failure: 0, skipped: 0 };
        for (const fate of fates) {
          const {
            success = 0,
            failure = 0,
            skipped = 0,
          } = FATES[fate] as { success?: number; failure?: number; skipped?: number };
          expected.success += success;
          expected.failure += failure;
          expected.skipped += skipped;
        }
        expect(result).toMatchObject({
          successCount: expected.success,
          failureCount: expected.failure,
          skippedCount: expected.skipped,
          totalRecords: expected.success + expected.failure + expected.skipped,
          retryCount: resent,
        });

        const failing = fates.flatMap((fate, at) => ("failure" in FATES[fate] ? [at] : []));
        const idAt = (at: number) => (fates[at] === "noId" ? "" : idKey(list[at]!.id));
        expect(box.letters.map(({ id }) => id).sort()).toEqual(failing.map(idAt).sort());
        // An adapter does not tell where in a batch an unreadable record stood.
        if (unreadable.size === 0) expect(box.letters.map(({ position }) => position)).toEqual(failing);
        for (const { id, phase, reason } of box.letters) {
          const fate = fates[id === "" ? fates.indexOf("noId") : Number(id.slice(1))]!;
          expect(phase).toBe(
            fate === "unreadable" ? "read" : fate === "refused" || fate === "busyForEver" ? "write" : "transform",
          );
          expect(reason).not.toBe("");
        }
        expect(result.deadLetters).toBe(failing.length > 0 ? "a box" : undefined);
        expect(result.errors).toHaveLength(Math.min(100, failing.length));

        const there = fates.flatMap((fate, at) => {
          const id = idKey(list[at]!.id ?? "");
          if (fate === "tripled") return [1, 2, 3].map((n) => `${id}-${n}`);
          return "success" in FATES[fate] || fate === "there" ? [id] : [];
        });
        expect(target.ids).toEqual(there.sort());
        expect(await checkpoint.load("law-1")).toMatchObject({
          status: "completed",
          recordsRead: fates.length,
          counts: { totalRecords: result.totalRecords, failureCount: result.failureCount },
        });
        expect(target.mostWritesUnderWay).toBeLessThanOrEqual(concurrency);
        expect([box.opened, box.closed]).toEqual([1, 1]);
      }),
      { numRuns: 150 },
    );
  });

  it("of an empty source is zero", async () => {
    const result = await transfer(new ScriptedStore(), new ScriptedStore());
    expect(result).toMatchObject({ totalRecords: 0, successCount: 0, failureCount: 0, skippedCount: 0, errors: [] });
    expect(result.deadLetters).toBeUndefined();
  });

  it("lists 100 failures in the result and all in the dead letters", async () => {
    const box = new LetterBox();
    const target = new ScriptedStore([], { write: (call) => withFailures(call, () => refused()) });
    const result = await transfer(new ScriptedStore(records(250)), target, { deadLetters: box, batchSize: 60 });
    expect(result.errors).toHaveLength(100);
    expect(result.errors[0]).toEqual({
      id: "r00000",
      phase: "write",
      code: "TYPE_MISMATCH",
      reason: "it does not fit",
      attempts: 1,
    });
    expect(box.letters).toHaveLength(250);
    expect(box.letters[249]).toMatchObject({
      transferId: result.transferId,
      id: "r00249",
      position: 249,
      record: { id: "r00249", at: 249 },
    });
    expect(new Date(box.letters[0]!.at).getTime()).toBeGreaterThan(Date.now() - 60_000);
  });

  it("holds with no sink for dead letters too", async () => {
    const target = new ScriptedStore([], {
      write: (call) => withFailures(call, () => new P2PError("RECORD_TOO_LARGE", "big")),
    });
    const result = await transfer(new ScriptedStore(records(5)), target, { deadLetters: false });
    expect(result).toMatchObject({ totalRecords: 5, failureCount: 5 });
    expect(result.deadLetters).toBeUndefined();
  });
});

describe("the books", () => {
  it("are kept in the order of the source, however the writes end", async () => {
    const count = 20;
    const checkpoint = new CheckpointLog(({ recordsRead }) => {
      const gaps = records(recordsRead).filter(({ id }) => !target.content.has(idKey(id)));
      expect(gaps, "what a checkpoint says is in the target").toEqual([]);
    });
    const target: ScriptedStore = new ScriptedStore([], {
      write: async (call) => {
        // Of each four under way the last ends first.
        await new Promise((resolve) => setTimeout(resolve, 2 * (4 - (call.number % 4))));
        return call.apply();
      },
    });
    await transfer(new ScriptedStore(records(count)), target, {
      batchSize: 1,
      concurrency: 4,
      transferId: "order",
      checkpoint,
    });
    const seen = checkpoint.saved.map(({ recordsRead }) => recordsRead);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(checkpoint.saved.every(({ cursor, recordsRead }) => cursor === recordsRead)).toBe(true);
    expect(checkpoint.saved.at(-1)).toMatchObject({ status: "completed", recordsRead: count });
    expect(target.mostWritesUnderWay).toBe(4);
  });

  it("keep the dead letters in the order of the source as well", async () => {
    const box = new LetterBox();
    const target = new ScriptedStore([], {
      write: async (call) => {
        await new Promise((resolve) => setTimeout(resolve, (7 * call.number) % 5));
        return withFailures(call, () => refused());
      },
    });
    await transfer(new ScriptedStore(records(60)), target, { batchSize: 3, concurrency: 5, deadLetters: box });
    expect(box.letters.map(({ position }) => position)).toEqual(Array.from({ length: 60 }, (_, at) => at));
  });
});
