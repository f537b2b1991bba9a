import {
  idKey,
  type P2PId,
  type P2PRecord,
  type P2PValue,
  recordTrouble,
  TaggedValue,
  VALUE_TYPES,
  type ValueType,
} from "@omni/p2p-core/starter";
import * as fc from "fast-check";
import { AWKWARD_FIELDS } from "./awkward-texts.ts";
import { objectOf, SAMPLE_VALUES } from "./samples.ts";

/** Bounds on generated values, for stores that cannot hold them all. */
export interface ValueLimits {
  /** Longest generated string, in characters. Default 50,000. */
  readonly maxStringLength?: number;
  /** Most bytes in generated binary data. Default 5,000. */
  readonly maxBytesLength?: number;
  /** Deepest nesting of arrays and objects. Default 5. */
  readonly maxDepth?: number;
  /** Kinds of value that are not generated. Default: none. */
  readonly without?: readonly ValueType[];
  /** Earliest and latest date. Default: all that a `Date` can hold. */
  readonly minDate?: Date;
  readonly maxDate?: Date;
  /** Whether fields may have any name at all. Default `true`; otherwise names are of letters. */
  readonly awkwardFieldNames?: boolean;
  /** Kinds of value that are not generated as ids, beyond those in `without`. Default: none. */
  readonly idsWithout?: readonly ValueType[];
}

const MAX_TIME = 8_640_000_000_000_000;

/** A character of any plane, often one that means something to someone. Never a lone surrogate. */
const character = fc.oneof(
  { arbitrary: fc.integer({ min: 0x20, max: 0x7e }), weight: 4 },
  { arbitrary: fc.integer({ min: 0, max: 0xd7ff }), weight: 2 },
  { arbitrary: fc.integer({ min: 0xe000, max: 0xffff }), weight: 1 },
  {
    arbitrary: fc
      .tuple(fc.integer({ min: 1, max: 16 }), fc.integer({ min: 0, max: 0xffff }))
      .map(([plane, low]) => plane * 0x10000 + low),
    weight: 2,
  },
);

function textArbitrary(maxLength: number): fc.Arbitrary<string> {
  return fc.array(character, { maxLength }).map((points) => String.fromCodePoint(...points));
}

function stringArbitrary(limits: ValueLimits): fc.Arbitrary<string> {
  const longest = limits.maxStringLength ?? 50_000;
  const fits = (text: string): boolean => text.length <= longest;
  const samples = (SAMPLE_VALUES.string as readonly string[]).filter((text) => text.length < 1000 && fits(text));
  return fc.oneof(
    { arbitrary: textArbitrary(Math.min(20, Math.floor(longest / 2))), weight: 8 },
    { arbitrary: fc.constantFrom(...samples), weight: 4 },
    {
      arbitrary: fc
        .tuple(fc.constantFrom("x", "é", "长", "𝒜"), fc.integer({ min: 0, max: longest }))
        .map(([letter, length]) => letter.repeat(Math.floor(length / letter.length))),
      weight: 1,
    },
  );
}

function dateArbitrary({ minDate, maxDate }: ValueLimits): fc.Arbitrary<Date> {
  const min = minDate?.getTime() ?? -MAX_TIME;
  const max = maxDate?.getTime() ?? MAX_TIME;
  const recent = fc.integer({ min: Math.max(min, -4e12), max: Math.min(max, 4e12) });
  return fc
    .oneof({ arbitrary: recent, weight: 3 }, { arbitrary: fc.integer({ min, max }), weight: 1 })
    .map((time) => new Date(time));
}

const bigintArbitrary = fc.oneof(
  fc.constantFrom(...(SAMPLE_VALUES.bigint as readonly bigint[])),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }),
);

const numberArbitrary = fc.oneof(
  fc.constantFrom(...(SAMPLE_VALUES.number as readonly number[])),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double(),
);

function bytesArbitrary(limits: ValueLimits): fc.Arbitrary<Uint8Array> {
  const longest = limits.maxBytesLength ?? 5000;
  return fc.oneof(
    { arbitrary: fc.uint8Array({ maxLength: Math.min(40, longest) }), weight: 5 },
    {
      arbitrary: fc.integer({ min: 0, max: longest }).map((length) => Uint8Array.from({ length }, (_, i) => i * 7)),
      weight: 1,
    },
  );
}

/** Names of fields: mostly from a fixed set, so that a store with a schema does not get thousands of columns. */
function fieldArbitrary(limits: ValueLimits): fc.Arbitrary<string> {
  const plain = fc.constantFrom("a", "b", "c", "title", "count", "size", "when", "meta", "tags", "flag", "blob");
  if (limits.awkwardFieldNames === false) return plain;
  return fc.oneof(
    { arbitrary: plain, weight: 10 },
    { arbitrary: fc.constantFrom(...AWKWARD_FIELDS), weight: 6 },
    { arbitrary: textArbitrary(8), weight: 1 },
  );
}

function scalarArbitraries(
  limits: ValueLimits,
): Record<Exclude<ValueType, "array" | "object">, fc.Arbitrary<P2PValue>> {
  const money = fc.tuple(fc.constantFrom("testkit:money", "testkit:other"), fc.oneof(fc.string(), fc.integer()));
  return {
    null: fc.constant(null),
    boolean: fc.boolean(),
    number: numberArbitrary,
    bigint: bigintArbitrary,
    string: stringArbitrary(limits),
    date: dateArbitrary(limits),
    bytes: bytesArbitrary(limits),
    tagged: money.map(([type, value]) => new TaggedValue(type, value)),
  };
}

/**
 * Values of every kind: nested, empty and huge, of every Unicode plane, at the edges of 53 and 63 bits and past them,
 * dates before 1970, `NaN`, `-0`, `__proto__`, and objects that look like tags.
 *
 * @example
 * ```ts
 * fc.assert(fc.property(valueArbitrary(), (value) => valuesEqual(decodeJson(encodeJson(value)), value)));
 * ```
 */
export function valueArbitrary(limits: ValueLimits = {}): fc.Arbitrary<P2PValue> {
  const without = new Set(limits.without);
  const scalars = scalarArbitraries(limits);
  const kinds = VALUE_TYPES.filter((type) => !without.has(type));
  const flat = kinds.filter((type) => type !== "array" && type !== "object").map((type) => scalars[type as "null"]);
  let value: fc.Arbitrary<P2PValue> = fc.oneof(...flat);
  for (let depth = 0; depth < (limits.maxDepth ?? 5); depth++) {
    const inner = value;
    const options = [{ arbitrary: inner, weight: 5 }];
    if (!without.has("array")) options.push({ arbitrary: fc.array(inner, { maxLength: 4 }), weight: 1 });
    if (!without.has("object")) options.push({ arbitrary: objectArbitrary(limits, inner), weight: 1 });
    value = fc.oneof(...options);
  }
  return value;
}

function objectArbitrary(limits: ValueLimits, inner: fc.Arbitrary<P2PValue>) {
  return fc.array(fc.tuple(fieldArbitrary(limits), inner), { maxLength: 5 }).map(objectOf);
}

/** Ids of every kind that are scalars: texts of any characters, whole and broken numbers, bigints, dates, bytes, booleans. */
export function idArbitrary(limits: ValueLimits = {}): fc.Arbitrary<P2PId> {
  const without = new Set([...(limits.without ?? []), ...(limits.idsWithout ?? [])]);
  const text = fc.oneof(fc.uuid(), textArbitrary(30), fc.constantFrom("a:b", "a/b", "a b", "*", "'", '"', "é", "😀"));
  const choices: [ValueType, fc.Arbitrary<P2PId>][] = [
    ["string", text.filter((id) => id !== "")],
    ["number", fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.double({ noNaN: true, noDefaultInfinity: true }))],
    ["bigint", bigintArbitrary],
    ["date", dateArbitrary(limits)],
    ["bytes", fc.uint8Array({ minLength: 1, maxLength: 20 })],
    ["boolean", fc.boolean()],
  ];
  return fc.oneof(...choices.filter(([type]) => !without.has(type)).map(([, arbitrary]) => arbitrary));
}

/** Records with an id of any kind and up to 8 fields of any name and value. */
export function recordArbitrary(limits: ValueLimits = {}): fc.Arbitrary<P2PRecord> {
  const fields = fc.array(fc.tuple(fieldArbitrary(limits), valueArbitrary(limits)), { maxLength: 8 });
  return fc
    .tuple(idArbitrary(limits), fields)
    .map(([id, entries]) => objectOf([["id", id], ...entries.filter(([field]) => field !== "id")]) as P2PRecord)
    .filter((record) => recordTrouble(record) === undefined);
}

/** Lists of records of which no two have the same identity. */
export function recordsArbitrary(
  limits: ValueLimits = {},
  size: { minLength?: number; maxLength?: number } = {},
): fc.Arbitrary<P2PRecord[]> {
  return fc.uniqueArray(recordArbitrary(limits), {
    minLength: 1,
    maxLength: 20,
    ...size,
    selector: ({ id }) => idKey(id),
  });
}
