import { cloneValue, idKey, type P2PId, type P2PRecord, type WriteMode } from "@omni/p2p-core/starter";
import * as fc from "fast-check";
import { expect } from "vitest";
import { assertAllWritten, readRecords, write } from "../bench.ts";
import { assertSameRecords } from "../compare.ts";
import { writeShelf } from "../reference.ts";
import { sampleRecords } from "../sample-records.ts";
import { check, group, type Suite } from "../suite.ts";

/** Writing: modes, partial failure, accounting. */
export function writingChecks(suite: Suite): void {
  group("writing", () => {
    modeChecks(suite);
    accountingChecks(suite);
  });
}

function modeChecks(suite: Suite): void {
  check(
    suite,
    "upsert replaces the whole record",
    async (bench) => {
      const place = await bench.place();
      const target = await bench.open(place, "target");
      assertAllWritten(await write(target, [{ id: "a", x: 1, gone: "old", becomesNull: 1, changes: 5 }, { id: "b" }]));
      const next = { id: "a", x: 2, becomesNull: null, changes: "now text", added: true };
      const result = await write(target, [next]);
      expect(result).toMatchObject({ written: 1, skipped: 0, failures: [] });
      assertSameRecords(await bench.contents(place), [next, { id: "b" }]);
    },
    ["replacing"],
  );

  check(
    suite,
    "insert fails records whose id is there, by index, and writes the others",
    async (bench) => {
      const place = await bench.place();
      const records = sampleRecords(50);
      const there = [0, 3, 4, 17, 31, 48, 49];
      const old = there.map((i) => ({ id: records[i]!.id, old: true }));
      await bench.write(place, old);
      const result = await write(await bench.open(place, "target"), records, "insert");
      expect(result.failures.map((failure) => failure.index).sort((a, b) => a - b)).toEqual(there);
      expect(result).toMatchObject({ written: 43, skipped: 0 });
      for (const { index, id, error } of result.failures) {
        expect(error.code).toBe("DUPLICATE_ID");
        expect(error.retryable).toBe(false);
        expect(id, `id of the failure at index ${index}`).toBe(records[index]!.id);
      }
      assertSameRecords(await bench.contents(place), [...old, ...records.filter((_, i) => !there.includes(i))]);
    },
    ["replacing"],
  );

  check(
    suite,
    "skip leaves records whose id is there, and counts them",
    async (bench) => {
      const place = await bench.place();
      const records = sampleRecords(20);
      const old = [2, 5, 19].map((i) => ({ id: records[i]!.id, old: true }));
      await bench.write(place, old);
      const result = await write(await bench.open(place, "target"), records, "skip");
      expect(result).toMatchObject({ written: 17, skipped: 3, failures: [] });
      assertSameRecords(await bench.contents(place), [...old, ...records.filter((_, i) => ![2, 5, 19].includes(i))]);
    },
    ["replacing"],
  );

  check(
    suite,
    "an id that comes twice in one batch is treated as in two batches",
    async (bench) => {
      for (const mode of ["upsert", "insert", "skip"] as const) {
        const place = await bench.place();
        const records = [
          { id: "a", n: 1 },
          { id: "b", n: 2 },
          { id: "a", n: 3, last: true },
          { id: "a", n: 4 },
        ];
        const result = await write(await bench.open(place, "target"), records, mode);
        expect(result.written, `${mode}: written`).toBe(mode === "upsert" ? 4 : 2);
        expect(result.failures.map((failure) => failure.index)).toEqual(mode === "insert" ? [2, 3] : []);
        const kept = mode === "upsert" ? { id: "a", n: 4 } : { id: "a", n: 1 };
        assertSameRecords(await bench.contents(place), [kept, { id: "b", n: 2 }], { context: mode });
      }
    },
    ["replacing"],
  );

  check(
    suite,
    'an identity is the id\'s text: 1, 1n and "1" name one record',
    async (bench) => {
      const place = await bench.place();
      const target = await bench.open(place, "target");
      const versions: P2PRecord[] = [
        { id: 1, n: "number" },
        { id: "1", n: "text" },
        { id: 1n, n: "bigint" },
      ];
      for (const version of versions) {
        assertAllWritten(await write(target, [version]));
        assertSameRecords(await bench.contents(place), [version]);
      }
      for (const { id } of versions) {
        const again = await write(target, [{ id, n: "again" }], "insert");
        expect(again.failures.map((failure) => failure.error.code)).toEqual(["DUPLICATE_ID"]);
      }
      assertSameRecords(await bench.contents(place), [versions[2]!]);
    },
    ["typed ids", "one identity", "replacing"],
  );
}

function accountingChecks(suite: Suite): void {
  check(
    suite,
    "law 3, idempotence: writing the same batch twice leaves what writing it once does",
    async (bench) => {
      const place = await bench.place();
      const records = sampleRecords(30);
      const target = await bench.open(place, "target");
      assertAllWritten(await write(target, records));
      const once = await bench.contents(place);
      assertAllWritten(await write(target, records));
      assertSameRecords(await bench.contents(place), once, { ordered: true });
      assertSameRecords(once, records);
    },
    ["replacing"],
  );

  check(
    suite,
    "records are never changed by writing them",
    async (bench) => {
      const place = await bench.place();
      const records = sampleRecords(20);
      const before = records.map((record) => cloneValue(record) as P2PRecord);
      const target = await bench.open(place, "target");
      for (const mode of ["upsert", "insert", "skip"] as const) await write(target, records, mode);
      assertSameRecords(records, before);
      for (const [i, record] of records.entries()) expect(Object.keys(record)).toEqual(Object.keys(before[i]!));
    },
    ["replacing"],
  );

  check(suite, "frozen records can be written", async (bench) => {
    const place = await bench.place();
    const records = [1, 2].map((n) =>
      Object.freeze({ id: `f${n}`, list: Object.freeze([1, 2]), n: Object.freeze({ n }) }),
    );
    assertAllWritten(await write(await bench.open(place, "target"), Object.freeze(records)));
    assertSameRecords(await bench.contents(place), records);
  });

  check(suite, "writes run in parallel up to writeConcurrency", async (bench) => {
    const place = await bench.place();
    const target = await bench.open(place, "target");
    const parallel = Math.min(target.capabilities.writeConcurrency, 8);
    const records = sampleRecords(40 * parallel);
    const parts = Array.from({ length: parallel }, (_, part) => records.slice(part * 40, part * 40 + 40));
    // The first write to a fresh place makes the table, index or collection, so all of them race for that too.
    for (const result of await Promise.all(parts.map((part) => write(target, part)))) assertAllWritten(result);
    assertSameRecords(await bench.contents(place), records);
  });

  check(suite, "batches of 1 and of 3,000 are written whole", async (bench) => {
    const place = await bench.place();
    const target = await bench.open(place, "target");
    const records = sampleRecords(3001).map(({ id, position, title }) => ({ id, position, title }) as P2PRecord);
    assertAllWritten(await write(target, records.slice(0, 1)));
    expect(await write(target, records.slice(1))).toMatchObject({ written: 3000 });
    assertSameRecords(await bench.contents(place), records);
  });

  check(
    suite,
    "law 1, conservation: written + skipped + failures is what was given, in every mode",
    async (bench) => {
      const place = await bench.place();
      const target = await bench.open(place, "target");
      const model = new Map<string, P2PRecord>();
      // Some ids that are sure to come again, and many that are new.
      const ids = fc.oneof(
        fc.constantFrom<P2PId>("a", "b", "c", 1),
        fc.integer({ min: 100, max: 400 }).map((n) => `n${n}`),
      );
      const records = fc.array(fc.tuple(ids, fc.integer()), { minLength: 1, maxLength: 12 });
      const modes = fc.constantFrom<WriteMode>("upsert", "insert", "skip");
      await fc.assert(
        fc.asyncProperty(records, modes, async (entries, mode) => {
          const batch = entries.map(([id, n]) => ({ id, n }));
          const expected = writeShelf(model, batch, mode);
          const result = await write(target, batch, mode);
          expect(result.written, "written").toBe(expected.written);
          expect(result.skipped, "skipped").toBe(expected.skipped);
          const indexes = result.failures.map((failure) => failure.index).sort((a, b) => a - b);
          expect(indexes).toEqual(expected.failures.map((failure) => failure.index));
        }),
        // One place is used for all runs, so a smaller example cannot be looked for.
        { numRuns: suite.numRuns * 2, endOnFailure: true, ...(suite.seed === undefined ? {} : { seed: suite.seed }) },
      );
      assertSameRecords(await bench.contents(place), [...model.values()]);
    },
    ["replacing"],
  );

  check(suite, "what was written is found by its id", async (bench) => {
    const { source } = await bench.filled(sampleRecords(12));
    for (const record of sampleRecords(12)) {
      const found = await readRecords(source, { where: { id: idKey(record.id) } });
      assertSameRecords(found, [record]);
    }
  });
}
