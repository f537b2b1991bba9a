import {
  idKey,
  matches,
  type P2PCondition,
  type P2PDataTransferService,
  type P2PQuery,
  type P2PRecord,
  type P2PValue,
  parseQuery,
} from "@omni/p2p-core/starter";
import * as fc from "fast-check";
import { AWKWARD_FIELDS, OPERATOR_TEXTS } from "../awkward-texts.ts";
import { calm, readRecords } from "../bench.ts";
import { assertSameRecords } from "../compare.ts";
import { objectOf } from "../samples.ts";
import { check, group, queryText, type Suite, shared } from "../suite.ts";

type Scalar = Exclude<P2PCondition, object | null> | Date | Uint8Array;

/** Values that a field of one type takes in the records below; `null` and absent are added to each. */
export const COLUMNS: Readonly<Record<string, readonly Scalar[]>> = {
  number: [0, -0, 1, -1, 1.5, 1e300, -1e300, 2 ** 53, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  bigint: [0n, 1n, -1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 64n, -(2n ** 90n)],
  "number or bigint": [1, 1n, 1.5, 2n ** 53n + 1n, 2 ** 53, 2n ** 63n, 2 ** 63, -5n, -5.5],
  string: ["", " ", "a", "A", "ab", "a\u0000", "b", "é", "e\u0301", "z", "ｚ", "😀", "\uffff", "10", "9", "null"],
  "long string": ["x".repeat(256), "x".repeat(257), `${"x".repeat(300)}a`, `${"x".repeat(300)}b`, "长".repeat(400)],
  boolean: [true, false],
  date: [new Date(0), new Date(-1), new Date(1), new Date(1.7e12), new Date(-1e14), new Date(8.64e15)],
  bytes: [new Uint8Array(0), Uint8Array.of(0), Uint8Array.of(1), Uint8Array.of(1, 0), Uint8Array.of(255)],
};

/** One value of each kind, and things that look like others, in a field that has no single type. */
const MIXED: readonly P2PValue[] = [
  1,
  1n,
  "1",
  true,
  "true",
  new Date(1),
  "1970-01-01T00:00:00.001Z",
  Uint8Array.of(1),
  "01",
  Number.NaN,
  0,
  "",
  false,
  [1],
  ["a"],
  { a: 1 },
  ["1", 1],
];

/** `where`, held to the core's `matches`. */
export function filteringChecks(suite: Suite): void {
  group("where", () => {
    const records = filterRecords();
    const place = shared(suite, (bench) => bench.filled(records));
    const source = (): P2PDataTransferService => place().source;

    for (const [field, values] of Object.entries(COLUMNS)) {
      check(suite, `where on a field of type ${field}: every operator means what it says`, async () => {
        for (const condition of conditionsOn(values, typeof values[0] === "string")) {
          await assertFiltered(source(), { where: { [field]: condition } }, records);
        }
      });
    }

    check(suite, "where on null, absent and existing fields", async () => {
      for (const field of ["number", "string", "mixed", "no such field"]) {
        for (const condition of [null, { ne: null }, { exists: true }, { exists: false }, { in: [null] }]) {
          await assertFiltered(source(), { where: { [field]: condition } }, records);
        }
      }
    });

    check(
      suite,
      "where on a field of many types compares within one type only",
      async () => {
        for (const value of [1, 1n, "1", true, new Date(1), Uint8Array.of(1), 0, "", false, "a"] as Scalar[]) {
          for (const condition of conditionsOn([value], false)) {
            await assertFiltered(source(), { where: { mixed: condition } }, records);
          }
        }
      },
      ["mixed types"],
    );

    check(suite, "where on the id goes by its text", async () => {
      const ids: P2PCondition[] = ["1", 1, 1n, "r5", { in: ["r1", 2, "r3", "nobody"] }, { ne: "r5" }, { prefix: "r1" }];
      for (const id of [...ids, { gt: "r2" }, { gte: "r10", lt: "r2" }, { lte: "r10" }, { exists: true }, null]) {
        await assertFiltered(source(), { where: { id } }, records);
      }
    });

    check(suite, "where with several conditions means all of them", async () => {
      const queries: P2PQuery[] = [
        { type: "even", where: { number: { gte: 0, lte: 2, ne: 1 } } },
        { type: "even", where: { type: "odd" } },
        { where: { number: { exists: true }, string: { prefix: "a" } } },
        { where: { string: { gte: "a", lt: "b" }, boolean: { in: [true] } } },
        { where: {} },
        { where: { number: { in: [] } } },
      ];
      for (const query of queries) await assertFiltered(source(), query, records);
    });

    check(suite, "where does not look into lists and objects, and a dot is part of the name", async () => {
      const queries: P2PQuery[] = [
        { where: { tags: "red" } },
        { where: { tags: { ne: "red" } } },
        { where: { tags: { in: ["red", "blue"] } } },
        { where: { tags: { exists: true } } },
        { where: { tags: { prefix: "r" } } },
        { where: { "nested.color": "red" } },
        { where: { "nested.color": { exists: true } } },
        { where: { nested: null } },
      ];
      for (const query of queries) await assertFiltered(source(), query, records);
    });

    check(suite, "where finds what random conditions describe", async () => {
      const conditions = Object.entries(COLUMNS).map(([field, values]) =>
        fc.tuple(fc.constant(field), fc.constantFrom(...conditionsOn(values, typeof values[0] === "string"))),
      );
      const where = fc.uniqueArray(fc.oneof(...conditions), { minLength: 1, maxLength: 3, selector: ([name]) => name });
      await fc.assert(
        fc.asyncProperty(where, async (entries) => {
          await assertFiltered(source(), { where: Object.fromEntries(entries) }, records);
        }),
        { numRuns: suite.numRuns * 3, ...(suite.seed === undefined ? {} : { seed: suite.seed }) },
      );
    });
  });

  group("where, and what stores read into text", () => {
    const records: P2PRecord[] = OPERATOR_TEXTS.map((text, i) => ({ id: `op${i}`, text, plain: "abc" }));
    const place = shared(suite, (bench) => bench.filled(records));

    check(suite, "operators, globs, quotes and query syntax in values are only values", async () => {
      for (const text of OPERATOR_TEXTS) {
        await assertFiltered(place().source, { where: { text } }, records);
        await assertFiltered(place().source, { where: { text: { prefix: text } } }, records);
        await assertFiltered(place().source, { where: { plain: text } }, records);
      }
      await assertFiltered(place().source, { where: { text: { in: OPERATOR_TEXTS.slice(0, 20) } } }, records);
      await assertFiltered(place().source, { where: { text: { ne: "*" } } }, records);
    });

    check(suite, "operators, globs, quotes and query syntax in ids are only ids", async (bench) => {
      const named: P2PRecord[] = [...OPERATOR_TEXTS, "abc", "a1c"].map((id, i) => ({ id, i }));
      const { source } = await bench.filled(named);
      for (const { id } of named) {
        await assertFiltered(source, { where: { id } } as P2PQuery, named);
        await assertFiltered(source, { where: { id: { prefix: id } } } as P2PQuery, named);
      }
    });
  });

  group("where, and awkward field names", () => {
    const fields = AWKWARD_FIELDS;
    const records: P2PRecord[] = [1, 2, 3].map(
      (n) => objectOf([["id", `f${n}`], ...fields.map((field, i) => [field, n * 1000 + i] as const)]) as P2PRecord,
    );
    const needs = ["awkward field names"] as const;
    const reason = suite.lacks.reasonFor("", needs);
    const place = reason === undefined ? shared(suite, (bench) => bench.filled(records)) : undefined;

    check(
      suite,
      "any text is the name of a field, in where and in fields",
      async () => {
        const source = place!().source;
        for (const [i, field] of fields.entries()) {
          const where = objectOf([[field, { gte: 2000 + i, lt: 3000 }]]) as NonNullable<P2PQuery["where"]>;
          await assertFiltered(source, { where }, records);
          if (field === "") continue;
          const expected = records.map(
            (record) =>
              objectOf([
                ["id", record.id],
                [field, record[field]!],
              ]) as P2PRecord,
          );
          assertSameRecords(await readRecords(source, { fields: [field] }), expected, {
            context: `fields ${JSON.stringify(field)}`,
          });
        }
      },
      needs,
    );
  });
}

/** Each operator on each of the values, and `in` on pairs. */
export function conditionsOn(values: readonly Scalar[], text: boolean): P2PCondition[] {
  const conditions: P2PCondition[] = [];
  for (const [i, value] of values.entries()) {
    conditions.push(value, { ne: value }, { gt: value }, { gte: value }, { lt: value }, { lte: value });
    conditions.push({ in: [value, values[(i + 1) % values.length]!] });
    if (text) conditions.push({ prefix: value as string });
  }
  return conditions;
}

/** Records whose columns run through all values, one forwards and the next backwards, with null and absent among them. */
export function filterRecords(): P2PRecord[] {
  const columns = [...Object.entries(COLUMNS), ["mixed", MIXED] as const].map(
    ([field, values]) => [field, [...values, null, undefined] as (P2PValue | undefined)[]] as const,
  );
  const count = Math.max(...columns.map(([, values]) => values.length)) * 2;
  return Array.from({ length: count }, (_, i) => {
    const entries: (readonly [string, P2PValue])[] = [
      ["id", i < 3 ? i : `r${i}`],
      ["type", i % 2 === 0 ? "even" : "odd"],
      ["tags", i % 3 === 0 ? ["red"] : i % 3 === 1 ? ["blue", "red"] : "red"],
      ["nested", { color: i % 2 === 0 ? "red" : "blue" }],
    ];
    for (const [n, [field, values]] of columns.entries()) {
      const value = values[(i * (n % 2 === 0 ? 1 : values.length - 1) + n) % values.length];
      if (value !== undefined) entries.push([field, value]);
    }
    return objectOf(entries) as P2PRecord;
  });
}

/** Every so many filtered reads are counted too: a store mostly makes one filter of a query for both. */
const COUNTED = 5;
let asked = 0;

async function assertFiltered(
  source: P2PDataTransferService,
  query: P2PQuery,
  records: readonly P2PRecord[],
): Promise<void> {
  const { conditions } = parseQuery(query);
  const expected = records.filter((record) => matches(conditions, record));
  const context = queryText(query);
  assertSameIds(await readRecords(source, { ...query, fields: ["type"] }), expected, context);
  if (asked++ % COUNTED !== 0) return;
  const count = await source.count(query, calm());
  if (count !== undefined && count !== expected.length) {
    throw new Error(`${context}: count says ${count}, but ${expected.length} records match`);
  }
}

function assertSameIds(actual: readonly P2PRecord[], expected: readonly P2PRecord[], context: string): void {
  const bare = (record: P2PRecord): P2PRecord => ({ id: idKey(record.id) });
  assertSameRecords(actual.map(bare), expected.map(bare), { context });
}
