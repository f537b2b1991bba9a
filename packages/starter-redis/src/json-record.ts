import { isUtf8 } from "node:buffer";
import {
  encodeJson,
  fromJson,
  JSON_TAG,
  type JsonValue,
  P2PError,
  type P2PObject,
  type P2PRecord,
  type P2PValue,
  recordTrouble,
} from "@omni/p2p-core";
import { identify } from "./identity.ts";
import type { Key } from "./keys.ts";

/** A record as JSON text, tagged where JSON lacks the type. */
export function encodeJsonRecord(record: P2PObject): string {
  return needsTags(record) ? encodeJson(record) : JSON.stringify(record);
}

/** Whether plain JSON would lose something: finding out is much cheaper than the copy that tagging makes. */
function needsTags(value: object): boolean {
  if (Array.isArray(value)) {
    for (const item of value as readonly P2PValue[]) if (isTagged(item)) return true;
    return false;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return true;
  for (const field in value) if (field === JSON_TAG || isTagged((value as P2PObject)[field])) return true;
  return false;
}

function isTagged(value: P2PValue | undefined): boolean {
  if (typeof value === "string") return false;
  if (typeof value === "object") return value !== null && needsTags(value);
  if (typeof value === "number") return !Number.isFinite(value) || Object.is(value, -0);
  return typeof value === "bigint";
}

const OPEN_BRACE = 0x7b;
const WHOLE_NUMBER = /^-?\d+$/;

/**
 * The record in a string value: its fields when it is a JSON object, else `{ id, type: "string", value }` with the
 * text, or the bytes where they are not UTF-8.
 *
 * @throws P2PError `INVALID_RECORD` when tags in it are broken.
 */
export function decodeJsonRecord(bytes: Buffer, suffix: Key): P2PRecord {
  if (!isUtf8(bytes)) return foreignString(new Uint8Array(bytes), suffix);
  const text = bytes.toString();
  const json = parseObject(text);
  if (json === undefined) return foreignString(text, suffix);
  if (!text.includes(JSON_TAG) && !text.includes("\\u") && !holdsLargeNumber(json)) return identify(json, suffix);
  return decodeWithCare(text, suffix);
}

/** Reads tags, whole numbers beyond 2^53, and escapes that may be lone surrogates. */
function decodeWithCare(text: string, suffix: Key): P2PRecord {
  const value = untag(JSON.parse(text, keepWholeNumbers) as JsonValue);
  const record = isPlainObject(value) ? identify(value, suffix) : identify({ type: "json", value }, suffix);
  const trouble = recordTrouble(record);
  if (trouble !== undefined) throw new P2PError("INVALID_RECORD", `the JSON text cannot be a record: ${trouble}`);
  return record;
}

function foreignString(value: string | Uint8Array, suffix: Key): P2PRecord {
  return identify({ type: "string", value }, suffix);
}

/** The object that the text is, or `undefined` when it is anything else. */
function parseObject(text: string): Record<string, P2PValue> | undefined {
  if (text.charCodeAt(0) !== OPEN_BRACE && !/^\s*\{/.test(text)) return undefined;
  try {
    return JSON.parse(text) as Record<string, P2PValue>;
  } catch {
    return undefined;
  }
}

function holdsLargeNumber(value: object): boolean {
  if (Array.isArray(value)) {
    for (const item of value as readonly P2PValue[]) if (isLargeOrHolds(item)) return true;
    return false;
  }
  for (const field in value) if (isLargeOrHolds((value as P2PObject)[field])) return true;
  return false;
}

function isLargeOrHolds(value: P2PValue | undefined): boolean {
  if (typeof value === "string") return false;
  if (typeof value === "object") return value !== null && holdsLargeNumber(value);
  return typeof value === "number" && (value > Number.MAX_SAFE_INTEGER || value < Number.MIN_SAFE_INTEGER);
}

/** Whole numbers that a double cannot hold become bigints. What we wrote ourselves is never one of them. */
function keepWholeNumbers(_: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const source = context?.source;
  return source !== undefined && WHOLE_NUMBER.test(source) && String(value) !== source ? BigInt(source) : value;
}

function untag(json: JsonValue): P2PValue {
  try {
    return fromJson(json);
  } catch (error) {
    throw new P2PError("INVALID_RECORD", `the JSON text has a broken tag: ${(error as Error).message}`);
  }
}

function isPlainObject(value: P2PValue): value is Record<string, P2PValue> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
