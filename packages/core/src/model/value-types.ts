/** Value types: the one entry of each that a field may hold beyond those of JSON. */
import { types } from "node:util";
import { base64, fromBase64 } from "./base64.ts";
import { dateOfText, isoText } from "./iso-date.ts";
import type { JsonValue } from "./json-value.ts";

/**
 * What a kind of value is to this package: one entry for each class of objects that are single values, as dates and bytes are,
 * and have no fields of their own. A new kind is an entry here and in {@link SINGLE_KINDS}; validation, copies, equality,
 * order, sizes, digests and JSON go by it, and the compiler names the tables of the stores that have to say what they do with it.
 */
export interface SingleKind<Name extends string, T extends object> {
  /** The `ValueType`, which is also the tag in JSON and the word before a value that people read or type. */
  readonly name: Name;
  /** The prototypes that nearly all values of the kind have: a look at one costs less than {@link is}. */
  readonly prototypes: readonly object[];
  /** Where the kind stands in the order of values; see `KIND_ORDER`. */
  readonly order: number;
  /** Whether a value is of the kind, also one that another realm made, such as a `vm` context or a test runner. */
  is(value: unknown): value is T;
  /** Why no store can hold a value, as the end of a sentence. */
  trouble(value: T): string | undefined;
  /** Whether a value cannot name a record, since its {@link idText} would be empty. */
  isEmpty(value: T): boolean;
  clone(value: T): T;
  equals(a: T, b: T): boolean;
  /** The order within the kind: a negative number, zero or a positive number. */
  compare(a: T, b: T): number;
  /** Whether a value is neither greater nor smaller than others, as `NaN` is. */
  hasNoSize(value: T): boolean;
  /** About how many bytes a value takes in memory. */
  size(value: T): number;
  /** The canonical text of an id. */
  idText(value: T): string;
  toJson(value: T): JsonValue;
  /** The value of what {@link toJson} gave; `undefined` where a payload is of no value. */
  fromJson(payload: JsonValue): T | undefined;
  /** A value as people read it and type it, about `most` characters of it. */
  text(value: T, most?: number): string;
}

const DATE: SingleKind<"date", Date> = {
  name: "date",
  prototypes: [Date.prototype],
  order: 8,
  is: (value): value is Date => value instanceof Date || types.isDate(value),
  trouble: (value) => (Number.isNaN(value.getTime()) ? "an invalid date" : undefined),
  isEmpty: () => false,
  clone: (value) => new Date(value.getTime()),
  equals: (a, b) => Object.is(a.getTime(), b.getTime()),
  // Invalid ones first.
  compare(a, b) {
    const [left, right] = [a.getTime(), b.getTime()];
    if (left < right) return -1;
    if (left > right) return 1;
    return Number(Number.isNaN(right)) - Number(Number.isNaN(left));
  },
  hasNoSize: (value) => Number.isNaN(value.getTime()),
  size: () => 32,
  idText: (value) => value.toISOString(),
  toJson: isoText,
  fromJson: (payload) => (typeof payload === "string" ? dateOfText(payload) : undefined),
  text: (value) => value.toISOString(),
};

const BYTES: SingleKind<"bytes", Uint8Array> = {
  name: "bytes",
  prototypes: [Uint8Array.prototype, Buffer.prototype],
  order: 5,
  is: (value): value is Uint8Array => value instanceof Uint8Array || types.isUint8Array(value),
  trouble: () => undefined,
  isEmpty: (value) => value.length === 0,
  clone: (value) => new Uint8Array(value),
  equals: (a, b) => a.length === b.length && Buffer.compare(a, b) === 0,
  compare: (a, b) => Buffer.compare(a, b),
  hasNoSize: () => false,
  size: (value) => 64 + value.byteLength,
  idText: (value) => Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("hex"),
  toJson: base64,
  fromJson: fromBase64,
  text: (value, most = value.length) => base64(value.subarray(0, most)),
};

/** Every kind. */
export const SINGLE_KINDS = [DATE, BYTES] as const;

/** The objects that are single values. */
export type SingleObject = (typeof SINGLE_KINDS)[number] extends SingleKind<string, infer T> ? T : never;

/** The names of their kinds. */
export type SingleType = (typeof SINGLE_KINDS)[number]["name"];

/** Any of the kinds, for who has a value of it. */
export type AnySingleKind = SingleKind<SingleType, SingleObject>;

const KINDS = SINGLE_KINDS as unknown as readonly AnySingleKind[];

/** A kind by its name; `undefined` for the name of none. */
export function singleKindNamed(name: string): AnySingleKind | undefined {
  for (let i = 0; i < KINDS.length; i++) if (KINDS[i]!.name === name) return KINDS[i];
  return undefined;
}

const PROTOTYPES = KINDS.flatMap(({ prototypes }) => prototypes);
const KIND_OF_PROTOTYPE = KINDS.flatMap((kind) => kind.prototypes.map(() => kind));

/** The kind of an object that has one of the usual prototypes. This is asked for every value, and a map would take longer. */
export function singleKindOfPrototype(prototype: unknown): AnySingleKind | undefined {
  for (let i = 0; i < PROTOTYPES.length; i++) if (PROTOTYPES[i] === prototype) return KIND_OF_PROTOTYPE[i];
  return undefined;
}

/** The kind of an object that is a single value, whichever class and realm it is of; `undefined` for any other. */
export function singleKindOf(value: object): AnySingleKind | undefined {
  return singleKindOfPrototype(Object.getPrototypeOf(value)) ?? KINDS.find((kind) => kind.is(value));
}

/** Whether a value is an object without fields of its own, such as a date or bytes. */
export function isSingleObject(value: unknown): value is SingleObject {
  return typeof value === "object" && value !== null && singleKindOf(value) !== undefined;
}
