import {
  compareRecords,
  estimateBytes,
  type JsonValue,
  matches,
  P2PError,
  type P2PQuery,
  type P2PRecord,
  type ParsedQuery,
  parseQuery,
  projectRecord,
  type RawBatch,
  type ReadOptions,
  type RecordBatch,
} from "@omni/p2p-core";
import type { MemoryEntry, MemoryStore } from "./store.ts";

/** A half-open range of sequences: what a cursor and a partition of this store are. */
interface SequenceRange {
  /** Exclusive. */
  readonly after: number;
  /** Inclusive. */
  readonly upTo: number;
}

/** The store's records that a query asks for, in batches of copies. */
export async function* readBatches(
  store: MemoryStore,
  query: P2PQuery,
  options: ReadOptions,
): AsyncGenerator<RecordBatch> {
  const parsed = parseMemoryQuery(query);
  const copy = (record: P2PRecord) => projectRecord(record, parsed.fields);
  for await (const { items: records, cursor, bytes } of pages(store, parsed, options, copy, estimateBytes)) {
    // What is in a store was checked when it was put there.
    yield { records, cursor, bytes, valid: true };
  }
}

/** The same records as the store has them: they are never changed, only replaced, so another store may share them. */
export async function* readShared(store: MemoryStore, query: P2PQuery, options: ReadOptions): AsyncGenerator<RawBatch> {
  const parsed = parseMemoryQuery(query);
  const { fields } = parsed;
  const share = fields ? (record: P2PRecord) => projectRecord(record, fields) : (record: P2PRecord) => record;
  const size = fields ? estimateBytes : () => REFERENCE_BYTES;
  for await (const { items: documents, cursor, bytes } of pages(store, parsed, options, share, size)) {
    yield { documents, cursor, bytes };
  }
}

/** What a shared record costs. */
const REFERENCE_BYTES = 8;

/** Records while a batch is being filled. */
interface Page {
  readonly items: P2PRecord[];
  cursor: number;
  bytes: number;
}

async function* pages(
  store: MemoryStore,
  query: ParsedQuery,
  { signal, batchSize, batchBytes = Number.POSITIVE_INFINITY, after }: ReadOptions,
  take: (record: P2PRecord) => P2PRecord,
  sizeOf: (record: P2PRecord) => number,
): AsyncGenerator<Page> {
  signal.throwIfAborted();
  let page: Page = { items: [], cursor: 0, bytes: 0 };
  for (const { entry, cursor } of select(store, query, after)) {
    const record = take(entry.record);
    const size = sizeOf(record);
    if (page.items.length > 0 && page.bytes + size > batchBytes) {
      yield page;
      signal.throwIfAborted();
      page = { items: [], cursor, bytes: 0 };
    }
    page.items.push(record);
    page.cursor = cursor;
    page.bytes += size;
    if (page.items.length < batchSize) continue;
    yield page;
    signal.throwIfAborted();
    page = { items: [], cursor, bytes: 0 };
  }
  if (page.items.length > 0) yield page;
}

/** How many records a query gives. */
export function countRecords(store: MemoryStore, query: P2PQuery): number {
  let count = 0;
  for (const _ of select(store, parseMemoryQuery(query), undefined)) count++;
  return count;
}

/** Parts of equal numbers of entries; a query with an order, an offset or a limit stays whole. */
export function partitionQuery(store: MemoryStore, query: P2PQuery, parts: number): P2PQuery[] {
  const { orderBy, offset, limit, partition } = parseMemoryQuery(query);
  if (parts < 2 || store.size < 2 || orderBy.length > 0 || offset > 0 || limit < Infinity || partition !== undefined) {
    return [query];
  }
  const sequences = Array.from(store.entries.values(), (entry) => entry.sequence);
  const size = Math.ceil(sequences.length / parts);
  const queries: P2PQuery[] = [];
  for (let start = 0; start < sequences.length; start += size) {
    const last = start + size >= sequences.length;
    const after = start === 0 ? 0 : sequences[start - 1]!;
    const upTo = last ? Number.MAX_SAFE_INTEGER : sequences[start + size - 1]!;
    queries.push({ ...query, partition: { after, upTo } });
  }
  return queries;
}

function parseMemoryQuery(query: P2PQuery): ParsedQuery {
  const parsed = parseQuery(query);
  const [foreign] = Object.keys(parsed.native);
  if (foreign !== undefined) {
    throw new P2PError(
      "UNSUPPORTED_QUERY",
      `native.${foreign} cannot be used on a memory store, which has no native queries`,
    );
  }
  return parsed;
}

/** The matching entries in order, each with the cursor that points after it. */
function* select(
  store: MemoryStore,
  query: ParsedQuery,
  after: JsonValue | undefined,
): Generator<{ entry: MemoryEntry; cursor: number }> {
  const range = (query.partition ?? { after: 0, upTo: Number.MAX_SAFE_INTEGER }) as unknown as SequenceRange;
  const sorted = query.orderBy.length > 0;
  // What is added while this read goes on is not part of it: a store that is copied into itself must come to an end.
  const upTo = Math.min(range.upTo, store.lastSequence);
  const candidates = filter(store.entries.values(), query, { after: range.after, upTo });
  const entries = sorted
    ? [...candidates].sort((a, b) => compareRecords(query.orderBy, a.record, b.record))
    : candidates;
  const from = typeof after === "number" ? after : undefined;
  let rank = 0;
  let taken = 0;
  for (const entry of entries) {
    rank++;
    // A sorted read has no sequence to go by, so its cursor is the rank.
    const cursor = sorted ? rank : entry.sequence;
    if (from === undefined ? rank <= query.offset : cursor <= from) continue;
    if (taken++ >= query.limit) return;
    yield { entry, cursor };
  }
}

function* filter(entries: Iterable<MemoryEntry>, query: ParsedQuery, range: SequenceRange): Generator<MemoryEntry> {
  for (const entry of entries) {
    if (entry.sequence <= range.after) continue;
    if (entry.sequence > range.upTo) return;
    if (matches(query.conditions, entry.record)) yield entry;
  }
}
