import type { ReadOptions } from "@omni/p2p-core/starter";
import type { Keyspace } from "../client/keyspace.ts";
import { quietly } from "../client/quietly.ts";
import type { RedisQuery } from "../query/query.ts";
import { fetchedBytes } from "../values/read-record.ts";
import type { KeySlice, KeySource } from "./order/key-source.ts";
import { type FetchedKeys, ValueReader } from "./value-reader.ts";

/** Keys whose values are asked for at a time, at most, however small the batches are that are cut from them. */
const MOST_KEYS = 1000;
/** Keys of the first request, when the size of records is not known yet. */
const FIRST_KEYS = 200;
/** Bytes of values that are asked for at a time, about, when the reader sets no limit. */
const DEFAULT_BYTES = 16 * 1024 * 1024;

/**
 * Fetches the values of keys, one request ahead: while a slice is made into records, the values of the next one travel,
 * and the names of the one after it.
 */
export async function* fetchAhead(
  source: Keyspace,
  keys: KeySource,
  query: Pick<RedisQuery, "filtered" | "limit" | "orderBy">,
  skip: number,
  options: Pick<ReadOptions, "signal" | "batchBytes">,
): AsyncGenerator<{ slice: KeySlice; fetched: FetchedKeys }> {
  const { signal, batchBytes = DEFAULT_BYTES } = options;
  const reader = new ValueReader(source);
  let size = FIRST_KEYS;
  let wanted = query.filtered ? Infinity : query.limit;
  if (!query.filtered && query.orderBy.length === 0) await pass(keys, skip);
  const take = async (): Promise<KeySlice> => {
    const slice = await keys.take(Math.min(size, wanted));
    wanted -= slice.keys.length;
    return slice;
  };
  const fetch = (slice: KeySlice) => (slice.keys.length > 0 ? quietly(reader.fetch(slice.keys, signal)) : undefined);
  let slice = await take();
  let fetching = fetch(slice);
  while (fetching !== undefined) {
    const taking = quietly(take());
    const fetched = await fetching;
    size = sizeFor(fetched, batchBytes);
    const next = await taking;
    fetching = fetch(next);
    yield { slice, fetched };
    slice = next;
  }
}

/** Passes over keys without reading them. */
async function pass(keys: KeySource, count: number): Promise<void> {
  for (let left = count; left > 0; ) {
    const { keys: passed } = await keys.take(Math.min(left, MOST_KEYS));
    if (passed.length === 0) return;
    left -= passed.length;
  }
}

function sizeFor({ values }: FetchedKeys, batchBytes: number): number {
  const bytes = values.reduce((sum, value) => sum + fetchedBytes(value), 0);
  if (bytes === 0) return MOST_KEYS;
  return Math.max(1, Math.min(MOST_KEYS, Math.floor((batchBytes * values.length) / bytes)));
}
