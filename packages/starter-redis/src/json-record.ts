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
function needsTags(value: P2PValue): boolean {
  switch (typeof value) {
    case "number":
      return !Number.isFinite(value) || Object.is(value, -0);
    case "object":
      return value !== null && objectNeedsTags(value);
    default:
      return typeof value === "bigint";
  }
}

function objectNeedsTags(value: Exclude<P2PValue, null | boolean | number | bigint | string>): boolean {
  if (Array.isArray(value)) return value.some(needsTags);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return true;
  for (const field in value as P2PObject) {
    const inner = (value as P2PObject)[field];
    if (inner !== undefined && needsTags(inner)) return true;
  }
  return Object.hasOwn(value, JSON_TAG);
}

/** What `JSON.parse` alone does not read faithfully: tags, whole numbers beyond 2^53, and lone surrogates. */
const SPECIAL = /\$p2p|\d{16}|\\u[dD][89a-fA-F]/;
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
  const special = SPECIAL.test(text);
  const json = parseObject(text, special);
  if (json === undefined) return foreignString(text, suffix);
  if (!special) return identify(json as Record<string, P2PValue>, suffix);
  const value = untag(json);
  const fields = isPlainObject(value) ? value : undefined;
  const record = fields ? identify(fields, suffix) : foreignValue(value, suffix);
  const trouble = recordTrouble(record);
  if (trouble !== undefined) throw new P2PError("INVALID_RECORD", `the JSON text cannot be a record: ${trouble}`);
  return record;
}

function foreignString(value: string | Uint8Array, suffix: Key): P2PRecord {
  return identify({ type: "string", value }, suffix);
}

/** A JSON text that is a tag and nothing else: a value, but not the fields of a record. */
function foreignValue(value: P2PValue, suffix: Key): P2PRecord {
  return identify({ type: "json", value }, suffix);
}

/** The object that the text is, or `undefined` when it is anything else. */
function parseObject(text: string, special: boolean): Record<string, JsonValue> | undefined {
  const first = text.charCodeAt(0);
  if (first !== 0x7b && !/^\s*\{/.test(text)) return undefined;
  try {
    return JSON.parse(text, special ? keepWholeNumbers : undefined) as Record<string, JsonValue>;
  } catch {
    return undefined;
  }
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
