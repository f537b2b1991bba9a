import { isUtf8 } from "node:buffer";
import type { P2PRecord, P2PValue } from "@omni/p2p-core/starter";
import { DumpReader, intsetMembers, listpackItems, UnknownDump, ziplistItems } from "./dump-reader.ts";

/** The version of the format and the checksum, which stand behind the value. */
const FOOTER_BYTES = 10;

/**
 * A record with a dump in the form in which it is compared: two dumps of one value need not be equal byte by byte. The
 * members of hash tables come in no fixed order, servers keep the same value in several encodings, and behind it stands
 * the version of the server's format.
 */
export function comparableDump(record: P2PRecord): P2PRecord {
  const { dump } = record;
  return dump instanceof Uint8Array && dump.length > FOOTER_BYTES ? { ...record, dump: dumpValue(dump) } : record;
}

/** What a dump holds; of a type that is not known here (a stream, a module's) the bytes without the footer. */
function dumpValue(dump: Uint8Array): P2PValue {
  const body = Buffer.from(dump.buffer, dump.byteOffset, dump.byteLength - FOOTER_BYTES);
  try {
    const reader = new DumpReader(body.subarray(1));
    const value = valueIn(body[0]!, reader);
    if (value !== undefined && reader.left === 0) return value;
  } catch (error) {
    if (!(error instanceof UnknownDump) && !(error instanceof RangeError)) throw error;
  }
  return new Uint8Array(body);
}

/** By the types of an RDB file, `rdb.h`. */
function valueIn(type: number, reader: DumpReader): P2PValue | undefined {
  switch (type) {
    case 0:
      return { string: plain(reader.string()) };
    case 1:
      return list(many(reader.length(), () => reader.string()));
    case 10:
      return list(ziplistItems(reader.string()));
    case 14:
      return list(many(reader.length(), () => reader.string()).flatMap(ziplistItems));
    case 18:
      return list(many(reader.length(), () => quicklistNode(reader)).flat());
    case 2:
      return set(many(reader.length(), () => reader.string()));
    case 11:
      return set(intsetMembers(reader.string()));
    case 20:
      return set(listpackItems(reader.string()));
    case 4:
      return hash(many(2 * reader.length(), () => reader.string()));
    case 13:
      return hash(ziplistItems(reader.string()));
    case 16:
      return hash(listpackItems(reader.string()));
    case 3:
      return sortedSet(many(reader.length(), () => [reader.string(), reader.oldScore()]));
    case 5:
      return sortedSet(many(reader.length(), () => [reader.string(), reader.score()]));
    case 12:
      return sortedSet(scored(ziplistItems(reader.string())));
    case 17:
      return sortedSet(scored(listpackItems(reader.string())));
    default:
      return undefined;
  }
}

/** One by one, so that a length that is a lie ends at the end of the bytes. */
function many<T>(count: number, read: () => T): T[] {
  const items: T[] = [];
  while (items.length < count) items.push(read());
  return items;
}

/** A node is one large item, or a listpack of small ones. */
function quicklistNode(reader: DumpReader): Buffer[] {
  const plainNode = reader.length() === 1;
  const content = reader.string();
  return plainNode ? [content] : listpackItems(content);
}

function scored(items: readonly Buffer[]): [Buffer, number][] {
  return Array.from({ length: items.length / 2 }, (_, i) => [items[2 * i]!, scoreOf(items[2 * i + 1]!)]);
}

function scoreOf(score: Buffer): number {
  const text = score.toString("latin1");
  if (/^[+-]?inf/i.test(text)) return text.startsWith("-") ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return Number(text);
}

function list(items: readonly Buffer[]): P2PValue {
  return { list: items.map(plain) };
}

function set(members: readonly Buffer[]): P2PValue {
  return { set: members.toSorted(Buffer.compare).map(plain) };
}

function hash(parts: readonly Buffer[]): P2PValue {
  const fields = Array.from({ length: parts.length / 2 }, (_, i): [Buffer, Buffer] => [
    parts[2 * i]!,
    parts[2 * i + 1]!,
  ]);
  return { hash: fields.sort(([a], [b]) => Buffer.compare(a, b)).map((field) => field.map(plain)) };
}

function sortedSet(members: readonly [Buffer, number][]): P2PValue {
  const inOrder = members.toSorted(([a], [b]) => Buffer.compare(a, b));
  return { zset: inOrder.map(([member, score]) => ({ member: plain(member), score })) };
}

function plain(bytes: Buffer): P2PValue {
  return isUtf8(bytes) ? bytes.toString() : new Uint8Array(bytes);
}
