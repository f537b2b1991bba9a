import {
  compareRecords,
  matches,
  type P2PDataTransferService,
  type P2PId,
  type P2PQuery,
  type P2PRecord,
  type P2PValue,
  parseQuery,
  TaggedValue,
  valueType,
} from "@omni/p2p-core/starter";
import * as fc from "fast-check";
import { readBatches, readRecords } from "../bench.ts";
import { assertSameRecords } from "../compare.ts";
import { overWire } from "../over-wire.ts";
import { objectOf } from "../samples.ts";
import { check, group, queryText, type Suite, shared } from "../suite.ts";

const SORTED_COLUMNS: Readonly<Record<string, readonly P2PValue[]>> = {
  number: [3, -1, 0, 1.5, 1e300, -1e300, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 10, 9],
  bigint: [3n, -1n, 2n ** 63n - 1n, 2n ** 64n, -(2n ** 90n), 2n ** 53n, 2n ** 53n + 1n, 10n, 9n],
  "number or bigint": [2 ** 53, 2n ** 53n + 1n, 1, 1n, 1.5, -5n, -5.5, 2n ** 63n, 1e300],
  string: ["b", "a", "B", "A", "", " ", "é", "z", "ｚ", "😀", "\uffff", "10", "9", "a\u0000", "ab"],
  "long string": [
    `${"x".repeat(300)}b`,
    "x".repeat(257),
    `${"x".repeat(300)}a`,
    "x".repeat(256),
    "长".repeat(400),
    "y",
  ],
  boolean: [true, false],
  date: [new Date(0), new Date(-1e13), new Date(1.7e12), new Date(1.7e12 + 1), new Date(8.64e15)],
  bytes: [Uint8Array.of(2), new Uint8Array(0), Uint8Array.of(1), Uint8Array.of(1, 0), Uint8Array.of(255)],
};

/** Values of every kind in no order, of some kinds those that have no place by themselves. */
const MIXED_VALUES: readonly P2PValue[] = [
  ...[
    5,
    Number.NaN,
    -1,
    2n ** 64n,
    Number.NEGATIVE_INFINITY,
    5n,
    -0,
    Number.POSITIVE_INFINITY,
    2 ** 53,
    2n ** 53n + 1n,
  ],
  ...["5", "", "NaN", "😀", "ｚ", "x".repeat(300), true, false, null],
  ...[new Date(5), new Date(-8.64e15), new Date(8.64e15), Uint8Array.of(5), new Uint8Array(0)],
  ...[[5], [], ["5", 1], [[]], { a: 5 }, {}, { a: "5" }, { b: 0, a: 5 }],
  ...[new TaggedValue("testkit:b", 1), new TaggedValue("testkit:a", "1"), new TaggedValue("testkit:a", 1n)],
];

/** `orderBy`, held to the core's `compareRecords`. */
export function sortingChecks(suite: Suite): void {
  group("orderBy", () => {
    const records = sortRecords((i) => `k${(i * 7) % 31}`);
    const numbered = sortRecords((i) => ((i * 7) % 31) - 10);
    const lacking = suite.lacks.has("sorting");
    const sortable = Object.keys(SORTED_COLUMNS).filter(
      (field) => field !== "bytes" || !suite.lacks.has("sorted bytes"),
    );
    const place = lacking ? undefined : shared(suite, (bench) => bench.filled(records));
    const sorted = async (query: P2PQuery): Promise<void> => assertSorted(place!().source, query, records);

    for (const field of Object.keys(SORTED_COLUMNS)) {
      check(
        suite,
        `orderBy on a field of type ${field}: both directions, null and absent first when ascending`,
        async () => {
          await sorted({ orderBy: field });
          await sorted({ orderBy: { field, direction: "desc" } });
        },
        field === "bytes" ? ["sorting", "sorted bytes"] : ["sorting"],
      );
    }

    check(
      suite,
      "orderBy on several fields, and on the id",
      async () => {
        await sorted({ orderBy: ["boolean", { field: "string", direction: "desc" }] });
        await sorted({ orderBy: [{ field: "boolean", direction: "desc" }, "date", "number"] });
        await sorted({ orderBy: "id" });
        await sorted({ orderBy: { field: "id", direction: "desc" } });
        await sorted({ orderBy: ["boolean", { field: "id", direction: "desc" }] });
        await sorted({ orderBy: "no such field" });
      },
      ["sorting"],
    );

    check(
      suite,
      "orderBy breaks ties by number where ids are numbers",
      async (bench) => {
        const { source } = await bench.filled(numbered);
        await assertSorted(source, { orderBy: "boolean" }, numbered);
        await assertSorted(source, { orderBy: { field: "boolean", direction: "desc" } }, numbered);
        await assertSorted(source, { orderBy: "id" }, numbered);
      },
      ["sorting"],
    );

    check(
      suite,
      "orderBy breaks ties in one order where ids are of several kinds",
      async (bench) => {
        const ids: P2PId[] = [9, "9z", 10, 8n, true, new Date(5), Uint8Array.of(1), "a", -1.5, false, new Date(-5)];
        const mixed = ids.map((id, i): P2PRecord => ({ id, half: i % 2 === 0 }));
        const { source } = await bench.filled(mixed);
        await assertSorted(source, { orderBy: "half" }, mixed);
        await assertSorted(source, { orderBy: { field: "half", direction: "desc" } }, mixed);
      },
      ["sorting", "typed ids", "sorted id kinds"],
    );

    check(
      suite,
      "orderBy on a field of all kinds of value follows the one order of values",
      async (bench) => {
        const { valueTypes } = suite.adapter.starter.capabilities ?? {};
        const values = MIXED_VALUES.filter((value) => valueTypes?.[valueType(value)] !== "unsupported");
        const mixed = values.map((value, i): P2PRecord => ({ id: `k${(i * 7) % 41}`, value, half: i % 2 === 0 }));
        const { source } = await bench.filled(mixed);
        for (const direction of ["asc", "desc"] as const) {
          await assertSorted(source, { orderBy: { field: "value", direction } }, mixed);
          await assertSorted(source, { orderBy: ["half", { field: "value", direction }] }, mixed);
          for (const batchSize of [1, 9])
            await resumesSorted(source, { orderBy: { field: "value", direction } }, batchSize);
        }
      },
      ["sorting", "mixed types", "sorted kinds"],
    );

    for (const direction of ["asc", "desc"] as const) {
      check(
        suite,
        `law 4, resume: records deleted behind a sorted read (${direction}) take no others with them`,
        async (bench, skip) => {
          const many = Array.from({ length: 300 }, (_, i): P2PRecord => {
            return { id: `r${(i * 7919) % 300}`, group: (i * 31) % 12, at: i % 5 === 0 ? null : new Date(i % 90) };
          });
          const orderBy = [
            { field: "group", direction },
            { field: "at", direction: "desc" as const },
          ];
          const place = await bench.removable(many);
          if (!place.source.capabilities.resumable) skip("the adapter's reading cannot be resumed");
          const batches = await readBatches(place.source, { orderBy }, { batchSize: 30 });
          const half = batches.slice(0, 5);
          const read = half.flatMap(({ records }) => records);
          const rest = await place.without(read.slice(0, 100).map(({ id }) => id));
          const after = overWire(half.at(-1)!.cursor);
          const unread = batches.slice(5).flatMap(({ records }) => records);
          assertSameRecords(await readRecords(rest, { orderBy }, { batchSize: 17, after }), unread, { ordered: true });
        },
        ["sorting"],
      );
    }

    check(
      suite,
      "orderBy goes with where, fields, offset and limit, in batches of any size",
      async () => {
        const orders = fc.uniqueArray(
          fc.record({
            field: fc.constantFrom(...sortable, "id"),
            direction: fc.constantFrom("asc" as const, "desc" as const),
          }),
          { minLength: 1, maxLength: 3, selector: (order) => order.field },
        );
        const rest = fc.record(
          {
            where: fc.constantFrom({ boolean: true }, { number: { gt: 0 } }, { string: { ne: null } }),
            fields: fc.constantFrom(["boolean"], [] as string[]),
            offset: fc.integer({ min: 0, max: 35 }),
            limit: fc.integer({ min: 0, max: 35 }),
          },
          { requiredKeys: [] },
        );
        const batchSizes = fc.integer({ min: 1, max: 40 });
        await fc.assert(
          fc.asyncProperty(orders, rest, batchSizes, async (orderBy, other, batchSize) => {
            await assertSorted(place!().source, { orderBy, ...other }, records, batchSize);
          }),
          { numRuns: suite.numRuns * 2, ...(suite.seed === undefined ? {} : { seed: suite.seed }) },
        );
      },
      ["sorting"],
    );
  });
}

function sortRecords(idOf: (i: number) => string | number): P2PRecord[] {
  const columns = Object.entries(SORTED_COLUMNS).map(
    ([field, values]) => [field, [...values, null, undefined] as (P2PValue | undefined)[]] as const,
  );
  return Array.from({ length: 31 }, (_, i) => {
    const entries: (readonly [string, P2PValue])[] = [["id", idOf(i)]];
    for (const [n, [field, values]] of columns.entries()) {
      const value = values[(i * 5 + n * 3) % values.length];
      if (value !== undefined) entries.push([field, value]);
    }
    return objectOf(entries) as P2PRecord;
  });
}

/** From the cursor of each batch comes exactly the rest. */
async function resumesSorted(source: P2PDataTransferService, query: P2PQuery, batchSize: number): Promise<void> {
  const batches = await readBatches(source, query, { batchSize });
  for (const [i, { cursor }] of batches.entries()) {
    const after = overWire(cursor);
    const rest = batches.slice(i + 1).flatMap(({ records }) => records);
    const context = `${queryText(query)} after batch ${i + 1} of ${batches.length} of ${batchSize}`;
    assertSameRecords(await readRecords(source, query, { batchSize: 1000, after }), rest, { ordered: true, context });
  }
}

async function assertSorted(
  source: P2PDataTransferService,
  query: P2PQuery,
  records: readonly P2PRecord[],
  batchSize = 4,
): Promise<void> {
  const { conditions, orderBy, offset, limit } = parseQuery(query);
  const expected = records
    .filter((record) => matches(conditions, record))
    .sort((a, b) => compareRecords(orderBy, a, b))
    .slice(offset, offset + limit);
  const read = await readRecords(source, query, { batchSize });
  const bare = ({ id }: P2PRecord): P2PRecord => ({ id });
  assertSameRecords(read.map(bare), expected.map(bare), {
    ordered: true,
    context: `${queryText(query)}, batchSize ${batchSize}`,
  });
}
