import {
  type DeleteRef,
  type EndpointInfo,
  isP2PError,
  type P2PDataTransferService,
  type P2PId,
  type P2PRecord,
  recordDigest,
  TaggedValue,
} from "@omni/p2p-core/starter";
import { expect } from "vitest";
import { OPERATOR_TEXTS } from "../awkward-texts.ts";
import {
  assertAllWritten,
  type Bench,
  calm,
  deleteRefs,
  lookUp,
  readRecords,
  readRefs,
  within,
  write,
} from "../bench.ts";
import { assertSameRecords } from "../compare.ts";
import { RoundTrips } from "../round-trips.ts";
import { sampleRecords } from "../sample-records.ts";
import { check, group, type Skip, type Suite } from "../suite.ts";
import { expectAbort, SOON_MS, settledWith } from "./aborting.ts";
import { ID_TEXTS, TYPED_IDS } from "./ids.ts";
import { MANY, MOST_ROUND_TRIPS } from "./looking-up.ts";

/** `deleteFromTarget`. */
export function deletingChecks(suite: Suite): void {
  group("deletes", () => {
    deleteChecks(suite);
    expectationChecks(suite);
    deleteMannerChecks(suite);
    deletedIdChecks(suite);
  });
}

/** A place with these records, opened as a target that can delete. */
async function deletable(
  bench: Bench,
  skip: Skip,
  records: readonly P2PRecord[],
): Promise<{ readonly place: EndpointInfo; readonly target: P2PDataTransferService }> {
  const place = await bench.place();
  await bench.write(place, records);
  const target = await bench.open(place, "target");
  if (target.capabilities.deletes !== true) skip("capabilities.deletes is false");
  return { place, target };
}

function deleteChecks(suite: Suite): void {
  check(
    suite,
    "what was deleted is gone for readers that open later, and for count and look-ups",
    async (bench, skip) => {
      const records = sampleRecords(60);
      const { place, target } = await deletable(bench, skip, records);
      // A source that is open already must not give back to a later one what it remembers.
      const open = await bench.open(place, "source");
      await readRecords(open);
      const gone = records.filter((_, i) => i % 3 === 0);
      const kept = records.filter((_, i) => i % 3 !== 0);
      const result = await deleteRefs(target, refsOf(gone));
      expect(result).toEqual({ deleted: 20, absent: 0, changed: [], failures: [] });
      assertSameRecords(await bench.contents(place), kept);
      assertSameRecords(
        await bench.contents(place, { where: { position: { gte: 30 } } }),
        kept.filter(({ position }) => (position as number) >= 30),
      );
      const later = await bench.open(place, "source");
      expect([40, undefined]).toContain(await later.count({}, calm()));
      expect([0, undefined]).toContain(await later.count({ where: { id: records[0]!.id as string } }, calm()));
      if (later.capabilities.lookUp !== true) return;
      const states = (await lookUp(later, refsOf(records))).map(({ state }) => state);
      expect(states).toEqual(records.map((_, i) => (i % 3 === 0 ? "absent" : "wanted")));
    },
  );

  check(suite, "to delete an id of no record is no error", async (bench, skip) => {
    const records = sampleRecords(5);
    const { place, target } = await deletable(bench, skip, records);
    const strangers = ["nobody", "record", "record-000000", "RECORD-0000001", "record-*", "record-000000?", "%", "_"];
    expect(await deleteRefs(target, refsOf(strangers.map((id) => ({ id }))))).toMatchObject({
      ...{ deleted: 0, absent: strangers.length },
      ...{ changed: [], failures: [] },
    });
    expect(await deleteRefs(target, [{ id: "nobody", expected: recordDigest(records[0]!) }])).toMatchObject({
      absent: 1,
    });
    const mixed = [{ id: "nobody" }, ...refsOf(records.slice(1, 3)), { id: "nobody too" }];
    expect(await deleteRefs(target, mixed)).toMatchObject({ deleted: 2, absent: 2 });
    assertSameRecords(await bench.contents(place), [records[0]!, records[3]!, records[4]!]);
  });

  check(suite, "nothing is deleted of a target in which nothing is yet, and it is no error", async (bench, skip) => {
    const target = await bench.open(await bench.place(), "target");
    if (target.capabilities.deletes !== true) skip("capabilities.deletes is false");
    expect(await deleteRefs(target, [{ id: "a" }, { id: 1 }])).toMatchObject({ deleted: 0, absent: 2 });
  });

  check(suite, "an id that comes twice is deleted once and absent once", async (bench, skip) => {
    const records = sampleRecords(4);
    const { place, target } = await deletable(bench, skip, records);
    const [first, second] = await readRecords(await bench.open(place, "source"));
    const refs: DeleteRef[] = [
      { id: first!.id },
      { id: second!.id, expected: recordDigest(second!) },
      { id: first!.id },
      { id: second!.id, expected: recordDigest(second!) },
      { id: first!.id, expected: recordDigest(first!) },
    ];
    expect(await deleteRefs(target, refs)).toEqual({ deleted: 2, absent: 3, changed: [], failures: [] });
    expect(await bench.contents(place)).toHaveLength(2);
  });

  check(suite, "a delete of nothing deletes nothing", async (bench, skip) => {
    const { place, target } = await deletable(bench, skip, sampleRecords(3));
    expect(await deleteRefs(target, [])).toEqual({ deleted: 0, absent: 0, changed: [], failures: [] });
    expect(await bench.contents(place)).toHaveLength(3);
  });

  check(suite, "what was deleted can be written again, in every mode", async (bench, skip) => {
    const records = sampleRecords(6);
    const { place, target } = await deletable(bench, skip, records);
    for (const mode of ["upsert", "insert", "skip"] as const) {
      expect(await deleteRefs(target, refsOf(records))).toMatchObject({ deleted: 6 });
      const again = records.map(({ id }) => ({ id, again: mode }));
      assertAllWritten(await write(target, again, mode));
      assertSameRecords(await bench.contents(place), again, { context: mode });
    }
    expect(await deleteRefs(target, refsOf(records))).toMatchObject({ deleted: 6 });
    expect(await deleteRefs(target, refsOf(records))).toMatchObject({ deleted: 0, absent: 6 });
  });

  check(suite, "10,000 records are deleted at once, with no round trip a record", async (bench, skip) => {
    const place = await bench.place();
    const many = Array.from({ length: MANY }, (_, n): P2PRecord => ({ id: `id-${n}`, n }));
    await bench.write(place, many);
    const trips = new RoundTrips();
    try {
      const target = await bench.open(place, "target");
      if (target.capabilities.deletes !== true) skip("capabilities.deletes is false");
      const before = trips.count ?? 0;
      // Every tenth is absent, every other one is expected to be as it is, and the last one stays.
      const refs = many.slice(0, -1).map((record, i): DeleteRef => {
        if (i % 10 === 0) return { id: `none-${i}` };
        return i % 2 === 0 ? { id: record.id } : { id: record.id, expected: recordDigest(record) };
      });
      const result = await deleteRefs(target, refs);
      const taken = (trips.count ?? 0) - before;
      expect(result).toEqual({ deleted: MANY * 0.9 - 1, absent: MANY / 10, changed: [], failures: [] });
      expect(taken, `round trips for ${MANY} ids`).toBeLessThanOrEqual(MOST_ROUND_TRIPS);
      assertSameRecords(
        await bench.contents(place),
        many.filter((_, i) => i % 10 === 0 || i === MANY - 1),
      );
    } finally {
      trips.stop();
    }
  });
}

function expectationChecks(suite: Suite): void {
  check(suite, "a record that is not the expected one any more stays, and is told as changed", async (bench, skip) => {
    const records = sampleRecords(12);
    const { place, target } = await deletable(bench, skip, records);
    const seen = await readRecords(await bench.open(place, "source"));
    const now = seen.slice(0, 4).map((record, i): P2PRecord => {
      if (i === 0) return { ...record, position: 1000 };
      if (i === 1) return { ...record, added: null };
      if (i === 2) return { id: record.id };
      return { ...record, number: String(record.number) };
    });
    assertAllWritten(await write(target, now));
    const refs: DeleteRef[] = [
      { id: "nobody", expected: recordDigest(seen[0]!) },
      ...seen.map((record) => ({ id: record.id, expected: recordDigest(record) })),
      { id: seen[0]!.id, expected: "no digest of anything" },
    ];
    const result = await deleteRefs(target, refs);
    expect([...result.changed].sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 13]);
    expect(result).toMatchObject({ deleted: 8, absent: 1, failures: [] });
    assertSameRecords(await bench.contents(place), now);
    // As they are read now, they are what is expected.
    const current = await readRecords(await bench.open(place, "source"));
    const right = current.map((record) => ({ id: record.id, expected: recordDigest(record) }));
    expect(await deleteRefs(target, right)).toEqual({ deleted: 4, absent: 0, changed: [], failures: [] });
  });

  check(suite, "every sample record is deleted on the expectation of what was read", async (bench, skip) => {
    const records = sampleRecords(120);
    const { place, target } = await deletable(bench, skip, records);
    const refs = (await readRefs(await bench.open(place, "source"))).map(({ ref, record }) => ({
      ...ref,
      expected: recordDigest(record),
    }));
    expect(await deleteRefs(target, refs)).toEqual({ deleted: 120, absent: 0, changed: [], failures: [] });
    expect(await bench.contents(place)).toEqual([]);
  });

  check(suite, "a record that cannot be read is not deleted on an expectation", async (bench, skip) => {
    const records = sampleRecords(5);
    const { place, target } = await deletable(bench, skip, records);
    const spoil = bench.breakerOf(place) ?? skip("the adapter's test does not say how a record is broken");
    const seen = await readRecords(await bench.open(place, "source"));
    await spoil(records[2]!.id);
    const refs = seen.map((record) => ({ id: record.id, expected: recordDigest(record) }));
    const result = await deleteRefs(target, refs);
    const broken = seen.findIndex(({ id }) => id === records[2]!.id);
    expect([...result.changed, ...result.failures.map(({ index }) => index)]).toEqual([broken]);
    for (const { error } of result.failures)
      expect(isP2PError(error), "the error of a failure is a P2PError").toBe(true);
    expect(result.deleted).toBe(4);
    // Without an expectation it may go: whoever asks so means the id.
    expect(await deleteRefs(target, [{ id: records[2]!.id }])).toMatchObject({ absent: 0, changed: [] });
  });
}

function deleteMannerChecks(suite: Suite): void {
  check(suite, "an aborted signal stops a delete, and nothing is deleted", async (bench, skip) => {
    const records = sampleRecords(5);
    const { place, target } = await deletable(bench, skip, records);
    await expectAbort("deleteFromTarget", (signal) => deleteRefs(target, refsOf(records), signal));
    expect(await bench.contents(place)).toHaveLength(5);
  });

  check(
    suite,
    "aborting in the middle of a delete ends it soon, and asking again does no harm",
    async (bench, skip) => {
      const records = sampleRecords(300);
      const { place, target } = await deletable(bench, skip, records);
      const controller = new AbortController();
      const reason = new Error("enough");
      const deleting = deleteRefs(target, refsOf(records.slice(0, 290)), controller.signal);
      setTimeout(() => controller.abort(reason), 1);
      const finished = await within(SOON_MS, "a delete after an abort", settledWith(deleting, reason));
      const left = (await bench.contents(place)).length;
      if (finished) expect(left).toBe(10);
      const { deleted, absent } = await deleteRefs(target, refsOf(records));
      expect(deleted + absent).toBe(300);
      if (finished) expect(deleted).toBe(10);
      expect(await bench.contents(place)).toEqual([]);
    },
  );

  check(suite, "deletes and writes run in parallel up to writeConcurrency", async (bench, skip) => {
    const records = sampleRecords(160);
    const { place, target } = await deletable(bench, skip, records.slice(0, 120));
    const parallel = Math.min(target.capabilities.writeConcurrency, 4);
    const parts = Array.from({ length: parallel }, (_, part) =>
      records.slice(0, 120).filter((_, i) => i % parallel === part),
    );
    const tasks = parts.map(
      (part) => async () => void expect(await deleteRefs(target, refsOf(part))).toMatchObject({ deleted: part.length }),
    );
    if (parallel > 1) {
      const last = tasks.pop()!;
      await Promise.all([...tasks.map((task) => task()), write(target, records.slice(120)).then(assertAllWritten)]);
      await last();
    } else {
      await tasks[0]!();
      assertAllWritten(await write(target, records.slice(120)));
    }
    assertSameRecords(await bench.contents(place), records.slice(120));
  });

  check(suite, "a place of which every record was deleted keeps its identity", async (bench, skip) => {
    const records = sampleRecords(3);
    const { place, target } = await deletable(bench, skip, records);
    const first = (await target.identity?.(calm())) ?? skip("this adapter does not tell identities");
    await deleteRefs(target, refsOf(records));
    expect(await (await bench.open(place, "target")).identity?.(calm())).toEqual(first);
  });
}

function deletedIdChecks(suite: Suite): void {
  const texts = [...new Set([...ID_TEXTS, ...OPERATOR_TEXTS])];

  check(suite, "ids of any text are deleted by that very text, and no other", async (bench, skip) => {
    await assertDeletes(
      bench,
      skip,
      texts.map((id, i) => ({ id, i })),
      ({ i }) => (i as number) % 2 === 0,
    );
    await assertDeletes(
      bench,
      skip,
      texts.map((id, i) => ({ id, i })),
      ({ i }) => (i as number) % 2 === 1,
    );
  });

  check(suite, "ids of more than 256 characters are deleted to their last one", async (bench, skip) => {
    const ids = [255, 256, 300, 450].flatMap((length) => ["", "a", "b"].map((last) => "x".repeat(length) + last));
    const records = [...new Set([...ids, "长".repeat(150)])].map((id, i) => ({ id, i }));
    await assertDeletes(bench, skip, records, ({ id }) => String(id).endsWith("a") || String(id).endsWith("长"));
  });

  check(
    suite,
    "ids of 2,000 characters are deleted to their last one",
    async (bench, skip) => {
      const ids = ["x".repeat(2000), `${"x".repeat(1999)}y`, "x".repeat(1999), "长".repeat(2000)];
      await assertDeletes(
        bench,
        skip,
        ids.map((id, i) => ({ id, i })),
        ({ i }) => (i as number) > 0 && (i as number) < 3,
      );
    },
    ["long ids"],
  );

  for (const [kind, ids] of Object.entries(TYPED_IDS)) {
    check(
      suite,
      `ids that are ${kind} are deleted as they are`,
      async (bench, skip) =>
        assertDeletes(
          bench,
          skip,
          ids.map((id, i) => ({ id, i })),
          ({ i }) => (i as number) % 2 === 0,
        ),
      ["typed ids"],
    );
  }

  check(
    suite,
    "ids that are objects and tagged values are deleted as they are",
    async (bench, skip) => {
      const ids: P2PId[] = [
        { region: "eu", n: 5 },
        { region: "eu" },
        new TaggedValue("mongodb:objectId", "65f0c0ffee0ddba11ca7f00d"),
        new TaggedValue("mongodb:objectId", "65f0c0ffee0ddba11ca7f00e"),
        new TaggedValue("testkit:key", { a: 1 }),
      ];
      await assertDeletes(
        bench,
        skip,
        ids.map((id, i) => ({ id, i })),
        ({ i }) => (i as number) % 2 === 0,
      );
    },
    ["typed ids", "composite ids"],
  );

  check(
    suite,
    'a delete takes the record that a write would replace: 1, 1n and "1" name one record',
    async (bench, skip) => {
      const { place, target } = await deletable(bench, skip, [{ id: "kept" }]);
      for (const there of [1, "1", 1n]) {
        for (const id of [1, "1", 1n]) {
          assertAllWritten(await write(target, [{ id: there }]));
          expect(await deleteRefs(target, [{ id: "01" }, { id }, { id: "1.0" }])).toMatchObject({
            deleted: 1,
            absent: 2,
          });
          assertSameRecords(await bench.contents(place), [{ id: "kept" }]);
        }
      }
    },
    ["typed ids", "one identity"],
  );

  check(
    suite,
    'a delete takes the record that a write would replace: a store that tells 1 from "1" keeps the other',
    async (bench, skip) => {
      if (!suite.lacks.has("one identity")) skip("ids of one text are one identity here");
      const { place, target } = await deletable(bench, skip, [{ id: 1 }, { id: "1" }, { id: "2" }]);
      expect(await deleteRefs(target, [{ id: 1 }, { id: 2 }])).toMatchObject({ deleted: 1, absent: 1 });
      const left = (await bench.contents(place)).map(({ id }) => id);
      expect(left.sort()).toEqual(["1", "2"]);
    },
    ["typed ids"],
  );

  check(suite, "locators from reading lead a delete to the records", async (bench, skip) => {
    const records = sampleRecords(8);
    const { place, target } = await deletable(bench, skip, records);
    const refs = (await readRefs(await bench.open(place, "source"))).map(({ ref }) => ref);
    expect(await deleteRefs(target, refs.slice(0, 5))).toMatchObject({ deleted: 5 });
    expect(await bench.contents(place)).toHaveLength(3);
    // The record is gone, and its locator leads to nothing.
    expect(await deleteRefs(target, refs)).toMatchObject({ deleted: 3, absent: 5 });
  });
}

/** Deletes some records of a place by the ids that reading gives, and holds the rest to be as it was. */
async function assertDeletes(
  bench: Bench,
  skip: Skip,
  records: readonly P2PRecord[],
  isGone: (record: P2PRecord) => boolean,
): Promise<void> {
  const { place, target } = await deletable(bench, skip, records);
  const gone = records.filter(isGone);
  expect(await deleteRefs(target, refsOf(gone))).toEqual({
    deleted: gone.length,
    absent: 0,
    changed: [],
    failures: [],
  });
  const kept = records.filter((record) => !isGone(record));
  assertSameRecords(await bench.contents(place), kept);
  expect(await deleteRefs(target, refsOf(gone))).toMatchObject({ deleted: 0, absent: gone.length });
  const read = await readRecords(await bench.open(place, "source"));
  const expected = read.map((record) => ({ id: record.id, expected: recordDigest(record) }));
  expect(await deleteRefs(target, expected)).toMatchObject({ deleted: kept.length, absent: 0 });
  expect(await bench.contents(place)).toEqual([]);
}

function refsOf(records: readonly P2PRecord[]): DeleteRef[] {
  return records.map(({ id }) => ({ id }));
}
