import { isUtf8 } from "node:buffer";
import {
  fromJson,
  JSON_TAG,
  type JsonValue,
  MAX_DEPTH,
  P2PError,
  type P2PObject,
  type P2PRecord,
  type P2PValue,
  parseJson,
  recordTrouble,
  setField,
} from "@omni/p2p-core/starter";
import { type Key, REPLACEMENT } from "../client/keys.ts";
import { identify } from "./record-identity.ts";

/** An escape may be half of a surrogate pair, so text with one needs a closer look. */
export const UNICODE_ESCAPE = "\\u";

const OPEN_BRACE = 0x7b;
const WHOLE_NUMBER = /^-?\d+$/;

/**
 * The record in a string value: its fields when it is a JSON object, else `{ id, type: "string", value }` with the
 * text, or the bytes where they are not UTF-8. What comes back is valid as `recordTrouble` sees it.
 *
 * @throws P2PError `INVALID_RECORD` when tags in it are broken.
 */
export function decodeJsonRecord(bytes: Buffer, suffix: Key): P2PRecord {
  const text = bytes.toString();
  if (text.includes(REPLACEMENT) && !isUtf8(bytes)) return foreignString(new Uint8Array(bytes), suffix);
  return decodeJsonText(text, suffix);
}

/** {@link decodeJsonRecord} of bytes that are UTF-8. */
export function decodeJsonText(text: string, suffix: Key): P2PRecord {
  const json = parseObject(text);
  if (json === undefined) return foreignString(text, suffix);
  const trait = traitOf(json, 0);
  if (trait === "plain" && !text.includes(UNICODE_ESCAPE)) return identify(json, suffix);
  const value = untagged(trait === "large" ? (parseJson(text, keepWholeNumbers) as P2PObject) : json);
  const record = isPlainObject(value) ? identify(value, suffix) : identify({ type: "json", value }, suffix);
  const certain = trait === "tagged" && typeof record.id === "string" && !text.includes(UNICODE_ESCAPE);
  const trouble = certain ? undefined : recordTrouble(record);
  if (trouble !== undefined) throw new P2PError("INVALID_RECORD", `the JSON text cannot be a record: ${trouble}`);
  return record;
}

/** What parsed JSON holds beside plain values: tags, or else what needs a closer look yet. */
type Trait = "plain" | "tagged" | "large" | "deep";

function traitOf(value: object, depth: number): Trait {
  // Making a record of it may add a level.
  if (depth >= MAX_DEPTH - 1) return "deep";
  let trait: Trait = "plain";
  if (Array.isArray(value)) {
    for (const item of value as readonly unknown[]) {
      const inner = traitOfValue(item, depth);
      if (inner === "tagged") trait = inner;
      else if (inner !== "plain") return inner;
    }
    return trait;
  }
  for (const field in value) {
    const item = (value as Record<string, unknown>)[field];
    const inner = field === JSON_TAG ? "tagged" : traitOfValue(item, depth);
    if (inner === "tagged") trait = inner;
    else if (inner !== "plain") return inner;
  }
  return trait;
}

function traitOfValue(value: unknown, depth: number): Trait {
  if (typeof value === "number") {
    return value > Number.MAX_SAFE_INTEGER || value < Number.MIN_SAFE_INTEGER ? "large" : "plain";
  }
  return typeof value === "object" && value !== null ? traitOf(value, depth + 1) : "plain";
}

/** Puts in the place of tagged objects what they stand for. */
function untagged(json: P2PValue): P2PValue {
  if (typeof json !== "object" || json === null) return json;
  if (Object.hasOwn(json, JSON_TAG)) return untag(json as JsonValue);
  if (Array.isArray(json)) {
    for (let i = 0; i < json.length; i++) json[i] = untagged(json[i] as P2PValue);
    return json;
  }
  for (const field in json) {
    const inner = (json as P2PObject)[field];
    if (typeof inner === "object" && inner !== null) {
      setField(json as Record<string, unknown>, field, untagged(inner));
    }
  }
  return json;
}

function foreignString(value: string | Uint8Array, suffix: Key): P2PRecord {
  return identify({ type: "string", value }, suffix);
}

/** The object that the text is, or `undefined` when it is anything else. */
function parseObject(text: string): Record<string, P2PValue> | undefined {
  if (text.charCodeAt(0) !== OPEN_BRACE && !/^\s*\{/.test(text)) return undefined;
  try {
    return parseJson(text) as Record<string, P2PValue>;
  } catch {
    return undefined;
  }
}

/** Whole numbers that a double cannot hold become bigints. What we wrote ourselves is never one of them. */
function keepWholeNumbers(source: string, value: number): unknown {
  if (Number.isSafeInteger(value)) return value;
  return WHOLE_NUMBER.test(source) && String(value) !== source ? BigInt(source) : value;
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
