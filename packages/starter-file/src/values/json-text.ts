/** Serialises records as JSON text with tags, and parses them back; integers keep all of their digits both ways. */
import {
  fromJson,
  JSON_TAG,
  type JsonValue,
  MAX_BIGINT_DIGITS,
  messageOf,
  P2PError,
  type P2PObject,
  type P2PValue,
  parseJson,
  toJson,
} from "@omni/p2p-core/starter";

/** Digits in a row from which on an integer may be one that a number does not hold. */
const LONG = 16;
const LONG_NUMBER = new RegExp(`[0-9]{${LONG}}`);
const INTEGER = /^-?[0-9]+$/;
const TAG = `"${JSON_TAG}"`;

/**
 * The fields of a record that stands as JSON.
 *
 * @throws P2PError `INVALID_RECORD`, without the text.
 */
export function fieldsOfJson(text: string): P2PObject {
  let json: JsonValue;
  try {
    json = parseExactJson(text);
  } catch (cause) {
    throw new P2PError("INVALID_RECORD", `it is no JSON (${withoutText(cause)})`, { cause });
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new P2PError("INVALID_RECORD", `it is ${kindOf(json)}, and a record is an object {…}`);
  }
  // Most texts have no tag, and what JSON.parse made is a record's fields already.
  if (!text.includes(TAG)) return json as P2PObject;
  const value = fromJson(json);
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) {
    throw new P2PError("INVALID_RECORD", "it is a single value with a tag, and a record is an object {…}");
  }
  return value as P2PObject;
}

/** Whether a text has so many digits in a row. One of them stands at each sixteenth place, and few texts have digits at many. */
function hasLongNumber(text: string): boolean {
  for (let i = LONG - 1; i < text.length; i += LONG) {
    const code = text.charCodeAt(i);
    if (code >= 0x30 && code <= 0x39 && LONG_NUMBER.test(text.slice(i - LONG + 1, i + LONG))) return true;
  }
  return false;
}

/** Integers that a number would round are bigints, as far as a record may have them: making longer ones takes ever longer. */
function wholeNumber(source: string, value: number): unknown {
  if (Number.isSafeInteger(value) || !INTEGER.test(source)) return value;
  if (source.length > MAX_BIGINT_DIGITS) throw new SyntaxError(`an integer of more than ${MAX_BIGINT_DIGITS} digits`);
  return BigInt(source);
}

/** Plain JSON data, in which integers that a number does not hold are bigints. @throws SyntaxError */
export function parseExactJson(text: string): JsonValue {
  return parseJson(text, hasLongNumber(text) ? wholeNumber : undefined);
}

/** The value of a text of JSON, tags included. @throws SyntaxError or P2PError where it is none. */
export function valueOfJson(text: string): P2PValue {
  return fromJson(parseExactJson(text));
}

/** The error of JSON.parse quotes the text, which may hold anything. */
function withoutText(cause: unknown): string {
  return messageOf(cause)
    .replace(/,? ?\.{0,3}".*$/s, "")
    .replace(/'.*' /s, "")
    .replace(/ in JSON$/, "");
}

function kindOf(json: JsonValue): string {
  if (json === null) return "null";
  return Array.isArray(json) ? "an array" : `a ${typeof json}`;
}

interface RawJson {
  rawJSON(text: string): JsonValue;
}

/** Fields as JSON text in one line, from which {@link fieldsOfJson} makes equal ones. */
export function jsonOfFields(fields: P2PObject): string {
  return jsonOfValue(fields as P2PValue);
}

/** A value as JSON text in one line, from which {@link valueOfJson} makes an equal one. */
export function jsonOfValue(value: P2PValue): string {
  const json = toJson(value);
  const text = JSON.stringify(json);
  // A number such as 2 ** 60 is written with an exponent, so that it does not come back as a bigint.
  return hasLongNumber(text) ? JSON.stringify(json, exponential) : text;
}

function exponential(_: string, value: unknown): unknown {
  if (typeof value !== "number" || !Number.isInteger(value) || Number.isSafeInteger(value)) return value;
  return (JSON as unknown as RawJson).rawJSON(value.toExponential());
}
