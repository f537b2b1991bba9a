/** The total order of values. */

import { type P2PObject, type P2PValue, type TaggedValue, type ValueType, valueType } from "./value-tree.ts";
import { SINGLE_KINDS, type SingleObject, type SingleType, singleKindNamed, singleKindOf } from "./value-types.ts";

/**
 * Compares two strings by code point, as stores that hold UTF-8 do. JavaScript's `<` compares UTF-16 units and puts
 * U+1F600 before U+FF5E.
 */
export function compareStrings(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left !== right) return surrogateLast(left) - surrogateLast(right);
  }
  return a.length - b.length;
}

/** Moves the surrogates above the rest of the basic plane, which makes unit order equal code point order. */
function surrogateLast(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x2000 : unit >= 0xe000 ? unit - 0x800 : unit;
}

/** Where each kind of value stands in the order of values. Numbers and bigints are one kind. */
const KIND_ORDER: Readonly<Record<ValueType, number>> = {
  ...singleOrders(),
  null: 0,
  number: 1,
  bigint: 1,
  string: 2,
  object: 3,
  array: 4,
  tagged: 6,
  boolean: 7,
};

function singleOrders(): Record<SingleType, number> {
  return Object.fromEntries(SINGLE_KINDS.map(({ name, order }) => [name, order])) as Record<SingleType, number>;
}

/** The place of a value's kind in the order of values, from 0: for stores that sort by kind first. */
export function kindOrder(value: P2PValue | undefined): number {
  return value === undefined ? KIND_ORDER.null : KIND_ORDER[valueType(value)];
}

/**
 * The one order of values, that of `orderBy` on every store. It is total: any two values have a place to each other.
 *
 * Kinds come first: null and absent, then numbers and bigints, strings, objects, arrays, bytes, tagged values, booleans,
 * dates. Within a kind:
 *
 * - numbers and bigints by their exact size; `NaN` before all others; `-0` and `0` are equal, `5` and `5n` too;
 * - strings by code point, bytes one by one, what is a beginning of another before it;
 * - `false` before `true`, dates by time, invalid ones first;
 * - arrays item by item; objects by their fields in the order of the names, name before value; the shorter first;
 * - tagged values by type, then by value.
 *
 * Values that are equal by `valuesEqual` are equal here; the reverse holds but for `-0` and for numbers and bigints.
 *
 * @returns a negative number, zero or a positive number.
 */
export function compareValues(a: P2PValue | undefined, b: P2PValue | undefined): number {
  const kind = kindOrder(a) - kindOrder(b);
  if (kind !== 0 || a === undefined || a === null || b === undefined || b === null) return kind;
  const type = valueType(a);
  switch (type) {
    case "null":
      return 0;
    case "string":
      return compareStrings(a as string, b as string);
    case "boolean":
      return Number(a) - Number(b);
    case "number":
    case "bigint":
      return compareNumbers(a as number | bigint, b as number | bigint);
    case "array":
      return compareLists(a as readonly P2PValue[], b as readonly P2PValue[], compareValues);
    case "object":
      return compareLists(fieldsOf(a as P2PObject), fieldsOf(b as P2PObject), compareFields);
    case "tagged": {
      const [left, right] = [a as TaggedValue, b as TaggedValue];
      return compareStrings(left.type, right.type) || compareValues(left.value, right.value);
    }
    default:
      return singleKindNamed(type satisfies SingleType)!.compare(a as SingleObject, b as SingleObject);
  }
}

/**
 * {@link compareValues} as `gt`, `gte`, `lt` and `lte` need it: only single values of one kind are greater or smaller
 * than each other, and `NaN` is neither.
 *
 * @returns `undefined` when the two cannot be compared.
 */
export function compareLike(a: P2PValue, b: P2PValue): number | undefined {
  const type = valueType(a);
  if (type === "null" || type === "array" || type === "object" || type === "tagged") return undefined;
  if (kindOrder(a) !== kindOrder(b) || hasNoSize(a) || hasNoSize(b)) return undefined;
  return compareValues(a, b);
}

function hasNoSize(value: P2PValue): boolean {
  if (typeof value !== "object" || value === null) return Number.isNaN(value);
  return singleKindOf(value)?.hasNoSize(value as SingleObject) ?? false;
}

/** JavaScript compares a number and a bigint exactly, but two of one size are never `===`. */
function compareNumbers(a: number | bigint, b: number | bigint): number {
  if (a < b) return -1;
  if (a > b) return 1;
  return Number(Number.isNaN(b)) - Number(Number.isNaN(a));
}

function compareLists<T>(a: readonly T[], b: readonly T[], compare: (a: T, b: T) => number): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const order = compare(a[i]!, b[i]!);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

type Field = readonly [name: string, value: P2PValue];

/** The fields that are there, by name: objects are equal whatever order their fields have. */
function fieldsOf(object: P2PObject): Field[] {
  const fields = Object.entries(object).filter((field): field is [string, P2PValue] => field[1] !== undefined);
  return fields.sort(([a], [b]) => compareStrings(a, b));
}

function compareFields([leftName, left]: Field, [rightName, right]: Field): number {
  return compareStrings(leftName, rightName) || compareValues(left, right);
}
