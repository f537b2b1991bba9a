/** Serialises values as JSON with tags, and parses them back. */
import { P2PError } from "../errors.ts";
import type { JsonValue } from "./json-value.ts";
import { parseJson } from "./parse-json.ts";
import {
  MAX_BIGINT_DIGITS,
  MAX_DEPTH,
  type P2PObject,
  type P2PValue,
  setField,
  TaggedValue,
  valueType,
} from "./value-tree.ts";
import { SINGLE_KINDS, type SingleObject, singleKindNamed } from "./value-types.ts";

/** The key that marks a tag: `{"$p2p":"date","value":"2024-01-01T00:00:00.000Z"}`. */
export const JSON_TAG = "$p2p";

/**
 * Writes a value as JSON text from which {@link decodeJson} makes an equal value of the same types.
 *
 * What JSON has is written plainly. The rest is tagged: `bigint` and the numbers `NaN`, `Infinity`, `-Infinity` and
 * `-0` as text, `date` as ISO 8601, `bytes` as base64, a {@link TaggedValue} under its own type, and a plain object
 * that has a field `$p2p` of its own as `object` with its entries.
 */
export function encodeJson(value: P2PValue): string {
  return JSON.stringify(toJson(value));
}

/** Reads what {@link encodeJson} wrote, and any other JSON as it stands. */
export function decodeJson(text: string): P2PValue {
  let json: JsonValue;
  try {
    json = parseJson(text);
  } catch (cause) {
    // The error of JSON.parse quotes the text, which may hold anything.
    throw new P2PError("INVALID_RECORD", `A text of ${text.length} characters is not JSON`, { cause });
  }
  return fromJson(json);
}

/** {@link encodeJson} without the last step: plain JSON data in place of text. Shares what needs no tag. */
export function toJson(value: P2PValue): JsonValue {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0)
        ? value
        : tag("number", Object.is(value, -0) ? "-0" : String(value));
    case "bigint":
      return tag("bigint", value.toString());
    default:
      return value === null ? null : objectToJson(value);
  }
}

function tag(type: string, value: JsonValue): JsonValue {
  return { [JSON_TAG]: type, value };
}

function objectToJson(value: Exclude<P2PValue, null | boolean | number | bigint | string>): JsonValue {
  if (Array.isArray(value)) return listToJson(value);
  const type = valueType(value);
  switch (type) {
    case "tagged":
      return tag((value as TaggedValue).type, toJson((value as TaggedValue).value));
    case "string":
    case "number":
    case "bigint":
    case "boolean":
    case "object":
    case "null":
    case "array":
      return plainToJson(value as P2PObject);
    default:
      return tag(type, singleKindNamed(type)!.toJson(value as SingleObject));
  }
}

function listToJson(source: readonly P2PValue[]): JsonValue {
  const json = source.map(toJson);
  return json.every((told, i) => told === source[i]) ? (source as readonly JsonValue[]) : json;
}

function plainToJson(source: P2PObject): JsonValue {
  // Spreading and then mending is several times as fast as setting field by field, and keeps the shape of the object.
  let json: Record<string, JsonValue | undefined> | undefined;
  for (const key in source) {
    if (key === JSON_TAG && Object.hasOwn(source, key)) return entriesToJson(source);
    const inner = source[key];
    if (typeof inner === "string") continue;
    const told = inner === undefined ? undefined : toJson(inner);
    if (told === inner && told !== undefined) continue;
    json ??= { ...source } as Record<string, JsonValue | undefined>;
    if (told === undefined) delete json[key];
    else setField(json, key, told);
  }
  return (json ?? source) as { readonly [key: string]: JsonValue };
}

/** An object that has a field like a tag's, as one that cannot be taken for a tag. */
function entriesToJson(source: P2PObject): JsonValue {
  const keys = Object.keys(source).filter((key) => source[key] !== undefined);
  return tag(
    "object",
    keys.map((key) => [key, toJson(source[key]!)]),
  );
}

/** {@link decodeJson} on data that is parsed already. Never changes what it is given. */
export function fromJson(json: JsonValue): P2PValue {
  return read(json, 0);
}

/** Deepest nesting that is read: that of the deepest record, of which every level may be in a tag of three. */
const MAX_JSON_DEPTH = 3 * MAX_DEPTH + 10;

function read(json: JsonValue, depth: number): P2PValue {
  if (typeof json !== "object" || json === null) return json;
  if (depth > MAX_JSON_DEPTH) {
    throw new P2PError("INVALID_RECORD", `A value is nested deeper than ${MAX_DEPTH} levels`);
  }
  if (Array.isArray(json)) return (json as readonly JsonValue[]).map((item) => read(item, depth + 1));
  const source = json as { readonly [key: string]: JsonValue };
  const type = Object.hasOwn(source, JSON_TAG) ? source[JSON_TAG] : undefined;
  if (isTag(type) && Object.hasOwn(source, "value") && Object.keys(source).length === 2) {
    return untag(type, source.value!, depth + 1);
  }
  const value: Record<string, P2PValue> = {};
  for (const key of Object.keys(source)) setField(value, key, read(source[key]!, depth + 1));
  return value;
}

const OWN_TAGS: ReadonlySet<unknown> = new Set(["number", "bigint", "object", ...SINGLE_KINDS.map(({ name }) => name)]);

/** Whether a tag was written by {@link toJson}: one of its own, or `<store>:<name>`. */
function isTag(type: JsonValue | undefined): type is string {
  return typeof type === "string" && (OWN_TAGS.has(type) || type.includes(":"));
}

/** The numbers that JSON cannot say, and others as they are written. */
const NUMBER = /^(?:NaN|-?Infinity|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/i;

function isEntry(entry: JsonValue): boolean {
  return Array.isArray(entry) && entry.length === 2 && typeof entry[0] === "string";
}

function untag(type: string, payload: JsonValue, depth: number): P2PValue {
  switch (type) {
    case "number":
      if (typeof payload !== "string" || !NUMBER.test(payload)) break;
      return Number(payload);
    case "bigint":
      if (typeof payload !== "string" || payload.length > MAX_BIGINT_DIGITS + 1 || !/^-?\d+$/.test(payload)) break;
      return BigInt(payload);
    case "object": {
      if (!Array.isArray(payload) || !payload.every(isEntry)) break;
      const value: Record<string, P2PValue> = {};
      for (const [key, inner] of payload as [string, JsonValue][]) setField(value, key, read(inner, depth + 1));
      return value;
    }
    default: {
      const single = singleKindNamed(type);
      if (single === undefined) return new TaggedValue(type, read(payload, depth + 1));
      const value = single.fromJson(payload);
      if (value !== undefined) return value;
    }
  }
  throw new P2PError("INVALID_RECORD", `The tag {"${JSON_TAG}":"${type}"} has a payload that does not fit it`);
}
