import {
  idKey,
  isP2PError,
  P2PError,
  type P2PErrorCode,
  type P2PObject,
  type P2PRecord,
  toP2PError,
  type WriteFailure,
  type WriteMode,
  type WriteOptions,
  type WriteResult,
} from "@omni/p2p-core";
import type { Command } from "./command.ts";
import type { RedisSettings } from "./endpoint.ts";
import { type Expiry, expiryOf, setWords } from "./expiry.ts";
import { encodeHashRecord } from "./hash-record.ts";
import { writeHashes } from "./hash-script.ts";
import { withoutField } from "./identity.ts";
import { encodeJsonRecord } from "./json-record.ts";
import type { RedisLink } from "./link.ts";

/** What writing works with. */
export interface RedisTarget {
  readonly link: RedisLink;
  readonly settings: RedisSettings;
  /** Bytes that a value may have, at most. */
  readonly maxValueBytes: number;
}

/** A record made ready to be sent. */
interface Parcel {
  readonly index: number;
  readonly key: string;
  readonly content: string | Buffer | readonly (string | Buffer)[];
  readonly bytes: number;
  readonly expiry: Expiry | undefined;
}

/** A command, and the records that it carries. */
interface Consignment {
  readonly command: Command;
  readonly parcels: readonly Parcel[];
  /** What the reply says of each record: whether it was written, was there before, or failed. */
  readonly outcomes: (reply: unknown) => readonly Outcome[];
}

type Outcome = "written" | "there" | P2PError;

/** Bytes in one command, about: a larger one would hold up the server for others. */
const COMMAND_BYTES = 4 * 1024 * 1024;
/** Records in one command. */
const COMMAND_RECORDS = 1000;

/** Writes the records as the mode says. */
export async function writeRecords(
  target: RedisTarget,
  records: readonly P2PRecord[],
  { mode, signal }: WriteOptions,
): Promise<WriteResult> {
  signal.throwIfAborted();
  const failures: WriteFailure[] = [];
  const parcels: Parcel[] = [];
  for (const [index, record] of records.entries()) {
    try {
      parcels.push(makeParcel(record, index, target));
    } catch (error) {
      failures.push({ index, id: record.id, error: refusal(error) });
    }
  }
  const consignments = consign(target, parcels, mode);
  const replies =
    consignments.length === 0
      ? []
      : await target.link.sendAll(
          "write",
          signal,
          consignments.map(({ command }) => command),
        );
  let [written, skipped, bytes] = [0, 0, 0];
  for (const [n, consignment] of consignments.entries()) {
    const reply = replies[n];
    const outcomes = isP2PError(reply) ? undefined : consignment.outcomes(reply);
    for (const [i, parcel] of consignment.parcels.entries()) {
      const outcome = told(outcomes?.[i] ?? (reply as P2PError));
      if (outcome === "written") {
        written++;
        bytes += parcel.bytes;
      } else if (outcome === "there" && mode === "skip") skipped++;
      else failures.push(failed(parcel, records, outcome === "there" ? duplicate(parcel.key) : outcome));
    }
  }
  if (written + skipped === 0) throwIfUnusable(failures);
  return { written, skipped, failures, bytes };
}

function makeParcel(record: P2PRecord, index: number, { settings, maxValueBytes }: RedisTarget): Parcel {
  const { format, prefix, ttlField } = settings;
  const key = prefix + idKey(record.id);
  const expiry = expiryOf(record, settings);
  const body: P2PObject =
    ttlField !== undefined && Object.hasOwn(record, ttlField) ? withoutField(record, ttlField) : record;
  const content =
    format === "dump" ? dumpOf(record) : format === "hash" ? encodeHashRecord(body) : encodeJsonRecord(body);
  const bytes = byteLength(content);
  if (bytes > maxValueBytes) {
    throw new P2PError("RECORD_TOO_LARGE", `The server takes no value of more than ${maxValueBytes} bytes`);
  }
  return { index, key, content, bytes, expiry };
}

function dumpOf({ dump }: P2PRecord): Buffer {
  if (dump instanceof Uint8Array) return Buffer.from(dump.buffer, dump.byteOffset, dump.byteLength);
  throw new P2PError("INVALID_RECORD", "With format=dump a record must be one that was read with format=dump");
}

function byteLength(content: Parcel["content"]): number {
  if (typeof content === "string" || Buffer.isBuffer(content)) return Buffer.byteLength(content);
  return content.reduce((sum, part) => sum + Buffer.byteLength(part), 0);
}

function refusal(error: unknown): P2PError {
  if (error instanceof RangeError) {
    return new P2PError("RECORD_TOO_LARGE", "The record is larger than a string can be", { cause: error });
  }
  return toP2PError(error, "INVALID_RECORD", "The record cannot be written");
}

/** The commands that carry the records, in their order. */
function consign({ link, settings }: RedisTarget, parcels: readonly Parcel[], mode: WriteMode): Consignment[] {
  if (settings.format === "dump") return parcels.map((parcel) => restore(parcel, mode));
  if (settings.format === "hash") {
    // A script of a cluster may touch keys of one slot only.
    const groups = link.clustered ? parcels.map((parcel) => [parcel]) : grouped(parcels);
    return groups.map((group) => hashes(group, mode, link));
  }
  const plain = mode === "upsert" && !link.clustered && parcels.every(({ expiry }) => expiry === undefined);
  return plain ? grouped(parcels).map(setMany) : parcels.map((parcel) => setOne(parcel, mode));
}

function grouped(parcels: readonly Parcel[]): Parcel[][] {
  const groups: Parcel[][] = [];
  let bytes = Infinity;
  for (const parcel of parcels) {
    bytes += parcel.bytes;
    if (bytes > COMMAND_BYTES || groups.at(-1)!.length >= COMMAND_RECORDS) {
      groups.push([]);
      bytes = parcel.bytes;
    }
    groups.at(-1)!.push(parcel);
  }
  return groups;
}

function setMany(parcels: readonly Parcel[]): Consignment {
  const args: Command["args"] = [];
  for (const { key, content } of parcels) args.push(key, content as string);
  return { command: { name: "mset", args }, parcels, outcomes: () => parcels.map(() => "written") };
}

function setOne(parcel: Parcel, mode: WriteMode): Consignment {
  const args: Command["args"] = [parcel.key, parcel.content as string, ...setWords(parcel.expiry)];
  if (mode !== "upsert") args.push("NX");
  return {
    command: { name: "set", args },
    parcels: [parcel],
    outcomes: (reply) => [reply === null ? "there" : "written"],
  };
}

function hashes(parcels: readonly Parcel[], mode: WriteMode, link: RedisLink): Consignment {
  const entries = parcels.map(({ key, content, expiry }) => ({
    key,
    parts: content as readonly (string | Buffer)[],
    expiry,
  }));
  return {
    command: writeHashes(entries, mode),
    parcels,
    outcomes: (reply) =>
      (reply as (number | Buffer)[]).map((outcome) => {
        if (typeof outcome === "number") return outcome === 1 ? "written" : "there";
        return link.toError(Object.assign(new Error(outcome.toString()), { name: "ReplyError" }), "write");
      }),
  };
}

function restore(parcel: Parcel, mode: WriteMode): Consignment {
  const { key, content, expiry } = parcel;
  const args: Command["args"] = [key, expiry?.ms ?? 0, content as Buffer];
  if (mode === "upsert") args.push("REPLACE");
  if (expiry?.kind === "at") args.push("ABSTTL");
  return { command: { name: "restore", args }, parcels: [parcel], outcomes: () => ["written"] };
}

function failed({ index }: Parcel, records: readonly P2PRecord[], error: P2PError): WriteFailure {
  return { index, id: records[index]!.id, error };
}

function duplicate(key: string): P2PError {
  return new P2PError("DUPLICATE_ID", `The key ${key} is there already`);
}

/** RESTORE tells of a key that is there by an error. */
function told(outcome: Outcome): Outcome {
  return isP2PError(outcome, "DUPLICATE_ID") ? "there" : outcome;
}

/** What is wrong with the store rather than with a record. */
const UNUSABLE: ReadonlySet<P2PErrorCode> = new Set([
  "CONNECTION_LOST",
  "TIMEOUT",
  "BUSY",
  "STORAGE_FULL",
  "TARGET_NOT_WRITABLE",
  "AUTHENTICATION_FAILED",
  "INVALID_ENDPOINT",
  "CLOSED",
]);

/** When nothing could be written because of the store, that is the news, and not what it means to each record. */
function throwIfUnusable(failures: readonly WriteFailure[]): void {
  const trouble = failures.find(({ error }) => UNUSABLE.has(error.code));
  if (trouble) throw trouble.error;
}
