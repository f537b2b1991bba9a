import { compareStrings, getField, type P2PRecord, type P2PValue, TaggedValue } from "@omni/p2p-core/starter";
import type * as Mongodb from "mongodb";
import type { Document } from "mongodb";
import type { Dialect } from "../client/dialect.ts";
import { typeCode } from "../values/id-order.ts";
import type { OpenCollection } from "./open-collection.ts";

/** What a document is sorted by in one field: a value as the driver has it, without loss of its type. */
type SortKey = unknown;

/** Stands for what comes before null: an empty array, and the type undefined. An array itself is never a key. */
const EMPTY: readonly never[] = [];

/** A field of a sort, and which way it goes. */
export type SortField = readonly [name: string, direction: 1 | -1];

/** Tags of types that cannot be asked for by their order, or have no way into the driver. */
const ODD_TAGS: ReadonlySet<string> = new Set(
  ["regex", "dbPointer", "code", "codeWithScope", "date", "undefined"].map((name) => `mongodb:${name}`),
);

/**
 * What a document is sorted by. Of an array that is its least element, or its greatest where the order goes down.
 *
 * @returns `undefined` where that cannot be said: arrays in arrays, regular expressions, and other odd types.
 */
export function sortKeysOf(
  document: Uint8Array,
  record: P2PRecord,
  fields: readonly SortField[],
  opened: Pick<OpenCollection, "dialect" | "collated">,
  bson: typeof Mongodb.BSON,
): readonly SortKey[] | undefined {
  if (fields.some(([name]) => isOdd(getField(record, name === "id" ? "_id" : name)))) return undefined;
  try {
    const values = bson.deserialize(document, { promoteValues: false, bsonRegExp: true });
    return fields.map(([name, direction]) =>
      keyOf(Object.hasOwn(values, name) ? values[name] : null, direction, opened),
    );
  } catch {
    return undefined;
  }
}

function isOdd(value: P2PValue | undefined): boolean {
  if (Array.isArray(value)) return value.some((item) => Array.isArray(item) || isOdd(item as P2PValue));
  return value instanceof TaggedValue && ODD_TAGS.has(value.type);
}

function keyOf(value: unknown, direction: 1 | -1, opened: Pick<OpenCollection, "dialect" | "collated">): SortKey {
  if (value === undefined) return EMPTY;
  if (!Array.isArray(value)) return value;
  const items = value as readonly unknown[];
  return items.length === 0
    ? EMPTY
    : items.reduce((best, item) => (compareElements(item, best, opened) * direction < 0 ? item : best));
}

/** @throws TypeError where the order of the two is not known here. */
function compareElements(
  a: unknown,
  b: unknown,
  { dialect, collated }: Pick<OpenCollection, "dialect" | "collated">,
): number {
  const order = groupsOf(dialect);
  const [left, right] = [a, b].map((value) => order.findIndex((group) => group.includes(typeCode(value)))) as [
    number,
    number,
  ];
  if (left !== right) return left - right;
  const [x, y] = [comparable(a), comparable(b)];
  if (typeof x === "string" && typeof y === "string" && !(collated && typeCode(a) === STRING)) {
    return compareStrings(x, y);
  }
  if (typeof x === "string" || typeof y === "string") throw new TypeError("the order is not known");
  if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(y)) - Number(Number.isNaN(x));
  return x < y ? -1 : x > y ? 1 : 0;
}

function comparable(value: unknown): number | bigint | string {
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return Number(value);
  if (value === null) return 0;
  if (value instanceof Date) return value.getTime();
  const { _bsontype: type } = value as { readonly _bsontype?: string };
  if (type === "Long") return BigInt(String(value));
  if (type === "Int32" || type === "Double") return Number(String(value));
  if (type === "ObjectId" || type === "BSONSymbol") return String(value);
  throw new TypeError("the order is not known");
}

const NULL = 10;
const UNDEFINED = 6;
const ARRAY = 4;
const OBJECT = 3;
const NUMBER = 1;
const STRING = 2;
/** The types that have one value each. */
const SINGLE: ReadonlySet<number> = new Set([NULL, UNDEFINED, -1, 127]);

/** The groups of types in the order in which a sort has them: with arrays in arrays, and the empty ones before null. */
function groupsOf({ typeOrder }: Dialect): readonly (readonly number[])[] {
  return typeOrder.flatMap((group) => {
    if (group.includes(OBJECT)) return [group, [ARRAY]];
    if (group.includes(NULL) && !typeOrder.flat().includes(UNDEFINED)) return [[UNDEFINED], group];
    return [group];
  });
}

/**
 * A filter that matches what comes after a key in the server's own order.
 *
 * @param rest what of those with the same key comes after
 */
export function afterKeys(
  keys: readonly SortKey[],
  fields: readonly SortField[],
  rest: Document,
  dialect: Dialect,
): Document {
  let filter = rest;
  for (let i = fields.length - 1; i >= 0; i--) {
    const [[name, direction], key] = [fields[i]!, keys[i]];
    // Of an array the server looks at each element, and the sort at the first in order: so none of them may be before.
    const strict = onOneSide(name, key, direction, false, dialect);
    const all = onOneSide(name, key, direction, true, dialect);
    const same = strict.length === 0 ? filter : { $and: [{ $nor: strict }, filter] };
    filter = { $or: [{ $nor: all }, same] };
  }
  return filter;
}

/**
 * Filters that together, by "or", match where some value of a field comes before a key, or is it.
 *
 * @param direction of the order in which "before" is meant
 */
function onOneSide(name: string, key: SortKey, direction: 1 | -1, orSame: boolean, dialect: Dialect): Document[] {
  const groups = groupsOf(dialect);
  const code = key === EMPTY || Array.isArray(key) ? UNDEFINED : typeCode(key);
  const place = groups.findIndex((group) => group.includes(code));
  const before = direction === 1 ? groups.slice(0, place) : groups.slice(place + 1);
  return [
    ...before.flatMap((group) => ofTypes(name, group, dialect)),
    ...withinGroup(name, key, code, groups[place]!, direction, orSame, dialect),
  ];
}

/** Filters for values of some types, elements of arrays among them. */
function ofTypes(name: string, group: readonly number[], { typeOrder, nestedArrays }: Dialect): Document[] {
  if (group.includes(ARRAY)) return nestedArrays ? [{ [name]: { $elemMatch: { $type: [ARRAY] } } }] : [];
  const known = group.filter((code) => typeOrder.some((others) => others.includes(code)));
  const filters: Document[] = known.length > 0 ? [{ [name]: { $type: known } }] : [];
  if (group.includes(NULL)) filters.push({ [name]: { $exists: false } });
  if (group.includes(UNDEFINED)) filters.push({ [name]: { $size: 0 } });
  return filters;
}

function withinGroup(
  name: string,
  key: SortKey,
  code: number,
  group: readonly number[],
  direction: 1 | -1,
  orSame: boolean,
  dialect: Dialect,
): Document[] {
  if (SINGLE.has(code)) return orSame ? ofTypes(name, group, dialect) : [];
  const notNumber = { [name]: { $eq: Number.NaN } };
  if (group.includes(NUMBER) && Number.isNaN(Number(String(key)))) {
    // NaN is before all other numbers, but none of them is greater than it.
    if (direction === 1) return orSame ? [notNumber] : [];
    return orSame ? ofTypes(name, group, dialect) : [{ [name]: { $gte: Number.NEGATIVE_INFINITY } }];
  }
  const operator = `${direction === 1 ? "$lt" : "$gt"}${orSame ? "e" : ""}`;
  const filters: Document[] = [{ [name]: { [operator]: key } }];
  if (group.includes(NUMBER) && direction === 1 && dialect.specialNumbers) filters.push(notNumber);
  return filters;
}

/** The keys as text for a cursor, with the types that they have in BSON. */
export function keysToText(keys: readonly SortKey[], bson: typeof Mongodb.BSON): string {
  return Buffer.from(bson.serialize({ keys: [...keys] })).toString("base64");
}

/** Reads what {@link keysToText} wrote; `undefined` for anything else. */
export function keysFromText(text: string, count: number, bson: typeof Mongodb.BSON): readonly SortKey[] | undefined {
  try {
    const { keys } = bson.deserialize(Buffer.from(text, "base64"), { promoteValues: false, bsonRegExp: true });
    return Array.isArray(keys) && keys.length === count ? keys : undefined;
  } catch {
    return undefined;
  }
}
