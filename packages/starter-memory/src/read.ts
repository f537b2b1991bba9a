import {
  estimateBytes,
  isIndivisible,
  type P2PQuery,
  type P2PRecord,
  projectRecord,
  type RawBatch,
  type ReadOptions,
  type RecordBatch,
  storePartition,
} from "@omni/p2p-core/starter";
import type { MemoryStore } from "./client/store.ts";
import { parseMemoryQuery, STORE } from "./query/query.ts";
import { select } from "./reading/select.ts";

/** The store's records that a query asks for, in batches of copies. */
export async function* readBatches(
  store: MemoryStore,
  query: P2PQuery,
  options: ReadOptions,
): AsyncGenerator<RecordBatch> {
  const { signal, batchSize, batchBytes = Number.POSITIVE_INFINITY, after } = options;
  signal.throwIfAborted();
  const parsed = parseMemoryQuery(query);
  const selection = select(store, parsed, after);
  for (let taken = selection.take(batchSize); taken.records.length > 0; taken = selection.take(batchSize)) {
    let records: P2PRecord[] = [];
    let bytes = 0;
    for (const [index, shared] of taken.records.entries()) {
      const record = projectRecord(shared, parsed.fields);
      const size = estimateBytes(record);
      if (records.length > 0 && bytes + size > batchBytes) {
        yield { records, cursor: taken.cursorAfter(index - 1), bytes, valid: true, distinct: true };
        signal.throwIfAborted();
        records = [];
        bytes = 0;
      }
      records.push(record);
      bytes += size;
    }
    // What is in a store was checked when it was put there, under the text of its id.
    yield { records, cursor: taken.cursorAfter(taken.records.length - 1), bytes, valid: true, distinct: true };
    signal.throwIfAborted();
  }
}

/** What a record that two stores share costs. */
const REFERENCE_BYTES = 8;

/** The same records as the store has them: they are never changed, only replaced, so another store may share them. */
export async function* readShared(store: MemoryStore, query: P2PQuery, options: ReadOptions): AsyncGenerator<RawBatch> {
  const parsed = parseMemoryQuery(query);
  if (parsed.fields) {
    for await (const { records: documents, cursor, bytes = 0 } of readBatches(store, query, options)) {
      yield { documents, cursor, bytes };
    }
    return;
  }
  const { signal, batchSize, batchBytes = Number.POSITIVE_INFINITY, after } = options;
  signal.throwIfAborted();
  const selection = select(store, parsed, after);
  const most = Math.max(1, Math.min(batchSize, Math.floor(batchBytes / REFERENCE_BYTES)));
  for (let taken = selection.take(most); taken.records.length > 0; taken = selection.take(most)) {
    const { records: documents } = taken;
    yield { documents, cursor: taken.cursorAfter(documents.length - 1), bytes: documents.length * REFERENCE_BYTES };
    signal.throwIfAborted();
  }
}

/** Records looked at in one go when they are counted. */
const COUNTED = 10_000;

/** How many records a query gives. */
export function countRecords(store: MemoryStore, query: P2PQuery): number {
  const selection = select(store, parseMemoryQuery(query), undefined);
  let count = 0;
  for (let taken = selection.take(COUNTED); taken.records.length > 0; taken = selection.take(COUNTED)) {
    count += taken.records.length;
  }
  return count;
}

/** Parts of equal numbers of entries; a query with an order, an offset or a limit stays whole. */
export function partitionQuery(store: MemoryStore, query: P2PQuery, parts: number): P2PQuery[] {
  if (isIndivisible(parseMemoryQuery(query), parts) || store.size < 2) return [query];
  const sequences = Array.from(store.values(), (record, place) => store.sequenceOf(record, place));
  const size = Math.ceil(sequences.length / parts);
  const queries: P2PQuery[] = [];
  for (let start = 0; start < sequences.length; start += size) {
    const last = start + size >= sequences.length;
    const after = start === 0 ? 0 : sequences[start - 1]!;
    const upTo = last ? Number.MAX_SAFE_INTEGER : sequences[start + size - 1]!;
    queries.push({ ...query, partition: storePartition(STORE, { after, upTo }) });
  }
  return queries;
}
