import {
  type EndpointInfo,
  encodeJson,
  idKey,
  type P2PRecord,
  type P2PValue,
  TaggedValue,
  VALUE_TYPES,
  type ValueType,
} from "@omni/p2p-core/starter";
import * as fc from "fast-check";
import { expect } from "vitest";
import { recordsArbitrary, type ValueLimits } from "../arbitraries.ts";
import { AWKWARD_FIELDS } from "../awkward-texts.ts";
import { assertAllWritten, Bench, write } from "../bench.ts";
import { assertSameRecords } from "../compare.ts";
import { holdable, holds } from "../holding.ts";
import { sampleRecords } from "../sample-records.ts";
import { nestedValue, objectOf, SAMPLE_VALUES } from "../samples.ts";
import { check, group, type Suite } from "../suite.ts";

/** Law 2: what goes in comes out, with its type. */
export function roundTripChecks(suite: Suite): void {
  group("round trip", () => {
    for (const type of VALUE_TYPES) typeCheck(suite, type);
    shapeChecks(suite);
    propertyChecks(suite);
  });
}

/** Writes records to a fresh place and reads them again. */
export async function assertRoundTrip(bench: Bench, records: readonly P2PRecord[]): Promise<void> {
  const place = await bench.place();
  await bench.write(place, records);
  assertSameRecords(await bench.contents(place), records);
}

function typeCheck(suite: Suite, type: ValueType): void {
  const title = `law 2, round trip: ${type}`;
  check(suite, title, async (bench, skip) => {
    const { capabilities } = await bench.open(await bench.place(), "target");
    if (capabilities.valueTypes[type] === "unsupported") {
      skip(`capabilities.valueTypes.${type} is "unsupported"`);
    }
    // One field of a single type, which a store with a schema keeps natively.
    const values = SAMPLE_VALUES[type].filter((value) => holds(capabilities, value));
    await assertRoundTrip(
      bench,
      values.map((value, i) => ({ id: `v${i}`, value })),
    );
    // And inside a list and an object, where there is no schema to tell the type.
    const small = values.filter((value) => encodeJson(value).length < 2000);
    if (capabilities.valueTypes.array === "unsupported" || capabilities.valueTypes.object === "unsupported") return;
    await assertRoundTrip(
      bench,
      small.map((value, i) => ({ id: `n${i}`, list: [value, 1, value], object: { inner: value, list: [[value]] } })),
    );
  });
}

function shapeChecks(suite: Suite): void {
  check(suite, "law 2, round trip: null and absent fields stay apart", async (bench) => {
    await assertRoundTrip(bench, [
      { id: "all", a: 1, b: "x", c: true },
      { id: "nulls", a: null, b: null, c: null },
      { id: "none" },
      { id: "some", b: null },
      { id: "undefined", a: undefined, b: "x" },
      { id: "inside", object: { a: null, b: undefined }, list: [null] },
    ]);
  });

  check(
    suite,
    "law 2, round trip: one field of many types in one batch",
    async (bench) => {
      await assertRoundTrip(bench, mixedRecords());
    },
    ["mixed types"],
  );

  check(
    suite,
    "law 2, round trip: a field whose type changes from batch to batch",
    async (bench) => {
      const place = await bench.place();
      const target = await bench.open(place, "target");
      const records = mixedRecords();
      for (const record of records) assertAllWritten(await write(target, [record]));
      assertSameRecords(await bench.contents(place), records);
      for (const record of records.toReversed()) assertAllWritten(await write(target, [record]));
      assertSameRecords(await bench.contents(place), records);
    },
    ["mixed types", "replacing"],
  );

  check(suite, "law 2, round trip: fields that come with later batches", async (bench) => {
    const place = await bench.place();
    const records = [1, 2, 3, 4].map((n) => ({ id: `n${n}`, [`field${n}`]: n, shared: n }));
    for (const record of records) await bench.write(place, [record]);
    assertSameRecords(await bench.contents(place), records);
  });

  check(
    suite,
    "law 2, round trip: any text as a field name",
    async (bench) => {
      const whole = objectOf([["id", "all"], ...AWKWARD_FIELDS.map((field, i) => [field, `v${i}`] as const)]);
      const single = AWKWARD_FIELDS.map((field, i) =>
        objectOf([
          ["id", `one${i}`],
          [field, i % 2 === 0 ? "text" : null],
        ]),
      );
      await assertRoundTrip(bench, [whole, ...single] as P2PRecord[]);
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    },
    ["awkward field names"],
  );

  check(
    suite,
    "law 2, round trip: records of 400 fields",
    async (bench) => {
      const wide = (id: string, prefix: string): P2PRecord =>
        objectOf([["id", id], ...Array.from({ length: 400 }, (_, i) => [`${prefix}${i}`, i] as const)]) as P2PRecord;
      await assertRoundTrip(bench, [wide("first", "a"), wide("second", "a"), wide("third", "b")]);
    },
    ["wide records"],
  );

  check(
    suite,
    "law 2, round trip: records of 2 MB",
    async (bench) => {
      await assertRoundTrip(bench, [
        { id: "text", body: "0123456789abcdé\n".repeat(131_072) },
        { id: "bytes", body: Uint8Array.from({ length: 2_000_000 }, (_, i) => (i * 31) & 255) },
        { id: "small", body: "after" },
      ]);
    },
    ["large records"],
  );

  check(
    suite,
    "nothing is lost in silence: a record nested 90 deep comes back or is a named failure",
    async (bench) => {
      const place = await bench.place();
      const records = [{ id: "flat" }, { id: "deep", value: nestedValue(90, "core") }, { id: "after" }];
      const result = await write(await bench.open(place, "target"), records);
      const failed = new Set(result.failures.map((failure) => failure.index));
      expect([...failed].every((index) => index === 1)).toBe(true);
      assertSameRecords(
        await bench.contents(place),
        records.filter((_, index) => !failed.has(index)),
      );
    },
  );

  check(suite, "law 2, round trip: the sample records, a thousand at once", async (bench) => {
    await assertRoundTrip(bench, sampleRecords(1000));
  });
}

function mixedRecords(): P2PRecord[] {
  const values: P2PValue[] = [
    5,
    "five",
    "5",
    5n,
    5.5,
    2n ** 80n,
    true,
    null,
    new Date(5),
    Uint8Array.of(5),
    [5],
    ["five"],
    [{ n: 5 }],
    { n: 5 },
    { n: "five" },
    { n: { n: 5 } },
    new TaggedValue("testkit:money", "5 EUR"),
    Number.NaN,
    "2024-01-01T00:00:00.000Z",
    -0,
    [],
    {},
  ];
  return values.map((value, i) => ({ id: `m${i}`, value, [`only${i}`]: value }));
}

function propertyChecks(suite: Suite): void {
  const runs = { numRuns: suite.numRuns, ...(suite.seed === undefined ? {} : { seed: suite.seed }) };

  check(
    suite,
    "law 2, round trip: generated records, within the store",
    async (bench) => {
      const targets = await generationTargets(suite, bench);
      await fc.assert(
        fc.asyncProperty(recordsArbitrary(targets.limits), async (records) => {
          const { place, target } = await targets.next();
          assertAllWritten(await write(target, records));
          assertSameRecords(await ours(bench, place, records), records);
        }),
        runs,
      );
    },
    ["replacing"],
  );

  check(suite, `law 2, round trip: generated records, to ${suite.pair.starter.storageType} and back`, async (bench) => {
    const targets = await generationTargets(suite, bench);
    const other = new Bench(suite.pair);
    try {
      const otherPlace = await other.place();
      const otherTarget = await other.open(otherPlace, "target");
      const both: ValueLimits = holdable(targets.limits, otherTarget.capabilities);
      await fc.assert(
        fc.asyncProperty(recordsArbitrary(both), async (records) => {
          const { place, target } = await targets.next();
          assertAllWritten(await write(target, records));
          assertAllWritten(await write(otherTarget, await ours(bench, place, records)));
          const back = await bench.place();
          await bench.write(back, await ours(other, otherPlace, records));
          assertSameRecords(await bench.contents(back), records);
        }),
        { ...runs, numRuns: Math.max(1, Math.ceil(suite.numRuns / 3)) },
      );
    } finally {
      await other.release();
    }
  });
}

/** What a place has under the ids of these records. */
async function ours(bench: Bench, place: EndpointInfo, records: readonly P2PRecord[]): Promise<P2PRecord[]> {
  const wanted = new Set(records.map(({ id }) => idKey(id)));
  return (await bench.contents(place)).filter(({ id }) => wanted.has(idKey(id)));
}

/**
 * Where generated records go: one place for all runs, since making one may be slow, and only a run's own records are
 * compared. A store that tells the ids 7 and "7" apart gets a new one each time: they are the same to {@link ours}.
 */
async function generationTargets(suite: Suite, bench: Bench) {
  const make = async () => {
    const place = await bench.place();
    return { place, target: await bench.open(place, "target") };
  };
  const first = await make();
  return {
    limits: holdable(suite.values, first.target.capabilities),
    next: async () => (suite.lacks.has("one identity") ? make() : first),
  };
}
