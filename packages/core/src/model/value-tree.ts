/** Values: what a field may hold, with guard, copy and equality of whole trees of them. */
import {
  SINGLE_KINDS,
  type SingleObject,
  type SingleType,
  singleKindNamed,
  singleKindOf,
  singleKindOfPrototype,
} from "./value-types.ts";

const brand = Symbol.for("@omni/p2p-core/tagged-value");

/**
 * A value of a type that only one store has, carried unchanged to where it can be used again.
 *
 * `type` is `<store>:<name>`, for instance `mongodb:objectId`; `value` is the store's own text or plain form.
 *
 * `value instanceof TaggedValue` knows those of every copy of this package: an application that is bundled has a copy of
 * its own beside that of the starters.
 *
 * @example
 * ```ts
 * new TaggedValue("mongodb:objectId", "65f0c0ffee0ddba11ca7f00d");
 * ```
 */
export class TaggedValue {
  readonly type: string;
  readonly value: P2PValue;

  constructor(type: string, value: P2PValue) {
    this.type = type;
    this.value = value;
  }

  static [Symbol.hasInstance](value: unknown): value is TaggedValue {
    return typeof value === "object" && value !== null && brand in value;
  }

  /** The payload as text: what a store with text keys uses when a tagged value is an id. */
  toString(): string {
    if (typeof this.value === "string") return this.value;
    if (typeof this.value === "bigint") return String(this.value);
    return JSON.stringify(this.value, (_, inner: unknown) => (typeof inner === "bigint" ? String(inner) : inner));
  }
}

Object.defineProperty(TaggedValue.prototype, brand, { value: true });

/** Everything a field of a record may hold. A field that is `undefined` counts as absent. */
export type P2PValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | SingleObject
  | TaggedValue
  | readonly P2PValue[]
  | P2PObject;

/** A plain object of values. */
export interface P2PObject {
  readonly [field: string]: P2PValue | undefined;
}

/** The kinds of value, as adapters name them in their capabilities and type mappings. */
export const VALUE_TYPES = [
  "null",
  "boolean",
  "number",
  "bigint",
  "string",
  ...SINGLE_KINDS.map(({ name }): SingleType => name),
  "array",
  "object",
  "tagged",
] as const;

/** One of {@link VALUE_TYPES}. */
export type ValueType = (typeof VALUE_TYPES)[number];

/** The kind of a value that is known to be valid. */
export function valueType(value: P2PValue): ValueType {
  switch (typeof value) {
    case "string":
      return "string";
    case "number":
      return "number";
    case "boolean":
      return "boolean";
    case "bigint":
      return "bigint";
    default:
      if (value === null) return "null";
      return Array.isArray(value) ? "array" : typeOfObject(value);
  }
}

/** By the prototypes that nearly all have: a look at one costs less than `instanceof`, and this is done for every value. */
function typeOfObject(value: Exclude<P2PValue, null | string | number | bigint | boolean>): ValueType {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return "object";
  const usual = singleKindOfPrototype(prototype);
  if (usual !== undefined) return usual.name;
  if (value instanceof TaggedValue) return "tagged";
  return singleKindOf(value)?.name ?? "object";
}

/** Whether an object is a plain one of this realm, as nearly all are. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Most digits of a bigint that a record may have: reading and writing longer ones takes ever longer. */
export const MAX_BIGINT_DIGITS = 20_000;

const LARGEST_BIGINT = 10n ** BigInt(MAX_BIGINT_DIGITS) - 1n;

/** Deepest nesting of arrays and objects that a record may have. */
export const MAX_DEPTH = 100;

/**
 * Looks for a value that no store can hold: an invalid date, a string with a lone surrogate, a function, a symbol,
 * `undefined` in an array, an object of a foreign class, a tag that is not `<store>:<name>`, a circle.
 *
 * @returns a sentence that names the field and the trouble, or `undefined` when all is well.
 */
export function findInvalidValue(value: unknown, path: string, depth = 0): string | undefined {
  switch (typeof value) {
    case "string":
      return value.isWellFormed() ? undefined : `${path} holds a lone surrogate, which is not valid Unicode`;
    case "number":
    case "boolean":
      return undefined;
    case "bigint":
      return value > LARGEST_BIGINT || value < -LARGEST_BIGINT
        ? `${path} is a bigint of more than ${MAX_BIGINT_DIGITS} digits`
        : undefined;
    case "object":
      return value === null ? undefined : findInvalidObject(value, path, depth);
    default:
      return `${path} is ${value === undefined ? "undefined" : `a ${typeof value}`}, which no store can hold`;
  }
}

function findInvalidObject(value: object, path: string, depth: number): string | undefined {
  const type = valueType(value as P2PValue);
  const single = singleKindNamed(type);
  if (single !== undefined) {
    const trouble = single.trouble(value as SingleObject);
    return trouble && `${path} is ${trouble}`;
  }
  if (depth >= MAX_DEPTH) return `${path} is nested deeper than ${MAX_DEPTH} levels, or in a circle`;
  if (type === "tagged") {
    const tagged = value as TaggedValue;
    return invalidTag(tagged.type, path) ?? findInvalidValue(tagged.value, `${path}.value`, depth + 1);
  }
  if (type === "array") {
    const list = value as readonly unknown[];
    for (let i = 0; i < list.length; i++) {
      const trouble = findInvalidValue(list[i], `${path}[${i}]`, depth + 1);
      if (trouble !== undefined) return trouble;
    }
    return undefined;
  }
  const foreign = isPlain(value) ? undefined : className(value);
  if (foreign !== undefined) {
    return `${path} is an instance of ${foreign}; use plain objects, or a TaggedValue for a store's own type`;
  }
  for (const key of Object.keys(value)) {
    if (!key.isWellFormed()) return `${path} has a field name with a lone surrogate`;
    const inner = (value as Record<string, unknown>)[key];
    // Most fields are sound scalars, and a path made for each of them would cost more than looking at them.
    if (inner === undefined || typeof inner === "number" || (typeof inner === "string" && inner.isWellFormed()))
      continue;
    const trouble = findInvalidValue(inner, `${path}.${key}`, depth + 1);
    if (trouble !== undefined) return trouble;
  }
  return undefined;
}

/** The name of an object's class; `undefined` for a plain object, also one that another realm made. */
function className(value: object): string | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null || Object.getPrototypeOf(prototype) === null) return undefined;
  return (value as { constructor?: { name?: string } }).constructor?.name || "a class";
}

/** Names without a colon are those of this library's own tags, and would come back as another value. */
function invalidTag(type: unknown, path: string): string | undefined {
  if (typeof type === "string" && type.isWellFormed() && type.includes(":")) return undefined;
  return `${path} has the tag ${JSON.stringify(type) ?? String(type)}; a TaggedValue's type is <store>:<name>`;
}

/** Sets a field even where plain assignment would not: `__proto__` becomes an own field like any other. */
export function setField(target: Record<string, unknown>, field: string, value: unknown): void {
  if (field === "__proto__") {
    Object.defineProperty(target, field, { value, enumerable: true, configurable: true, writable: true });
  } else {
    target[field] = value;
  }
}

/** Reads an own field; what is inherited (`constructor`, `__proto__`) is not a field. */
export function getField(source: object, field: string): P2PValue | undefined {
  return Object.hasOwn(source, field) ? (source as P2PObject)[field] : undefined;
}

/** A deep copy that shares nothing with the original; absent fields are left out. Its objects are of this realm and copy. */
export function cloneValue<T extends P2PValue>(value: T): T {
  return clone(value) as T;
}

function clone(value: P2PValue): P2PValue {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(clone);
  if (!isPlain(value)) {
    const usual = singleKindOfPrototype(Object.getPrototypeOf(value));
    if (usual !== undefined) return usual.clone(value as SingleObject);
    if (value instanceof TaggedValue) return new TaggedValue(value.type, clone(value.value));
    const single = singleKindOf(value);
    if (single !== undefined) return single.clone(value as SingleObject);
  }
  // Spreading and then mending is several times as fast as setting field by field, and keeps the shape of the object.
  const copy: Record<string, P2PValue | undefined> = { ...(value as P2PObject) };
  for (const key in copy) {
    const inner = copy[key];
    if (inner === undefined) delete copy[key];
    else if (typeof inner === "object" && inner !== null && Object.hasOwn(copy, key)) setField(copy, key, clone(inner));
  }
  return copy;
}

/**
 * The record itself, or a copy where something in it was made by another realm or another copy of this package: stores
 * know dates and bytes by their class.
 */
export function ownForm<T extends P2PObject>(record: T): T {
  return isOwn(record) ? record : cloneValue(record);
}

function isOwn(value: P2PValue | undefined): boolean {
  if (typeof value !== "object" || value === null) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  switch (prototype) {
    case TaggedValue.prototype:
      return isOwn((value as TaggedValue).value);
    case Array.prototype:
      return (value as readonly P2PValue[]).every(isOwn);
    case Object.prototype:
    case null:
      for (const key in value) if (!isOwn((value as P2PObject)[key])) return false;
      return true;
    default:
      return singleKindOfPrototype(prototype) !== undefined;
  }
}

/**
 * Whether two values are the same value of the same type: `5` is not `5n`, `-0` is not `0`, `NaN` is `NaN`.
 * The order of fields does not matter, and a field that is `undefined` is absent.
 */
export function valuesEqual(a: P2PValue | undefined, b: P2PValue | undefined): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const type = valueType(a);
  if (type !== valueType(b)) return false;
  switch (type) {
    case "tagged": {
      const [left, right] = [a as TaggedValue, b as TaggedValue];
      return left.type === right.type && valuesEqual(left.value, right.value);
    }
    case "array": {
      const [left, right] = [a as readonly P2PValue[], b as readonly P2PValue[]];
      return left.length === right.length && left.every((item, i) => valuesEqual(item, right[i]));
    }
    case "string":
    case "number":
    case "bigint":
    case "boolean":
    case "null":
    case "object": {
      const [left, right] = [a as P2PObject, b as P2PObject];
      for (const key of Object.keys(left)) if (!valuesEqual(left[key], getField(right, key))) return false;
      return Object.keys(right).every((key) => right[key] === undefined || getField(left, key) !== undefined);
    }
    default:
      return singleKindNamed(type)!.equals(a as SingleObject, b as SingleObject);
  }
}
