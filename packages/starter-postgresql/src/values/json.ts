/** JSON columns: values of the types `json` and `jsonb`, whose numbers may have more digits than those of JavaScript. */
import {
  decodeJson,
  encodeJson,
  endOfJsonString,
  fromJson,
  JSON_TAG,
  type JsonValue,
  type P2PValue,
  parseJson,
  recordTrouble,
  setField,
  TaggedValue,
  toJson,
  valuesEqual,
  valueType,
} from "@omni/p2p-core/starter";
import { sameDecimal, wholeNumber } from "./numeric.ts";

/** Numbers of so many digits that JavaScript may have rounded them; and, of `json`, exponents that may be too large. */
const LONG_NUMBERS = /-?\d[\d.]{14}[\d.]+(?:[eE][+-]?\d+)?|-?\d[\d.]*[eE][+-]?\d{3,}/g;
/** Finds whether there is one in a fraction of the time. */
const LONG_NUMBER = /\d[\d.]{15}|\d[eE][+-]?\d{3}/;
/** Half of a character outside of the basic plane, which only `json` lets stand alone. */
const SURROGATE = /\\u[dD][89a-fA-F]/;
/** Text of fewer characters cannot be nested too deep. */
const SHALLOW_LENGTH = 180;

/** How the text of a cell is read. */
export interface JsonReading {
  /** The type is `json`, which keeps names that stand twice. */
  readonly isText: boolean;
  /** What has no exact value comes as near as it can, and not as `undefined`. */
  readonly plain: boolean;
  /** This starter wrote the cell: null is null, and tags are its own. */
  readonly own: boolean;
  /** How many lists the value stands in, within its field. */
  readonly depth: number;
}

/**
 * The value of a JSON text, with bigints for whole numbers past those of JavaScript; `undefined` where the value would not say
 * all of it: `null`, which is not NULL, numbers that no number here is, names that stand twice, and what no record may hold.
 */
export function decodeJsonCell(text: string, { isText, plain, own, depth }: JsonReading): P2PValue | undefined {
  if (text === "null") return own || plain ? null : undefined;
  const isTagged = text.includes(JSON_TAG);
  const value = hasExactNumbers(text) ? decoded(text, isTagged) : decodedLong(text, plain);
  if (value === undefined) return plain ? text : undefined;
  // First of all, since the others go as deep as the value does.
  const isOdd =
    ((isDeep(text) || (isText && SURROGATE.test(text))) && hasTrouble(value, depth)) ||
    (isText && !plain && hasDoubleNames(text)) ||
    (isTagged && !own && !isCanonical(text, value));
  if (!isOdd) return value;
  return plain ? text : undefined;
}

/** Whether no record may hold a value in so many lists. */
function hasTrouble(value: P2PValue, depth: number): boolean {
  let held = value;
  for (let list = 0; list < depth; list++) held = [held];
  return recordTrouble({ id: 0, value: held }) !== undefined;
}

function decoded(text: string, isTagged: boolean): P2PValue | undefined {
  try {
    // Without tags the parsed data are the value.
    return isTagged ? decodeJson(text) : (parseJson(text) as P2PValue);
  } catch {
    return undefined;
  }
}

/** Says that a number has no value here. */
const INEXACT = new Error("A number is not exact");

function decodedLong(text: string, plain: boolean): P2PValue | undefined {
  const readNumber = (source: string, value: number): number => {
    if (sameDecimal(source, String(value))) return value;
    const whole: unknown = wholeNumber(source) ?? (plain ? source : undefined);
    if (whole === undefined) throw INEXACT;
    // Bigints pass as they are through what makes values of JSON.
    return whole as number;
  };
  try {
    return fromJson(parseJson(text, readNumber));
  } catch {
    return undefined;
  }
}

/** Whether all numbers of a text are sure to be those of JavaScript. */
function hasExactNumbers(text: string): boolean {
  return (
    !LONG_NUMBER.test(text) || (text.match(LONG_NUMBERS) ?? []).every((number) => String(Number(number)) === number)
  );
}

/** Whether a tag that stands in a text is written as this library does, so that it comes back. */
function isCanonical(text: string, value: P2PValue): boolean {
  return valuesEqual(parseJson(encodeForeignJson(value)), parseJson(text));
}

const COLON = /[ \t\n\r]*:/y;

function hasDoubleNames(text: string): boolean {
  let names = 0;
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at)) {
    at = endOfJsonString(text, at + 1);
    COLON.lastIndex = at;
    if (COLON.test(text)) names++;
  }
  return names !== countNames(parseJson(text));
}

function countNames(value: JsonValue): number {
  if (typeof value !== "object" || value === null) return 0;
  const inner = Object.values(value) as JsonValue[];
  const names = Array.isArray(value) ? 0 : inner.length;
  return inner.reduce((sum: number, item) => sum + countNames(item), names);
}

/** Whether a text may be nested deeper than a record can be; not all of those are. */
function isDeep(text: string): boolean {
  if (text.length < SHALLOW_LENGTH) return false;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    // Brackets in strings are none.
    if (code === 0x22) at = endOfJsonString(text, at + 1) - 1;
    else if (code === 0x5b || code === 0x7b) {
      if (++depth > 80) return true;
    } else if (code === 0x5d || code === 0x7d) depth--;
  }
  return false;
}

/** Writes a value for a JSON column of another's table: bigints are numbers there, as others expect them. */
export function encodeForeignJson(value: P2PValue): string {
  return needsRaw(value) ? JSON.stringify(rawJson(value)) : encodeJson(value);
}

function needsRaw(value: P2PValue): boolean {
  if (typeof value === "bigint" || Object.is(value, -0)) return true;
  if (Array.isArray(value)) return (value as readonly P2PValue[]).some(needsRaw);
  if (typeof value !== "object" || value === null || valueType(value) !== "object") return false;
  return Object.values(value).some((inner) => inner !== undefined && needsRaw(inner as P2PValue));
}

const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

function rawJson(value: P2PValue): unknown {
  if (typeof value === "bigint") return rawJSON(value.toString());
  if (Object.is(value, -0)) return rawJSON("-0");
  if (Array.isArray(value)) return (value as readonly P2PValue[]).map(rawJson);
  // An object that looks like a tag is written as one.
  if (value === null || valueType(value) !== "object" || Object.hasOwn(value as object, JSON_TAG)) return toJson(value);
  const json: Record<string, unknown> = {};
  for (const [name, inner] of Object.entries(value as object)) {
    if (inner !== undefined) setField(json, name, rawJson(inner as P2PValue));
  }
  return json;
}

/** Whether no text in a value, names of fields included, holds U+0000, which `jsonb` refuses. Numbers come back equal. */
export function fitsJsonb(value: P2PValue): boolean {
  if (typeof value === "string") return !value.includes("\0");
  if (typeof value !== "object" || value === null || value instanceof Date || value instanceof Uint8Array) return true;
  if (value instanceof TaggedValue) return !value.type.includes("\0") && fitsJsonb(value.value);
  if (Array.isArray(value)) return (value as readonly P2PValue[]).every(fitsJsonb);
  return Object.entries(value).every(
    ([name, inner]) => !name.includes("\0") && (inner === undefined || fitsJsonb(inner)),
  );
}
