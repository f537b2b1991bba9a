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

/** The store's records that a query asks for, in batches. */
export async function* readBatches(
  store: MemoryStore,
  query: P2PQuery,
  options: ReadOptions,
): AsyncGenerator<RecordBatch> {
  const { signal, batchSize, batchBytes = Number.POSITIVE_INFINITY } = options;
  signal.throwIfAborted();
  const parsed = parseMemoryQuery(query);
  let batch: MemoryBatch = { records: [], cursor: 0, bytes: 0 };
  for (const { entry, cursor } of select(store, parsed, options.after)) {
    const record = projectRecord(entry.record, parsed.fields);
    const size = estimateBytes(record);
    if (batch.records.length > 0 && batch.bytes + size > batchBytes) {
      yield batch;
      signal.throwIfAborted();
      batch = { records: [], cursor, bytes: 0 };
    }
    batch.records.push(record);
    batch.cursor = cursor;
    batch.bytes += size;
    if (batch.records.length < batchSize) continue;
    yield batch;
    signal.throwIfAborted();
    batch = { records: [], cursor, bytes: 0 };
  }
  if (batch.records.length > 0) yield batch;
}

/** A batch while it is being filled. */
interface MemoryBatch {
  records: P2PRecord[];
  cursor: number;
  bytes: number;
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
