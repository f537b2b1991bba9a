import { isUtf8 } from "node:buffer";
import {
  type FieldMapping,
  getField,
  type P2PError,
  type P2PRecord,
  type P2PValue,
  sampleFields,
  type ValueType,
  valuesEqual,
  valueType,
} from "@omni/p2p-core/starter";
import type { Keyspace } from "../client/keyspace.ts";
import type { RedisEndpoint } from "../endpoint.ts";
import { redisMapping } from "../types.ts";
import type { KeyValue } from "../values/key-value.ts";
import { toRecord, UnreadableKey } from "../values/read-record.ts";
import { type PackedRecord, packRecord, refusal } from "../writing/packed-record.ts";

/** What the fields of some records become. Each record is packed as for writing and read back from that, without the server. */
export function describeSample(sample: readonly P2PRecord[], target: Keyspace): FieldMapping[] {
  const { settings } = target;
  const tried = sample.map((record) => ({ record, back: roundTrip(record, target) }));
  return sampleFields(sample).map(({ field, types, values }) => {
    const binary = field === "id" && values.some((value) => value instanceof Uint8Array && !isUtf8(value));
    const trouble = firstTrouble(field, tried, settings);
    const note = trouble ?? noteOn(field, binary, settings);
    return {
      field,
      types,
      storedAs: storedAs(field, types, binary, settings),
      lossless: trouble === undefined,
      ...(note !== undefined && { note }),
    };
  });
}

/** A record, and what would be read of it. */
interface Tried {
  readonly record: P2PRecord;
  readonly back: P2PRecord | P2PError;
}

/** Why a value would not come back equal: what was tried says so. */
function firstTrouble(field: string, tried: readonly Tried[], settings: RedisEndpoint): string | undefined {
  for (const { record, back } of tried) {
    const value = getField(record, field);
    const trouble = value === undefined ? undefined : troubleOf(field, value, back, settings);
    if (trouble !== undefined) return trouble;
  }
  return undefined;
}

/** The record as it would be read again, or why it would be refused. */
function roundTrip(record: P2PRecord, target: Keyspace): P2PRecord | P2PError {
  try {
    const packed = packRecord(record, 0, target);
    const { expiry } = packed;
    const at = expiry === undefined ? undefined : expiry.kind === "at" ? expiry.ms : Date.now() + expiry.ms;
    const found = toRecord(packed.key, stored(packed, target.settings), at, target.settings);
    if (found instanceof UnreadableKey) return found.error;
    return found ?? refusal(new Error("nothing would come back"));
  } catch (error) {
    return refusal(error);
  }
}

/** What the server would send for the key. */
function stored({ content }: PackedRecord, { format }: RedisEndpoint): KeyValue {
  const bytes = (part: string | Buffer) => (typeof part === "string" ? Buffer.from(part) : part);
  if (format === "hash") return { type: "hash", value: (content as readonly (string | Buffer)[]).map(bytes) };
  return { type: format === "dump" ? "dump" : "string", value: bytes(content as string | Buffer) };
}

function troubleOf(
  field: string,
  value: P2PValue,
  back: P2PRecord | P2PError,
  { format, ttlField }: RedisEndpoint,
): string | undefined {
  if (format === "dump" && field !== "id" && field !== "dump" && field !== ttlField) {
    return "A dump has no room for fields: write with format=json or format=hash";
  }
  if (back instanceof Error) return back.message;
  const found = getField(back, field);
  if (valuesEqual(value, found)) return undefined;
  if (field === ttlField) {
    return "Only dates come back; null is no time to live, and seconds come back as the date that they lead to";
  }
  if (field === "id") {
    return `The name of a key is text: it comes back as ${found === undefined ? "nothing" : `a ${valueType(found)}`}; format=json and format=hash keep the type`;
  }
  return `It comes back as ${found === undefined ? "nothing" : `another ${valueType(found)}`}`;
}

function noteOn(field: string, binary: boolean, { format }: RedisEndpoint): string | undefined {
  if (format === "dump" && field === "dump") {
    return "Not tried: whether the server takes dumps of this version shows when they are written";
  }
  return binary && format !== "dump"
    ? "The key is the hexadecimal text of the bytes; format=dump keeps names that are no text"
    : undefined;
}

function storedAs(
  field: string,
  types: readonly ValueType[],
  binary: boolean,
  { format, ttlField }: RedisEndpoint,
): string {
  if (field === ttlField) return "the time at which the key expires";
  if (format === "dump")
    return field === "id" ? "the name of the key" : field === "dump" ? "the key itself" : "nothing";
  const kinds = types.map((type) => redisMapping[type][format].replaceAll("`", ""));
  const inside = [...new Set(kinds)].join("; ");
  return field === "id" ? `the name of the key${binary ? " in hexadecimal" : ""}, and ${inside}` : inside;
}
