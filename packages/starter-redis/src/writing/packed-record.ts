import { encodeJson, P2PError, type P2PObject, type P2PRecord, toP2PError } from "@omni/p2p-core/starter";
import type { Key } from "../client/keys.ts";
import type { Keyspace } from "../client/keyspace.ts";
import { isOwnKey, LEASES_KEY } from "../client/leases.ts";
import { keyOfId } from "../query/id-keys.ts";
import { type Expiry, expiryAfter, expiryOf } from "../values/expiry.ts";
import { encodeHashRecord } from "../values/hash-record.ts";
import { type RedisDocument, recordOf } from "../values/raw-document.ts";
import { withoutField } from "../values/record-identity.ts";

/**
 * A record made ready to be sent. A class, since V8 keeps account of what object literals make: where the first ones outlive
 * two collections, it puts all later ones where only a full collection finds them.
 */
export class PackedRecord {
  readonly index: number;
  readonly key: Key;
  readonly content: string | Buffer | readonly (string | Buffer)[];
  readonly bytes: number;
  readonly expiry: Expiry | undefined;

  constructor(index: number, key: Key, content: PackedRecord["content"], bytes: number, expiry: Expiry | undefined) {
    this.index = index;
    this.key = key;
    this.content = content;
    this.bytes = bytes;
    this.expiry = expiry;
  }
}

/** @throws P2PError when the record cannot be written. */
export function packRecord(record: P2PRecord, index: number, target: Keyspace): PackedRecord {
  const { settings } = target;
  const { format, ttlField } = settings;
  const key = keyOfId(record.id, settings);
  if (isOwnKey(key, settings.marker)) throw onOwnKey(key as string);
  const expiry = expiryOf(record, settings);
  const body: P2PObject =
    ttlField !== undefined && Object.hasOwn(record, ttlField) ? withoutField(record, ttlField) : record;
  const content = format === "dump" ? dumpOf(record) : format === "hash" ? encodeHashRecord(body) : encodeJson(body);
  return fitting(new PackedRecord(index, key, content, byteLength(content), expiry), target);
}

/** {@link packRecord} for the raw lane. */
export function packDocument(document: RedisDocument, index: number, target: Keyspace): PackedRecord {
  if ("record" in document) return packRecord(document.record, index, target);
  const { settings } = target;
  const { suffix, text, expiry } = document;
  const bytes = byteLength(text);
  const key = settings.prefix + suffix;
  if (isOwnKey(key, settings.marker)) throw onOwnKey(key);
  return fitting(new PackedRecord(index, key, text, bytes, expiryAfter(expiry, settings)), target);
}

/** Of a document the record that {@link packRecord} would have been given. */
export function documentRecord(document: RedisDocument, { settings }: Keyspace): P2PRecord {
  return recordOf(document, settings);
}

function fitting(packed: PackedRecord, { maxValueBytes }: Keyspace): PackedRecord {
  if (packed.bytes <= maxValueBytes) return packed;
  throw new P2PError("RECORD_TOO_LARGE", `The server takes no value of more than ${maxValueBytes} bytes`);
}

function onOwnKey(key: string): P2PError {
  const what = key === LEASES_KEY ? "keeps the leases of follows" : "is the marker of the endpoint";
  return new P2PError("INVALID_RECORD", `The key ${key} ${what}, so that it must be no record's`);
}

function dumpOf({ dump }: P2PRecord): Buffer {
  if (dump instanceof Uint8Array) return Buffer.from(dump.buffer, dump.byteOffset, dump.byteLength);
  throw new P2PError("INVALID_RECORD", "With format=dump a record must be one that was read with format=dump");
}

function byteLength(content: PackedRecord["content"]): number {
  if (typeof content === "string" || Buffer.isBuffer(content)) return Buffer.byteLength(content);
  return content.reduce((sum, part) => sum + Buffer.byteLength(part), 0);
}

/** Why a record cannot be packed. */
export function refusal(error: unknown): P2PError {
  if (error instanceof RangeError) {
    return new P2PError("RECORD_TOO_LARGE", "The record is larger than a string can be", { cause: error });
  }
  return toP2PError(error, "INVALID_RECORD", "The record cannot be written");
}
