import { type P2PValue, TaggedValue, valuesEqual, valueType } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { SAMPLE_VALUES, valueArbitrary } from "@omni/p2p-testkit";
import fc from "fast-check";
import { expect, it } from "vitest";
import type { Cell } from "../src/client/session.ts";
import { ownDecoderOf } from "../src/values/decode.ts";
import { ownTypeFor, storeOwn, UNREPRESENTABLE } from "../src/values/own-values.ts";
import { isVisibleCell, visibleCell } from "../src/values/visible-value.ts";
import { calm, Scratch } from "./support.ts";

/** Texts that come near to what the server writes for a type of tags. */
const TAG_TEXTS: Readonly<Record<string, fc.Arbitrary<string>>> = {
  numeric: fc.oneof(
    fc.constantFrom("1.50", "-0.00", "0.0", "1.5", "12345678901234567890.5", "NaN", "1e5", "007.10", "-0.10", "5"),
    fc.tuple(fc.bigInt(-(10n ** 25n), 10n ** 25n), fc.stringMatching(/^\d{1,25}$/)).map(([a, b]) => `${a}.${b}`),
  ),
  date: fc.oneof(
    fc.constantFrom("2024-02-29", "2023-02-29", "infinity", "-infinity", "0000-01-01", "0044-03-15 BC", "today"),
    fc
      .date({ noInvalidDate: true, min: new Date(-6e13), max: new Date(2.5e14) })
      .map((date) => date.toISOString().slice(0, 10)),
  ),
  time: fc.oneof(
    fc.constantFrom("24:00:00", "24:00:01", "12:00", "12:34:56.10"),
    fc.stringMatching(/^[0-2]\d:[0-5]\d:[0-6]\d(\.\d{1,7})?$/),
  ),
  timestamp: fc.constantFrom("2024-01-02T03:04:05.678901Z", "2024-01-02T03:04:05.678Z", "infinity", "now"),
  timestamptz: fc.oneof(
    fc.constantFrom(
      "infinity",
      "-infinity",
      "0000-01-01T00:00:00.000001Z",
      "2024-02-30T00:00:00.000001Z",
      "+012024-01-02T03:04:05.678901Z",
    ),
    fc.stringMatching(/^[0-2]\d{3}-0[1-9]-[0-2]\dT[01]\d:[0-5]\d:[0-5]\d\.\d{3,7}Z$/),
  ),
  interval: fc.oneof(
    fc.constantFrom(
      "PT0S",
      "P1Y2M3DT4H5M6.5S",
      "P-1Y-2M",
      "P1Y-2M",
      "PT-1H1M",
      "PT60M",
      "P13M",
      "P1D",
      "PT1.50S",
      "P0D",
      "1 day",
      "PT-0.5S",
    ),
    fc.stringMatching(
      /^P(-?[1-9]\d{0,3}Y)?(-?[1-9]M)?(-?[1-9]\d{0,3}D)?(T(-?[1-9]\d?H)?(-?[1-9]\d?M)?(-?[1-9]\d?(\.\d{1,6})?S)?)?$/,
    ),
  ),
  inet: fc.oneof(fc.constantFrom("10.0.0.1", "10.0.0.1/32", "10.0.0.1/24", "::1", "010.0.0.1", "256.1.1.1"), fc.ipV4()),
  macaddr: fc.constantFrom("08:00:2b:01:02:03", "08-00-2b-01-02-03", "08:00:2B:01:02:03"),
  int4range: fc.oneof(
    fc.constantFrom("empty", "[1,5)", "[1,5]", "(1,5)", "(,5)", "[5,5)", "[-0,5)"),
    fc.tuple(fc.integer(), fc.integer()).map(([a, b]) => `[${a},${b})`),
  ),
  int8range: fc.constantFrom("[1,9223372036854775807)", "[1,9223372036854775808)", "empty"),
  jsonb: fc.constantFrom("null", "1.50"),
};

const ownTag = fc
  .constantFrom(...Object.keys(TAG_TEXTS))
  .chain((name) => TAG_TEXTS[name]!.map((text) => new TaggedValue(`postgresql:${name}`, text)));

const value: fc.Arbitrary<P2PValue> = fc.oneof(
  { arbitrary: valueArbitrary({ maxStringLength: 200, maxBytesLength: 50, maxDepth: 3 }), weight: 6 },
  { arbitrary: fc.constantFrom(...(Object.values(SAMPLE_VALUES).flat() as P2PValue[])), weight: 2 },
  { arbitrary: ownTag, weight: 3 },
);

/** Types of columns that tables of ours can have. */
const TYPES = [
  "boolean",
  "double precision",
  "numeric",
  "text",
  "timestamp with time zone",
  "timestamp",
  "bytea",
  "jsonb",
  "date",
  "time",
  "interval",
  "inet",
  "macaddr",
  "int4range",
  "int8range",
];

describeWithService("postgresql", "columns of tables of ours", ({ url }) => {
  const scratch = new Scratch(url, "own_values");

  it("give back equal what they say fully, and what they show is known again", async () => {
    const schema = await scratch.schema(
      `CREATE TABLE t (id int PRIMARY KEY, ${TYPES.map((type, n) => `c${n} ${type}`).join(", ")})`,
    );
    const store = await schema.store("t");
    const columns = (await store.table(calm))!.columns.slice(1);
    const roundTrip = async (cells: readonly Cell[]) => {
      const list = columns.map(({ declared }, n) => `$${n + 1}::${declared}`).join(", ");
      return (await store.query("read", calm, `SELECT ${list}`, cells)).rows[0]!;
    };
    const held = new Map<string, Set<string>>();
    await fc.assert(
      fc.asyncProperty(value, async (given) => {
        const stored = columns.map(({ type }) => storeOwn(type.name, given));
        const cells = stored.map((cell, n) =>
          cell === UNREPRESENTABLE ? visibleCell(columns[n]!.type.name, given) : cell,
        );
        const back = await roundTrip(cells);
        for (const [n, column] of columns.entries()) {
          const cell = back[n]!;
          if (stored[n] !== UNREPRESENTABLE) {
            const found = cell === null ? null : ownDecoderOf(column, { plain: false })(cell);
            if (!valuesEqual(found, given)) expect(found, column.declared).toEqual(given);
            held.set(column.declared, (held.get(column.declared) ?? new Set()).add(valueType(given)));
          } else if (cell !== null) {
            expect(isVisibleCell(column.type.name, given, cell), `${column.declared} shows ${cell}`).toBe(true);
          }
        }
      }),
      { numRuns: 1500 },
    );
    // Without this the test would hold where nothing is stored.
    expect([...held.get("jsonb")!].sort()).toEqual(Object.keys(SAMPLE_VALUES).sort());
    for (const column of columns) expect(held.get(column.declared)!.size, column.declared).toBeGreaterThanOrEqual(2);
  });

  it("are declared by the kind of the values, and as jsonb where they have several", () => {
    const date = new Date(0);
    expect(ownTypeFor([null, undefined])).toBeUndefined();
    expect(ownTypeFor([1, null, 2.5])).toBe("double precision");
    expect(ownTypeFor([1n])).toBe("numeric");
    expect(ownTypeFor([1, 1n])).toBe("jsonb");
    expect(ownTypeFor([date])).toBe("timestamp with time zone");
    expect(ownTypeFor([date, new TaggedValue("postgresql:timestamptz", "2024-01-02T03:04:05.678901Z")])).toBe(
      "timestamp with time zone",
    );
    expect(ownTypeFor([new TaggedValue("postgresql:int4range", "[1,5)")])).toBe("int4range");
    expect(ownTypeFor([new TaggedValue("mongodb:objectId", "6f")])).toBe("jsonb");
    expect(ownTypeFor(["x", [1]])).toBe("jsonb");
  });
});
