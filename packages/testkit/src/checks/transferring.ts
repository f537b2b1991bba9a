import { inspect } from "node:util";
import { MemoryCheckpointStore, type TransferResult, type Transform } from "@omni/p2p-core";
import { idKey, isP2PError, type P2PRecord } from "@omni/p2p-core/starter";
import * as fc from "fast-check";
import { expect } from "vitest";
import { Bench } from "../bench.ts";
import { assertSameRecords } from "../compare.ts";
import { holds } from "../holding.ts";
import type { Feature } from "../lacks.ts";
import { everyValueType, sampleRecords } from "../sample-records.ts";
import { check, group, type Suite } from "../suite.ts";
import { isKilled, killedAt, LetterBox, type Side, transferOnce } from "../transfer-bench.ts";

const PLANTED = "planted-s3cret";

/** Both ways between the adapter and the other end, and from the adapter to itself. */
const DIRECTIONS = ["out", "in", "within"] as const;
type Direction = (typeof DIRECTIONS)[number];

/** The laws as they hold for whole transfers, run by the core's own bridge. */
export function transferChecks(suite: Suite): void {
  group("transfers", () => {
    for (const direction of DIRECTIONS) directionChecks(suite, direction, route(suite, direction));
    thereAndBackCheck(suite);
    secrecyCheck(suite);
  });
}

function route(suite: Suite, direction: Direction): string {
  const [own, other] = [suite.adapter.starter.storageType, suite.pair.starter.storageType];
  return direction === "out" ? `${own} to ${other}` : direction === "in" ? `${other} to ${own}` : `${own} to ${own}`;
}

/** Runs a check with benches for both ends, and releases the one that the suite does not know of. */
async function between(
  suite: Suite,
  direction: Direction,
  own: Bench,
  run: (from: Bench, to: Bench) => Promise<void>,
): Promise<void> {
  const other = new Bench(suite.pair);
  try {
    await run(direction === "in" ? other : own, direction === "out" ? other : own);
  } finally {
    await other.release();
  }
}

async function freshSide(bench: Bench): Promise<Side> {
  return { bench, endpoint: await bench.place() };
}

async function filledSide(bench: Bench, records: readonly P2PRecord[]): Promise<Side> {
  const side = await freshSide(bench);
  await bench.write(side.endpoint, records);
  return side;
}

const contents = (side: Side): Promise<P2PRecord[]> => side.bench.contents(side.endpoint);

function directionChecks(suite: Suite, direction: Direction, way: string): void {
  const runs = suite.seed === undefined ? {} : { seed: suite.seed };
  // The other end can do what the adapter cannot.
  const replacing: readonly Feature[] = direction === "out" ? [] : ["replacing"];

  check(
    suite,
    `law 1, conservation: ${way}, every record is written, skipped or a dead letter`,
    async (own) => {
      await between(suite, direction, own, async (from, to) => {
        const records = sampleRecords(120);
        const source = await filledSide(from, records);
        const position = (id: P2PRecord["id"]): number => Number(idKey(id).slice(-7));
        const transform: Transform = (record) => {
          if (position(record.id) % 10 === 3) throw new Error("not this one");
          return position(record.id) % 10 === 4 ? null : record;
        };
        const there = records.filter((_, i) => i % 10 === 5).map(({ id }): P2PRecord => ({ id, old: true }));
        const target = await filledSide(to, there);
        const box = new LetterBox();
        const result = await transferOnce(source, target, {
          batchSize: 13,
          mode: "insert",
          transform,
          deadLetters: box,
        });
        assertConserved(result, box);
        expect(result).toMatchObject({ totalRecords: 120, successCount: 84, skippedCount: 12, failureCount: 24 });
        const reasons = new Set(box.letters.map(({ id, code }) => `${Number(id.slice(-7)) % 10} ${code}`));
        expect([...reasons].sort(), "last digit and code of the dead letters").toEqual([
          "3 TRANSFORM_FAILED",
          "5 DUPLICATE_ID",
        ]);
        const kept = records.filter((_, i) => ![3, 4, 5].includes(i % 10));
        assertSameRecords(await contents(target), [...there, ...kept]);
      });
    },
    replacing,
  );

  check(
    suite,
    `law 3, idempotence: ${way}, the same transfer twice leaves what one does`,
    async (own) => {
      await between(suite, direction, own, async (from, to) => {
        const records = sampleRecords(100);
        const source = await filledSide(from, records);
        const target = await freshSide(to);
        for (let time = 1; time <= 2; time++) {
          const result = await transferOnce(source, target, { batchSize: 30 });
          expect(result).toMatchObject({ totalRecords: 100, successCount: 100, failureCount: 0, skippedCount: 0 });
          assertSameRecords(await contents(target), records, { context: `transfer ${time}` });
        }
        const skipping = await transferOnce(source, target, { batchSize: 30, mode: "skip" });
        expect(skipping).toMatchObject({ totalRecords: 100, successCount: 0, failureCount: 0, skippedCount: 100 });
      });
    },
    replacing,
  );

  check(suite, `law 4, resume: ${way}, killed anywhere and resumed, the target is as if undisturbed`, async (own) => {
    await between(suite, direction, own, async (from, to) => {
      const records = sampleRecords(60);
      const source = await filledSide(from, records);
      const cases = fc.record({
        batchSize: fc.integer({ min: 3, max: 25 }),
        concurrency: fc.integer({ min: 1, max: 4 }),
        kill: fc.integer({ min: 0, max: 6 }),
        when: fc.constantFrom("before" as const, "after" as const),
      });
      await fc.assert(
        fc.asyncProperty(cases, async ({ batchSize, concurrency, kill, when }) => {
          const target = await freshSide(to);
          let sent = 0;
          const options = { batchSize, concurrency, transferId: "law-4", checkpoint: new MemoryCheckpointStore() };
          const interpose = killedAt(kill, when, (count) => {
            sent += count;
          });
          const killed = await transferOnce(source, target, options, { interpose }).then(
            () => false,
            (error: unknown) => {
              if (!isKilled(error)) throw error;
              return true;
            },
          );
          const watch = killedAt(Number.POSITIVE_INFINITY, "before", (count) => {
            sent += count;
          });
          const result = await transferOnce(source, target, { ...options, resume: true }, { interpose: watch });
          assertSameRecords(await contents(target), records);
          expect(result).toMatchObject({ totalRecords: 60, successCount: 60, failureCount: 0 });
          const reader = await source.bench.open(source.endpoint, "source");
          const mayRepeat = killed ? batchSize * concurrency : 0;
          if (reader.capabilities.resumable) expect(sent, "records sent").toBeLessThanOrEqual(60 + mayRepeat);
        }),
        { numRuns: Math.max(2, Math.ceil(suite.numRuns / 2)), ...runs },
      );
    });
  });
}

function thereAndBackCheck(suite: Suite): void {
  const way = `${route(suite, "out")} and back`;
  check(suite, `law 2, round trip: ${way}, every sample value`, async (own) => {
    await between(suite, "out", own, async (from, to) => {
      const [source, away, back] = [await freshSide(from), await freshSide(to), await freshSide(from)];
      const ends = [await from.open(source.endpoint, "target"), await to.open(away.endpoint, "target")];
      const records = everyValueType().filter((record) => ends.every((end) => holds(end.capabilities, record)));
      await from.write(source.endpoint, records);
      for (const [a, b] of [
        [source, away],
        [away, back],
      ] as const) {
        const result = await transferOnce(a, b, { batchSize: 40 });
        expect(result.errors).toEqual([]);
        expect(result.successCount).toBe(records.length);
      }
      assertSameRecords(await contents(back), records);
    });
  });
}

function assertConserved(result: TransferResult, box: LetterBox): void {
  const { totalRecords, successCount, skippedCount, failureCount } = result;
  expect(successCount + skippedCount + failureCount, "written + skipped + failed").toBe(totalRecords);
  expect(box.letters, "dead letters").toHaveLength(failureCount);
  for (const letter of box.letters) {
    expect(letter.reason, `reason of ${letter.id}`).toMatch(/\S/);
    expect(letter.record, `record of ${letter.id}`).toBeDefined();
  }
}

function secrecyCheck(suite: Suite): void {
  check(
    suite,
    "law 8, secrecy: a password is in no result, checkpoint, dead letter or error",
    async (bench) => {
      const records = sampleRecords(5);
      const source = await filledSide(bench, records);
      const target = await filledSide(bench, records.slice(0, 2));
      // The services are open already, so the password is what the bridge knows of the endpoint and nothing else.
      const secret = (side: Side): Side => ({
        bench: {
          open: (_: unknown, role: "source" | "target") => side.bench.open(side.endpoint, role),
        } as unknown as Bench,
        endpoint: { ...side.endpoint, metadata: { ...side.endpoint.metadata, username: "me", password: PLANTED } },
      });
      const checkpoint = new MemoryCheckpointStore();
      const box = new LetterBox();
      const options = { mode: "insert", transferId: "law-8", checkpoint, deadLetters: box } as const;
      const result = await transferOnce(secret(source), secret(target), options);
      expect(result.failureCount).toBe(2);
      const seen = [result, await checkpoint.load("law-8"), box.letters.map(({ record: _, ...letter }) => letter)];
      const interpose = killedAt(0, "before", () => {});
      const failed = await transferOnce(secret(source), secret(target), {}, { interpose }).catch(
        (error: unknown) => error,
      );
      expect(isP2PError(failed), String(failed)).toBe(true);
      expect(inspect([seen, failed], { depth: 20, maxArrayLength: 1000, maxStringLength: 10_000 })).not.toContain(
        PLANTED,
      );
    },
    ["replacing"],
  );
}
