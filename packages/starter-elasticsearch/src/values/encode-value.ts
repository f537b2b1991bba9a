import {
  base64,
  isoText,
  isSingleObject,
  type JsonValue,
  type P2PObject,
  type P2PValue,
  setField,
  TaggedValue,
  toJson,
} from "@omni/p2p-core/starter";
import { DEFAULT_FORMAT, looksLikeDate, readDateNumber, readDateText, writeDate } from "../mapping/dates.ts";
import type { FieldSchema } from "../mapping/schema.ts";
import type { FieldKind } from "../types.ts";
import { exactNumber, mayBeRounded } from "./precise-json.ts";

/**
 * What has to be laid over a value from a source to make it the value that was written: a list of one item replaces it,
 * an object goes into its fields, or its items by their number.
 */
export type Overlay = readonly [JsonValue] | { readonly [key: string]: Overlay };

/** A value as it goes into a document. */
export interface EncodedValue {
  /** What stands in the source; `undefined` when nothing does. */
  readonly native: unknown;
  readonly overlay: Overlay | undefined;
  /** Whether what the server has indexed is not what the value means in a portable query. */
  readonly odd: boolean;
}

const exact = (native: unknown): EncodedValue => ({ native, overlay: undefined, odd: false });
const NULL = exact(null);

/** Only the sidecar has the value. */
function aside(value: P2PValue): EncodedValue {
  return { native: undefined, overlay: [toJson(value)], odd: true };
}

/** The source has the value for others, and the sidecar has what it really is. */
function twice(native: unknown, value: P2PValue, odd: boolean): EncodedValue {
  return { native, overlay: [toJson(value)], odd };
}

/** A value that no document can have under its field's name. */
export function encodeAside(value: P2PValue): EncodedValue {
  return aside(value);
}

/** A value of a field that we made for a kind of value. What is of another kind, the server is not bothered with. */
export function encodeOwn(value: P2PValue, kind: FieldKind): EncodedValue {
  if (value === null) return NULL;
  if (Array.isArray(value)) return encodeOwnList(value as readonly P2PValue[], kind);
  switch (kind) {
    case "string":
      if (typeof value === "string") return exact(value);
      return value instanceof TaggedValue && typeof value.value === "string"
        ? twice(value.value, value, true)
        : aside(value);
    case "boolean":
      return typeof value === "boolean" ? exact(value) : aside(value);
    case "number":
      return encodeOwnNumber(value);
    case "bigint":
      return encodeOwnBigint(value);
    case "date":
      return value instanceof Date ? exact(writeDate(value, DEFAULT_FORMAT)) : aside(value);
    case "bytes":
      return value instanceof Uint8Array ? exact(base64(value)) : aside(value);
    case "object":
      return (isPlainObject(value) && encodeFlattened(value)) || aside(value);
  }
}

function encodeOwnNumber(value: P2PValue): EncodedValue {
  if (typeof value === "number") {
    if (Object.is(value, -0)) return twice(0, value, false);
    return Number.isFinite(value) ? exact(value) : aside(value);
  }
  if (typeof value !== "bigint") return aside(value);
  const number = Number(value);
  return Number.isSafeInteger(number) ? twice(number, value, false) : aside(value);
}

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

function encodeOwnBigint(value: P2PValue): EncodedValue {
  if (typeof value === "bigint") {
    if (value < INT64_MIN || value > INT64_MAX) return aside(value);
    const number = Number(value);
    // As text it keeps its digits in every language; the server reads the same number from it.
    return exact(Number.isSafeInteger(number) ? number : value.toString());
  }
  return Number.isSafeInteger(value) ? twice(Object.is(value, -0) ? 0 : value, value, false) : aside(value);
}

function encodeOwnList(list: readonly P2PValue[], kind: FieldKind): EncodedValue {
  const items = list.map((item) => encodeOwn(item, kind));
  if (items.some((item) => item.native === undefined)) return aside(list);
  return { native: items.map((item) => item.native), overlay: overlayOfList(items), odd: true };
}

function overlayOfList(items: readonly EncodedValue[]): Overlay | undefined {
  let overlay: Record<string, Overlay> | undefined;
  for (const [i, item] of items.entries()) {
    if (item.overlay === undefined) continue;
    overlay ??= {};
    overlay[i] = item.overlay;
  }
  return overlay;
}

/** The path of a value in a flattened field is a part of what is indexed, which has an end at 32,766 bytes. */
const LONGEST_PATH = 8000;

function encodeFlattened(value: P2PObject): EncodedValue | undefined {
  if (!fitsFlattened(value, 0)) return undefined;
  const { native, overlay } = encodeTree(value, false);
  return { native, overlay, odd: false };
}

function fitsFlattened(value: P2PValue, path: number): boolean {
  if (Array.isArray(value)) return value.every((item) => fitsFlattened(item as P2PValue, path));
  if (value instanceof TaggedValue) return fitsFlattened(value.value, path);
  if (!isPlainObject(value)) return true;
  for (const key of Object.keys(value)) {
    const length = path + key.length + 1;
    if (length > LONGEST_PATH || key.includes("\0")) return false;
    const inner = value[key];
    if (inner !== undefined && !fitsFlattened(inner, length)) return false;
  }
  return true;
}

/** A value of a field that somebody else made: it goes to the server as it is, which may refuse it. */
export function encodeForeign(value: P2PValue, schema: FieldSchema | undefined): EncodedValue {
  const encoded = schema === undefined ? encodeTree(value, true) : encodeAs(value, schema);
  return { ...encoded, odd: encoded.overlay !== undefined };
}

const WHOLE_TYPES: ReadonlySet<string> = new Set(["long", "integer", "short", "byte", "unsigned_long"]);
const BROKEN_TYPES: ReadonlySet<string> = new Set(["double", "float", "half_float", "scaled_float"]);

/** Whether numbers in a field of this type are never exact whole numbers beyond 2^53. */
export function isBrokenType(type: string): boolean {
  return BROKEN_TYPES.has(type);
}

function encodeAs(value: P2PValue, schema: FieldSchema): EncodedValue {
  if (value === null) return NULL;
  if (schema.rounded !== "no" && Array.isArray(value)) {
    const survives = schema.rounded === "to 32 bits" && value.every(survivesFloat);
    return survives ? exact(value) : twice(value, value, false);
  }
  if (Array.isArray(value)) {
    const items = (value as readonly P2PValue[]).map((item) => encodeAs(item, schema));
    return { native: items.map((item) => item.native), overlay: overlayOfList(items), odd: false };
  }
  const { type, format, properties } = schema;
  if (properties !== undefined && isPlainObject(value)) {
    return encodeObject(value, (inner, key) => {
      const child = properties.get(key);
      return child === undefined ? encodeTree(inner, true) : encodeAs(inner, child);
    });
  }
  if (format !== undefined) {
    if (value instanceof Date) {
      const native = writeDate(value, format);
      const back = typeof native === "string" ? readDateText(native, format) : readDateNumber(native, format);
      return back?.getTime() === value.getTime() ? exact(native) : twice(native, value, false);
    }
    if (typeof value === "string" && readDateText(value, format)) return twice(value, value, false);
    if (typeof value === "number" && readDateNumber(value, format)) return twice(value, value, false);
  }
  if (type === "binary") {
    if (value instanceof Uint8Array) return exact(base64(value));
    if (typeof value === "string") return twice(value, value, false);
  }
  if (BROKEN_TYPES.has(type) && typeof value === "number" && mayBeRounded(value)) return exact(value);
  if (WHOLE_TYPES.has(type) && typeof value === "bigint" && !Number.isSafeInteger(Number(value))) {
    return exact(exactNumber(value));
  }
  return encodeTree(value, type === "mixed" || type === "disabled" || type === "object");
}

/** Whether a number is the one that is read from the text of its 32 bits. */
function survivesFloat(value: unknown): boolean {
  if (typeof value !== "number") return false;
  const float = Math.fround(value);
  for (let digits = 6; digits <= 9; digits++) {
    const read = Number(float.toPrecision(digits));
    if (Math.fround(read) === float) return Object.is(read, value);
  }
  return false;
}

/**
 * A value where nothing tells its type: JSON as far as JSON goes.
 *
 * @param guessed whether a text that looks like a date may be taken for one when it is read back.
 */
function encodeTree(value: P2PValue, guessed: boolean): EncodedValue {
  switch (typeof value) {
    case "string":
      return guessed && looksLikeDate(value) ? twice(value, value, false) : exact(value);
    case "boolean":
      return exact(value);
    case "number":
      if (!Number.isFinite(value)) return twice(null, value, false);
      if (Object.is(value, -0)) return twice(0, value, false);
      // From 10^21 on numbers are written with an exponent, and are not taken for whole ones.
      return mayBeRounded(value) && Math.abs(value) < 1e21 ? twice(value, value, false) : exact(value);
    case "bigint": {
      const number = Number(value);
      return twice(Number.isSafeInteger(number) ? number : value.toString(), value, false);
    }
    default:
      return value === null ? NULL : encodeTreeObject(value, guessed);
  }
}

function encodeTreeObject(
  value: Exclude<P2PValue, null | boolean | number | bigint | string>,
  guessed: boolean,
): EncodedValue {
  if (value instanceof Date) return twice(isoText(value), value, false);
  if (value instanceof Uint8Array) return twice(base64(value), value, false);
  if (value instanceof TaggedValue) return twice(encodeTree(value.value, false).native, value, false);
  if (Array.isArray(value)) {
    const items = (value as readonly P2PValue[]).map((item) => encodeTree(item, guessed));
    return { native: items.map((item) => item.native), overlay: overlayOfList(items), odd: false };
  }
  return encodeObject(value as P2PObject, (inner) => encodeTree(inner, guessed));
}

function encodeObject(value: P2PObject, encode: (inner: P2PValue, key: string) => EncodedValue): EncodedValue {
  const native: Record<string, unknown> = {};
  let overlay: Record<string, Overlay> | undefined;
  for (const key of Object.keys(value)) {
    const inner = value[key];
    if (inner === undefined) continue;
    const encoded = encode(inner, key);
    setField(native, key, encoded.native);
    if (encoded.overlay === undefined) continue;
    overlay ??= {};
    setField(overlay, key, encoded.overlay);
  }
  return { native, overlay, odd: false };
}

function isPlainObject(value: P2PValue): value is P2PObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return !(isSingleObject(value) || value instanceof TaggedValue);
}
