import {
  idKey,
  isP2PError,
  type LookUpOutcome,
  type P2PDataTransferService,
  type P2PId,
  type P2PQuery,
  type P2PRecord,
  type P2PValue,
  recordTrouble,
  TaggedValue,
  valuesEqual,
  valueType,
} from "@omni/p2p-core/starter";
import * as fc from "fast-check";
import { expect } from "vitest";
import { recordsArbitrary } from "../arbitraries.ts";
import { AWKWARD_FIELDS, OPERATOR_TEXTS } from "../awkward-texts.ts";
import { type Bench, type FilledPlace, lookUp, readRecords, readRefs, rejection, within } from "../bench.ts";
import { assertSameRecords, describeValue } from "../compare.ts";
import { holdable } from "../holding.ts";
import { overWire } from "../over-wire.ts";
import { RoundTrips } from "../round-trips.ts";
import { sampleRecords } from "../sample-records.ts";
import { objectOf } from "../samples.ts";
import { check, group, queryText, type Skip, type Suite, shared } from "../suite.ts";
import { expectAbort, SOON_MS, settledWith } from "./aborting.ts";
import { expectCode } from "./contract.ts";
import { COLUMNS, conditionsOn, filterRecords } from "./filtering.ts";
import { ID_TEXTS, TYPED_IDS } from "./ids.ts";

const COUNT = 50;
/** Ids in one look-up. */
export const MANY = 10_000;
/** Most round trips for that many: a batch of 20 is a small one. */
export const MOST_ROUND_TRIPS = MANY / 20;

/** The id of no record. */
const NOBODY = "nobody";
/** Ids that name no record, though one looks like them. */
const STRANGERS: readonly string[] = [
  "record",
  "record-000000",
  "record-00000010",
  "RECORD-0000001",
  " record-0000001",
  "record-0000001 ",
  "record-0000001\u0000",
  "record-*",
  "record-000000?",
  "record-%",
  NOBODY,
  "1",
  "__proto__",
];

/** `lookUp`, held to reading. */
export function lookUpChecks(suite: Suite): void {
  group("look-ups", () => {
    const records = sampleRecords(COUNT);
    const place = shared(suite, (bench) => bench.filled(records));
    const source = (skip: Skip): P2PDataTransferService => looking(place().source, skip);
    outcomeChecks(suite, records, source);
    refChecks(suite, records, place);
    lookUpMannerChecks(suite, source);
    certaintyChecks(suite);
    lookUpIdChecks(suite);
    agreementChecks(suite);
  });
}

/** The service, if it can look up. */
function looking(service: P2PDataTransferService, skip: Skip): P2PDataTransferService {
  return service.capabilities.lookUp === true ? service : skip("capabilities.lookUp is false");
}

function outcomeChecks(
  suite: Suite,
  records: readonly P2PRecord[],
  source: (skip: Skip) => P2PDataTransferService,
): void {
  check(suite, "outcomes of a look-up are in the order of the refs, and an absent id is no error", async (_, skip) => {
    const read = await readRecords(source(skip));
    const present = read.map((record) => ({ id: record.id, record }));
    // Not the order of the store, and the absent ones among the others.
    const refs = STRANGERS.flatMap((id, i) => [
      { id: id as P2PId, record: undefined },
      ...present.filter((_, n) => n % STRANGERS.length === (i * 5) % STRANGERS.length).reverse(),
    ]);
    const outcomes = await lookUp(
      source(skip),
      refs.map(({ id }) => ({ id })),
    );
    for (const [i, { id, record }] of refs.entries()) assertOutcome(outcomes[i]!, record, id);
    expect(refs.filter(({ record }) => record !== undefined)).toHaveLength(COUNT);
  });

  check(suite, "the query of a look-up says which records are wanted, and with which fields", async (_, skip) => {
    const queries: P2PQuery[] = [
      { type: "note" },
      { where: { position: { gte: 20 } }, fields: ["title"] },
      { where: { sometimes: { exists: false } }, fields: [] },
      { fields: ["object", "date", "nothing", "no such field"] },
      { type: "article", where: { flag: true, title: { prefix: "Sample 1" } }, fields: ["id", "flag"] },
      { where: { id: { in: ["record-0000003", NOBODY] } } },
      { where: { position: { in: [] } } },
    ];
    for (const query of queries) {
      await assertAgreement(source(skip), query, [...records.map(({ id }) => id), NOBODY]);
    }
  });

  check(
    suite,
    "the order of a query is of no matter to a look-up",
    async (_, skip) => {
      const query: P2PQuery = { where: { flag: true }, orderBy: { field: "position", direction: "desc" } };
      await assertAgreement(
        source(skip),
        query,
        records.map(({ id }) => id),
      );
    },
    ["sorting"],
  );

  check(suite, "a look-up in a part of a query knows the part's records", async (_, skip) => {
    const query: P2PQuery = { where: { position: { gte: 10 } } };
    const parts = await source(skip).partitions(query, 3, new AbortController().signal);
    for (const part of parts) {
      await assertAgreement(
        source(skip),
        part,
        records.map(({ id }) => id),
      );
    }
  });

  check(suite, "each ref of a look-up gets its outcome, also one that comes twice", async (_, skip) => {
    const [first, second] = [records[3]!, records[4]!];
    const ids: P2PId[] = [first.id, NOBODY, first.id, second.id, NOBODY, first.id];
    const outcomes = await lookUp(
      source(skip),
      ids.map((id) => ({ id })),
    );
    const expected = [first, undefined, first, second, undefined, first];
    for (const [i, record] of expected.entries()) assertOutcome(outcomes[i]!, record, ids[i]!);
  });

  check(suite, "a look-up of nothing gives nothing", async (_, skip) => {
    expect(await lookUp(source(skip), [])).toEqual([]);
  });
}

function refChecks(suite: Suite, records: readonly P2PRecord[], place: () => FilledPlace): void {
  check(suite, "locators from reading and from look-ups lead to the records", async (bench, skip) => {
    const refs = await readRefs(looking(place().source, skip));
    const outcomes = await lookUp(
      looking(place().source, skip),
      refs.map(({ ref }) => ref),
    );
    const again = refs.map(({ ref: { id } }, i) => {
      const { locator } = assertOutcome(outcomes[i]!, refs[i]!.record, id);
      return { id, ...(locator !== undefined && { locator: overWire(locator) }) };
    });
    // In another service too, as a process that is started anew has it.
    const later = await lookUp(await bench.open(place().endpoint, "source"), again);
    for (const [i, { ref, record }] of refs.entries()) assertOutcome(later[i]!, record, ref.id);
  });

  check(suite, "a target looks up what was written to it", async (bench, skip) => {
    const place = await bench.place();
    await bench.write(place, records.slice(0, 5));
    const target = looking(await bench.open(place, "target"), skip);
    const outcomes = await lookUp(target, [{ id: NOBODY }, ...records.slice(0, 5).map(({ id }) => ({ id }))]);
    for (const [i, record] of [undefined, ...records.slice(0, 5)].entries()) {
      assertOutcome(outcomes[i]!, record, record?.id ?? NOBODY);
    }
  });

  check(suite, "10,000 ids are looked up at once, with no round trip a record", async (bench, skip) => {
    const endpoint = await bench.place();
    const many = Array.from({ length: MANY }, (_, n): P2PRecord => ({ id: `id-${n}`, n }));
    await bench.write(endpoint, many);
    const trips = new RoundTrips();
    try {
      const service = looking(await bench.open(endpoint, "source"), skip);
      const before = trips.count ?? 0;
      // Every tenth is absent, and the order is not that of the records.
      const ids = many.map((_, i) => (i % 10 === 0 ? `none-${i}` : `id-${(i * 7919) % MANY}`));
      const outcomes = await lookUp(
        service,
        ids.map((id) => ({ id })),
        { where: { n: { lt: MANY / 2 } } },
      );
      const taken = (trips.count ?? 0) - before;
      for (const [i, id] of ids.entries()) {
        const n = (i * 7919) % MANY;
        if (i % 10 === 0) assertOutcome(outcomes[i]!, undefined, id);
        else if (n < MANY / 2) assertOutcome(outcomes[i]!, { id, n }, id);
        else expect(outcomes[i]!.state, id).toBe("unwanted");
      }
      expect(taken, `round trips for ${MANY} ids`).toBeLessThanOrEqual(MOST_ROUND_TRIPS);
    } finally {
      trips.stop();
    }
  });
}

function lookUpMannerChecks(suite: Suite, source: (skip: Skip) => P2PDataTransferService): void {
  check(suite, "a look-up refuses what it cannot answer by id", async (_, skip) => {
    const refs = [{ id: "record-0000001" }];
    const refused: P2PQuery[] = [
      { limit: 10 },
      { limit: 0 },
      { offset: 3 },
      { where: { flag: true }, offset: 1, limit: 1 },
      { native: { "no such store": "anything" } } as unknown as P2PQuery,
    ];
    for (const query of refused) {
      const looked = lookUp(source(skip), refs, query);
      expectCode(await rejection(looked, `a look-up with ${queryText(query)}`), "UNSUPPORTED_QUERY");
    }
    const unknown = lookUp(source(skip), refs, { wher: {} } as P2PQuery);
    expectCode(await rejection(unknown, "a look-up with an unknown key"), "INVALID_QUERY");
    await assertAgreement(source(skip), { offset: 0 }, ["record-0000001"]);
  });

  check(suite, "an aborted signal stops a look-up", async (_, skip) => {
    const refs = [{ id: "record-0000001" }, { id: NOBODY }];
    await expectAbort("lookUp", (signal) => lookUp(source(skip), refs, {}, signal));
    await expectAbort("lookUp of nobody", (signal) => lookUp(source(skip), [{ id: NOBODY }], {}, signal));
  });

  check(suite, "aborting in the middle of a look-up ends it soon, and leaves the source usable", async (_, skip) => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const refs = Array.from({ length: MANY }, (_, i) => ({ id: i % 2 ? `none-${i}` : `record-${i % COUNT}` }));
    const looking = lookUp(source(skip), refs, {}, controller.signal);
    setTimeout(() => controller.abort(reason), 1);
    await within(SOON_MS, "a look-up after an abort", settledWith(looking, reason));
    await assertAgreement(source(skip), {}, ["record-0000001", NOBODY]);
  });
}

/** What is not sure is no absence: whoever takes it for one deletes a record that is there. */
function certaintyChecks(suite: Suite): void {
  check(suite, "a record that cannot be read is failed in a look-up, never absent", async (bench, skip) => {
    const records = sampleRecords(9);
    const { endpoint, source } = await bench.filled(records);
    looking(source, skip);
    const spoil = bench.breakerOf(endpoint) ?? skip("the adapter's test does not say how a record is broken");
    const broken = records[4]!.id;
    await spoil(broken);
    const refs = [{ id: NOBODY }, ...records.map(({ id }) => ({ id }))];
    for (const query of [{}, { fields: ["title"] }, { where: { position: { lt: 100 } } }] as P2PQuery[]) {
      const service = await bench.open(endpoint, "source");
      const expected = await stateWhereBroken(service, query, broken);
      const outcomes = await lookUp(service, refs, query);
      expect(
        outcomes.map(({ state }) => state),
        queryText(query),
      ).toEqual(refs.map(({ id }, i) => (i === 0 ? "absent" : id === broken ? expected : "wanted")));
      for (const outcome of outcomes) if (outcome.state === "failed") expect(isP2PError(outcome.error)).toBe(true);
    }
    expect(await stateWhereBroken(await bench.open(endpoint, "source"), {}, broken), "the broken record").toBe(
      "failed",
    );
  });

  check(
    suite,
    "after the source was removed a look-up finds nothing absent",
    async (bench, skip) => {
      const records = sampleRecords(9);
      const { endpoint, source } = await bench.filled(records);
      looking(source, skip);
      const remove = bench.removalOf(endpoint) ?? skip("the adapter's test does not say how a place is removed");
      await remove();
      const looked = await lookUp(
        source,
        records.map(({ id }) => ({ id })),
      ).catch((error: unknown) => error);
      // What was open may be read on, as a file is; what is gone must not be taken for empty.
      if (isP2PError(looked)) return;
      if (!Array.isArray(looked)) throw looked;
      for (const [i, { state }] of (looked as LookUpOutcome[]).entries()) {
        expect(["wanted", "failed"], `the outcome of ${records[i]!.id}`).toContain(state);
      }
    },
    ["missing sources"],
  );
}

/** What a look-up must say of a broken record: a query that does not touch what is broken may still give it. */
async function stateWhereBroken(
  service: P2PDataTransferService,
  query: P2PQuery,
  broken: P2PId,
): Promise<LookUpOutcome["state"]> {
  let state: LookUpOutcome["state"] = "unwanted";
  for await (const batch of service.readFromSource(query, { batchSize: 100, signal: new AbortController().signal })) {
    const given = batch.records.find(({ id }) => idKey(id) === idKey(broken));
    // Whoever reads takes an invalid record for one that could not be read, unless the store vouches for it.
    if (given !== undefined) state = recordTrouble(given) === undefined ? "wanted" : "failed";
    if ((batch.failures ?? []).length > 0) state = "failed";
  }
  return state;
}

/** Ids of every kind and form, as ids of records and as ids of none. */
function lookUpIdChecks(suite: Suite): void {
  const texts = [...new Set([...ID_TEXTS, ...OPERATOR_TEXTS, ...AWKWARD_FIELDS])].filter((id) => id !== "");

  check(suite, "ids of any text are looked up by that very text", async (bench, skip) => {
    // Every second text names a record; the others are as near to those as texts come.
    const there = texts.filter((_, i) => i % 2 === 0);
    await assertFound(
      bench,
      skip,
      there,
      texts.filter((_, i) => i % 2 === 1),
    );
    await assertFound(
      bench,
      skip,
      texts.filter((_, i) => i % 2 === 1),
      there,
    );
  });

  check(suite, "ids of more than 256 characters are looked up to their last one", async (bench, skip) => {
    const long = (last: string): string[] => [255, 256, 300, 450].map((length) => "x".repeat(length) + last);
    await assertFound(bench, skip, [...long("a"), ...long("b"), "长".repeat(150)], [...long("c"), ...long("")]);
  });

  check(
    suite,
    "ids of 2,000 characters are looked up to their last one",
    async (bench, skip) => {
      const long = (last: string): string => "x".repeat(1999) + last;
      await assertFound(bench, skip, [long("a"), long("b"), "长".repeat(2000)], [long("c"), "x".repeat(1999)]);
    },
    ["long ids"],
  );

  for (const [kind, ids] of Object.entries(TYPED_IDS)) {
    check(
      suite,
      `ids that are ${kind} are looked up as they are`,
      async (bench, skip) => {
        await assertFound(bench, skip, ids, ["none", 987_654_321, 5.25, new Date(77), Uint8Array.of(7, 7)]);
      },
      ["typed ids"],
    );
  }

  check(
    suite,
    "ids that are objects and tagged values are looked up as they are",
    async (bench, skip) => {
      const ids: P2PId[] = [
        { region: "eu", n: 5 },
        { region: "eu" },
        new TaggedValue("mongodb:objectId", "65f0c0ffee0ddba11ca7f00d"),
        new TaggedValue("testkit:key", { a: 1 }),
      ];
      await assertFound(bench, skip, ids, [{ region: "us" }, new TaggedValue("testkit:key", { a: 2 })]);
    },
    ["typed ids", "composite ids"],
  );

  check(
    suite,
    "a look-up finds a record by its id's text, whatever the type",
    async (bench, skip) => {
      const records: P2PRecord[] = [
        { id: 1, n: "number" },
        { id: "2", n: "text" },
        { id: 3n, n: "bigint" },
        { id: true, n: "boolean" },
        { id: new Date(0), n: "date" },
        { id: Uint8Array.of(1, 255), n: "bytes" },
      ];
      const source = looking((await bench.filled(records)).source, skip);
      const forms: P2PId[][] = [
        [1, "1", 1n],
        ["2", 2, 2n],
        [3n, 3, "3"],
        [true, "true"],
        [new Date(0), "1970-01-01T00:00:00.000Z"],
        [Uint8Array.of(1, 255), "01ff"],
      ];
      for (const [i, ids] of forms.entries()) {
        const outcomes = await lookUp(
          source,
          ids.map((id) => ({ id })),
        );
        for (const [n, id] of ids.entries()) assertOutcome(outcomes[n]!, records[i]!, id);
      }
    },
    ["typed ids"],
  );

  check(
    suite,
    'a store that tells 1 from "1" looks up each, and either where there is one',
    async (bench, skip) => {
      if (!suite.lacks.has("one identity")) skip("ids of one text are one identity here");
      const records: P2PRecord[] = [
        { id: 1, n: "number" },
        { id: "1", n: "text" },
        { id: 2, n: "number alone" },
        { id: "3", n: "text alone" },
      ];
      const source = looking((await bench.filled(records)).source, skip);
      const ids: P2PId[] = [1, "1", 2, "2", 3, "3", "4", 4];
      const expected = [records[0], records[1], records[2], records[2], records[3], records[3], undefined, undefined];
      const outcomes = await lookUp(
        source,
        ids.map((id) => ({ id })),
      );
      for (const [i, record] of expected.entries()) assertOutcome(outcomes[i]!, record, ids[i]!);
    },
    ["typed ids"],
  );
}

/** The store says wanted where reading gives the record, for every operator and every kind of value. */
function agreementChecks(suite: Suite): void {
  const records = filterRecords();
  const place = shared(suite, (bench) => bench.filled(records));

  for (const [field, values] of Object.entries(COLUMNS)) {
    check(suite, `look-ups and reading agree on where: a field of type ${field}`, async (_, skip) => {
      const source = looking(place().source, skip);
      const ids = (await readRecords(source, { fields: [] })).map(({ id }) => id);
      for (const condition of [
        ...conditionsOn(values, typeof values[0] === "string"),
        ...[null, { ne: null }, { exists: true }, { exists: false }],
      ]) {
        await assertAgreement(source, { where: { [field]: condition }, fields: ["type"] }, ids);
      }
    });
  }

  check(suite, "look-ups and reading agree on where: generated records and conditions", async (bench, skip) => {
    const { capabilities } = looking(place().source, skip);
    const limits = holdable(suite.values, capabilities);
    const conditions = fc.array(fc.record({ field: fc.nat(), value: fc.nat(), operator: fc.nat(), form: fc.nat() }), {
      minLength: 1,
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(recordsArbitrary(limits), conditions, async (generated, picks) => {
        const { source } = await bench.filled(generated);
        const ids = (await readRecords(source, { fields: [] })).map(({ id }) => id);
        for (const pick of picks) await assertAgreement(source, { where: conditionOf(generated, pick) }, ids);
      }),
      {
        // Each run has a place of its own, which may be slow to make.
        numRuns: Math.max(1, Math.ceil(suite.numRuns / 2)),
        endOnFailure: true,
        ...(suite.seed === undefined ? {} : { seed: suite.seed }),
      },
    );
  });
}

/** A condition on a field that some record has, by a value that some record has there, or in another field. */
function conditionOf(
  records: readonly P2PRecord[],
  pick: { readonly field: number; readonly value: number; readonly operator: number; readonly form: number },
): NonNullable<P2PQuery["where"]> {
  const fields = [...new Set(records.flatMap((record) => Object.keys(record)))];
  const field = fields[pick.field % fields.length]!;
  const scalars = records
    .flatMap((record) => Object.entries(record) as [string, P2PValue][])
    .filter(([name]) => pick.form % 4 === 0 || name === field)
    .map(([, value]) => value)
    .filter((value) => isScalar(value));
  const value = scalars[pick.value % Math.max(1, scalars.length)] ?? 0;
  const other = scalars[(pick.value + 1) % Math.max(1, scalars.length)] ?? null;
  const text = typeof value === "string" ? value : "a";
  const conditions: P2PValue[] = [
    value,
    { ne: value },
    { in: [value, other] },
    { exists: true },
    { exists: false },
    { prefix: [...text].slice(0, 1 + (pick.form % 3)).join("") },
    ...(value === null ? [] : [{ gt: value }, { gte: value }, { lt: value }, { lte: value }]),
  ];
  return objectOf([[field, conditions[pick.operator % conditions.length]!]]) as NonNullable<P2PQuery["where"]>;
}

function isScalar(value: P2PValue): boolean {
  const type = valueType(value);
  return type !== "array" && type !== "object" && type !== "tagged" && !Number.isNaN(value);
}

/** Writes records of some ids, and finds those and no others: by the ids as they were given and as they are read. */
async function assertFound(bench: Bench, skip: Skip, there: readonly P2PId[], gone: readonly P2PId[]): Promise<void> {
  const { source } = await bench.filled(there.map((id, n) => ({ id, n })));
  looking(source, skip);
  const read = await readRecords(source);
  const byKey = new Map(read.map((record) => [idKey(record.id), record]));
  const ids = [...gone, ...there, ...read.map(({ id }) => id)];
  const outcomes = await lookUp(
    source,
    ids.map((id) => ({ id })),
  );
  for (const [i, id] of ids.entries()) {
    assertOutcome(outcomes[i]!, i < gone.length ? undefined : byKey.get(idKey(id)), id);
  }
  expect(read).toHaveLength(there.length);
}

/** Holds an outcome to the record that reading gives; `undefined` says that none is there. */
function assertOutcome(
  outcome: LookUpOutcome,
  record: P2PRecord | undefined,
  id: P2PId,
): Extract<LookUpOutcome, { state: "wanted" }> {
  const name = `the look-up of id ${describeValue(id)} (${valueType(id)})`;
  if (outcome.state === "failed") throw new Error(`${name} failed: ${outcome.error.message}`, { cause: outcome.error });
  expect(outcome.state, name).toBe(record === undefined ? "absent" : "wanted");
  if (outcome.state !== "wanted" || record === undefined) return { state: "wanted", record: { id } };
  expect(recordTrouble(outcome.record), `what is wrong with the record of ${name}`).toBeUndefined();
  assertSameRecords([outcome.record], [record], { context: name });
  expect(valueType(outcome.record.id), `type of the record's id in ${name}`).toBe(valueType(record.id));
  return outcome;
}

/** Wanted is just what reading gives, with equal records; what a query cannot ask, neither can. */
async function assertAgreement(source: P2PDataTransferService, query: P2PQuery, ids: readonly P2PId[]): Promise<void> {
  const context = queryText(query);
  const read = await readRecords(source, query).catch(unsupported);
  const outcomes = await lookUp(
    source,
    ids.map((id) => ({ id })),
    query,
  ).catch(unsupported);
  if (read === undefined || outcomes === undefined) {
    const refuses = (answer: unknown): string => (answer === undefined ? "refuses" : "answers");
    // A part of a query may be more than a look-up can ask.
    if (query.partition !== undefined && read !== undefined) return;
    expect(`a look-up ${refuses(outcomes)}`, context).toBe(`a look-up ${refuses(read)}`);
    return;
  }
  for (const [i, id] of ids.entries()) {
    const given = read.filter((record) => valuesEqual(record.id, id));
    const outcome = outcomes[i]!;
    const name = `${context}: id ${describeValue(id)}`;
    if (outcome.state === "failed")
      throw new Error(`${name} failed: ${outcome.error.message}`, { cause: outcome.error });
    if (given.length === 0) expect(outcome.state, name).toBe(id === NOBODY ? "absent" : "unwanted");
    else {
      expect(outcome.state, name).toBe("wanted");
      assertSameRecords([(outcome as { record: P2PRecord }).record], given, { context: name });
    }
  }
}

function unsupported(error: unknown): undefined {
  if (isP2PError(error, "UNSUPPORTED_QUERY")) return undefined;
  throw error;
}
