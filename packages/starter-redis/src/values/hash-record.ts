import { isUtf8 } from "node:buffer";
import {
  assertRecord,
  dateOfText,
  decodeJson,
  encodeJson,
  fromJson,
  isoText,
  type JsonValue,
  P2PError,
  type P2PObject,
  type P2PRecord,
  type P2PValue,
  parseJson,
  setField,
  toJson,
  type ValueType,
  valueType,
} from "@omni/p2p-core/starter";
import { type Key, REPLACEMENT } from "../client/keys.ts";
import { identify } from "./record-identity.ts";

/** The field of a hash that says what its other fields cannot: the types of those that are not plain strings. */
const SIDECAR = "_p2p";

/** What the sidecar can say of a field. */
type FieldType = Exclude<ValueType, "string" | "array" | "object" | "tagged"> | "json";

/** The sidecar as JSON: `{"types":{"number":["age"]}}`. A record's own field `_p2p` is in `value`, tagged. */
interface Sidecar {
  readonly types?: Partial<Record<FieldType, readonly string[]>>;
  readonly value?: JsonValue;
}

/** A record as fields and values of a hash, one after the other. */
export function encodeHashRecord(record: P2PObject): (string | Buffer)[] {
  const args: (string | Buffer)[] = [];
  const types: Partial<Record<FieldType, string[]>> = {};
  let own: { readonly value: JsonValue } | undefined;
  for (const field of Object.keys(record)) {
    const value = record[field];
    if (value === undefined) continue;
    if (field === SIDECAR) {
      own = { value: toJson(value) };
      continue;
    }
    if (typeof value === "string") {
      args.push(field, value);
      continue;
    }
    const type = fieldType(value);
    types[type] ??= [];
    types[type].push(field);
    args.push(field, encodeField(type, value));
  }
  const typed = Object.keys(types).length > 0;
  if (typed || own) args.push(SIDECAR, JSON.stringify({ ...(typed && { types }), ...own } satisfies Sidecar));
  return args;
}

function fieldType(value: Exclude<P2PValue, string>): FieldType {
  const type = valueType(value) as Exclude<ValueType, "string">;
  return type === "array" || type === "object" || type === "tagged" ? "json" : type;
}

function encodeField(type: FieldType, value: P2PValue): string | Buffer {
  switch (type) {
    case "null":
      return "";
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    case "date":
      return isoText(value as Date);
    case "bytes": {
      const bytes = value as Uint8Array;
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    case "json":
      return encodeJson(value);
    case "bigint":
    case "boolean":
      return String(value);
  }
}

/**
 * The record in a hash: fields and values as the server gave them. Without a sidecar every value is text, or bytes
 * where it is not UTF-8. A value that does not fit the type that the sidecar tells was changed by someone else since,
 * and is text too.
 *
 * @throws P2PError `INVALID_RECORD` when a field's name is not UTF-8, or when what the sidecar tells makes no record.
 */
export function decodeHashRecord(parts: readonly Buffer[], suffix: Key): P2PRecord {
  const fields: Record<string, P2PValue> = {};
  let sidecar: Sidecar | undefined;
  for (let i = 0; i < parts.length; i += 2) {
    const [name, value] = [parts[i]!, parts[i + 1]!];
    const field = name.toString();
    if (field.includes(REPLACEMENT) && !isUtf8(name)) {
      throw new P2PError("INVALID_RECORD", "the name of a field is not UTF-8; read it as a dump");
    }
    if (field === SIDECAR) sidecar = parseSidecar(value);
    if (field !== SIDECAR || sidecar === undefined) setField(fields, field, plainValue(value));
  }
  if (sidecar?.types) applyTypes(fields, sidecar.types);
  if (sidecar?.value !== undefined) setField(fields, SIDECAR, fromJson(sidecar.value));
  const record = identify(fields, suffix);
  // Only JSON can hold what no record may, and only another type than text be no id.
  if (sidecar?.types?.json || sidecar?.value !== undefined || typeof record.id !== "string") assertRecord(record);
  return record;
}

function plainValue(bytes: Buffer): string | Uint8Array {
  const text = bytes.toString();
  return text.includes(REPLACEMENT) && !isUtf8(bytes) ? new Uint8Array(bytes) : text;
}

/** `undefined` for a field of the same name that is someone else's. */
function parseSidecar(bytes: Buffer): Sidecar | undefined {
  try {
    const sidecar = parseJson(bytes.toString()) as unknown;
    if (typeof sidecar !== "object" || sidecar === null || Array.isArray(sidecar)) return undefined;
    const known = Object.keys(sidecar).every((key) => key === "types" || key === "value");
    return known && Object.keys(sidecar).length > 0 ? sidecar : undefined;
  } catch {
    return undefined;
  }
}

function applyTypes(fields: Record<string, P2PValue>, types: NonNullable<Sidecar["types"]>): void {
  for (const [type, names] of Object.entries(types)) {
    for (const name of Array.isArray(names) ? (names as readonly string[]) : []) {
      if (!Object.hasOwn(fields, name)) continue;
      const value = decodeField(type as FieldType, fields[name] as string | Uint8Array);
      if (value !== undefined) setField(fields, name, value);
    }
  }
}

/** `undefined` when the text is not one of the type. */
function decodeField(type: FieldType, plain: string | Uint8Array): P2PValue | undefined {
  if (type === "bytes") return typeof plain === "string" ? new Uint8Array(Buffer.from(plain)) : plain;
  if (typeof plain !== "string") return undefined;
  switch (type) {
    case "null":
      return plain === "" ? null : undefined;
    case "boolean":
      return plain === "true" || plain === "false" ? plain === "true" : undefined;
    case "number":
      return decodeNumber(plain);
    case "bigint":
      return WHOLE_NUMBER.test(plain) ? BigInt(plain) : undefined;
    case "date":
      return dateOfText(plain);
    case "json":
      try {
        return decodeJson(plain);
      } catch {
        return undefined;
      }
    default:
      // The name stands in the hash, where anybody may have written another.
      return void (type satisfies never);
  }
}

const WHOLE_NUMBER = /^(?:0|-?[1-9]\d*)$/;
/** As JavaScript writes numbers, and as Redis does after `HINCRBYFLOAT`. */
const DECIMAL = /^-?(?:(?:0|[1-9]\d*)(?:\.\d+)?(?:e[+-]?\d+)?|Infinity)$|^NaN$/;

/** What others have made of a number (`007`, `0x10`) is text; where they have counted beyond 2^53 it is a bigint. */
function decodeNumber(text: string): number | bigint | undefined {
  if (!DECIMAL.test(text)) return undefined;
  const number = Number(text);
  return WHOLE_NUMBER.test(text) && !Number.isSafeInteger(number) && String(number) !== text ? BigInt(text) : number;
}
