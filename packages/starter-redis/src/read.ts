import {
  type JsonValue,
  matches,
  P2PError,
  type P2PQuery,
  type P2PRecord,
  type ReadFailure,
  type ReadOptions,
  type RecordBatch,
  setField,
} from "@omni/p2p-core";
import type { RedisSettings } from "./endpoint.ts";
import { firstKeys, keyOrder, sortedKeys } from "./key-order.ts";
import { type KeySlice, type KeySource, listedKeys } from "./key-source.ts";
import { compareKeys, type Key, keyFromJson, keyToJson } from "./keys.ts";
import type { RedisLink } from "./link.ts";
import { parseRedisQuery, type RedisQuery } from "./query.ts";
import { fetchedBytes, toRecord, UnreadableKey } from "./records.ts";
import { type KeyPage, keyPages } from "./scan.ts";
import { isPagePosition, scanOrder } from "./scan-order.ts";
import { sortedByFields } from "./sort.ts";
import { type FetchedKeys, ValueReader } from "./values.ts";

/** What reading works with. */
export interface RedisSource {
  readonly link: RedisLink;
  readonly settings: RedisSettings;
  readonly tellsExpiry: boolean;
}

/** Keys whose values are asked for at a time, at most. */
const MOST_KEYS = 2000;
/** Keys of the first request, when the size of records is not known yet. */
const FIRST_KEYS = 200;
/** Bytes of values that are asked for at a time, about, when the reader sets no limit. */
const DEFAULT_BYTES = 16 * 1024 * 1024;

/** The records that a query asks for, in batches. */
export async function* readBatches(
  source: RedisSource,
  query: P2PQuery,
  options: ReadOptions,
): AsyncGenerator<RecordBatch> {
  const parsed = parseRedisQuery(query, source.settings.prefix);
  options.signal.throwIfAborted();
  if (parsed.limit === 0) return;
  const skip = options.after === undefined ? parsed.offset : 0;
  const keys = await keysInOrder(source, parsed, options.after, options.signal);
  const batches = new Batches(parsed, options);
  let passed = parsed.orderBy.length > 0 ? skip : 0;
  for await (const { slice, fetched } of fetchAhead(source, keys, parsed, skip, options)) {
    for (const [i, key] of slice.keys.entries()) {
      const result = toRecord(key, fetched.values[i], fetched.expiries[i], source.settings);
      if (result === undefined) continue;
      if (parsed.filtered && !(result instanceof UnreadableKey) && !matches(parsed.conditions, result)) continue;
      if (parsed.filtered && passed++ < skip) continue;
      const full = batches.add(result, fetchedBytes(fetched.values[i]), slice, i);
      if (full) yield full;
      options.signal.throwIfAborted();
      if (batches.count < parsed.limit) continue;
      const last = batches.rest();
      if (last) yield last;
      return;
    }
  }
  const last = batches.rest();
  if (last) yield last;
}

/** Gathers records into batches of the size asked for. */
class Batches {
  readonly #query: RedisQuery;
  readonly #options: ReadOptions;
  #records: P2PRecord[] = [];
  #failures: ReadFailure[] = [];
  #bytes = 0;
  #slice: KeySlice | undefined;
  #index = 0;
  /** Records and failures so far. */
  count = 0;

  constructor(query: RedisQuery, options: ReadOptions) {
    this.#query = query;
    this.#options = options;
  }

  /** Takes a record or a failure; returns the batch before it when that is full. */
  add(result: P2PRecord | UnreadableKey, bytes: number, slice: KeySlice, index: number): RecordBatch | undefined {
    const { batchSize, batchBytes = Infinity } = this.#options;
    const size = this.#records.length + this.#failures.length;
    const full = size >= batchSize || (size > 0 && this.#bytes + bytes > batchBytes) ? this.rest() : undefined;
    if (result instanceof UnreadableKey) this.#failures.push(result);
    else this.#records.push(project(result, this.#query.fields));
    this.#bytes += bytes;
    this.#slice = slice;
    this.#index = index;
    this.count++;
    return full;
  }

  /** The batch begun, if there is any. */
  rest(): RecordBatch | undefined {
    if (this.#slice === undefined) return undefined;
    const batch: RecordBatch = {
      records: this.#records,
      cursor: this.#slice.cursorAt(this.#index),
      ...(this.#failures.length > 0 && { failures: this.#failures }),
      bytes: this.#bytes,
    };
    this.#records = [];
    this.#failures = [];
    this.#bytes = 0;
    this.#slice = undefined;
    return batch;
  }
}

function project(record: P2PRecord, fields: readonly string[] | undefined): P2PRecord {
  if (fields === undefined) return record;
  const projected: Record<string, unknown> = { id: record.id };
  for (const field of fields) if (Object.hasOwn(record, field)) setField(projected, field, record[field]);
  return projected as unknown as P2PRecord;
}

/**
 * Fetches the values of keys, one request ahead: while a slice is made into records, the values of the next one travel,
 * and the names of the one after it.
 */
async function* fetchAhead(
  source: RedisSource,
  keys: KeySource,
  query: RedisQuery,
  skip: number,
  options: ReadOptions,
): AsyncGenerator<{ slice: KeySlice; fetched: FetchedKeys }> {
  const { signal, batchSize, batchBytes = DEFAULT_BYTES } = options;
  const reader = new ValueReader(source.link, source.settings, source.tellsExpiry);
  const most = Math.min(batchSize, MOST_KEYS);
  let size = Math.min(most, FIRST_KEYS);
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
    size = sizeFor(fetched, batchBytes, most);
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

function sizeFor({ values }: FetchedKeys, batchBytes: number, most: number): number {
  const bytes = values.reduce((sum, value) => sum + fetchedBytes(value), 0);
  if (bytes === 0) return most;
  return Math.max(1, Math.min(most, Math.floor((batchBytes * values.length) / bytes)));
}

/** A promise that may be left alone: when the reader stops early, nobody waits for what is on its way. */
function quietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

/**
 * The keys of a query in the order in which they are read:
 * - by the values of fields, where the query says so;
 * - by their names, where there is an offset or a limit, or where they are few enough to be sorted in memory;
 * - else in the order of SCAN.
 * A cursor tells in which of these orders the reading goes on.
 */
async function keysInOrder(
  source: RedisSource,
  query: RedisQuery,
  after: JsonValue | undefined,
  signal: AbortSignal,
): Promise<KeySource> {
  const { link, settings } = source;
  if (query.orderBy.length > 0) return sortedByFields(source, query, after, signal);
  const cursor = (after ?? {}) as { readonly key?: JsonValue; readonly scan?: JsonValue };
  const last = cursor.key === undefined ? undefined : keyFromJson(cursor.key);
  const pages = () => keyPages(link, query.request, settings.scanCount, undefined, signal);
  const inKeyOrder = () => {
    const most = mostKeys(query, after === undefined ? query.offset : 0, settings.maxSortedKeys);
    return keyOrder((from) => firstKeys(pages(), from, most), last);
  };

  if (query.request.keys) {
    const keys = query.request.keys.filter((key) => last === undefined || compareKeys(key, last) > 0);
    return listedKeys(keys, (i) => ({ key: keyToJson(keys[i]!) }));
  }
  if (isPagePosition(cursor.scan)) {
    const from = cursor.scan;
    return scanOrder(keyPages(link, query.request, settings.scanCount, from, signal), from);
  }
  if (after !== undefined && last === undefined) {
    throw new P2PError("CHECKPOINT_INVALID", "The cursor is not one of a Redis source; start the transfer anew");
  }
  if (last !== undefined || query.offset > 0 || query.limit < Infinity) return inKeyOrder();
  return keyOrderIfFew(pages(), settings.maxSortedKeys);
}

/** How many names are worth keeping. */
function mostKeys({ filtered, limit }: RedisQuery, offset: number, most: number): number {
  return filtered ? most : Math.max(1, Math.min(most, offset + limit));
}

async function keyOrderIfFew(pages: AsyncGenerator<KeyPage, undefined>, most: number): Promise<KeySource> {
  const seen: KeyPage[] = [];
  const names: Key[] = [];
  while (names.length <= most) {
    const { value, done } = await pages.next();
    if (done) {
      const found = { keys: sortedKeys(names), more: false };
      return keyOrder(async () => found, undefined);
    }
    seen.push(value);
    for (const key of value.keys) names.push(key);
  }
  return scanOrder(chained(seen, pages), undefined);
}

async function* chained(seen: KeyPage[], rest: AsyncGenerator<KeyPage, undefined>): AsyncGenerator<KeyPage, undefined> {
  for (let page = seen.shift(); page; page = seen.shift()) yield page;
  yield* rest;
}

/** How many records a query gives, where the names of keys tell. */
export async function countRecords(
  { link, settings }: RedisSource,
  query: P2PQuery,
  signal: AbortSignal,
): Promise<number | undefined> {
  const { request, filtered, offset, limit } = parseRedisQuery(query, settings.prefix);
  signal.throwIfAborted();
  if (filtered) return undefined;
  let count = 0;
  if (request.keys) {
    const replies = await link.sendAll(
      "read",
      signal,
      request.keys.map((key) => ({ name: "exists", args: [key as Key] })),
    );
    for (const reply of replies) {
      if (reply instanceof P2PError) throw reply;
      count += Number(reply);
    }
  } else if (request.pattern === undefined && request.type === undefined && request.slots === undefined) {
    count = await link.size(signal);
  } else {
    for await (const { keys } of keyPages(link, request, settings.scanCount, undefined, signal)) count += keys.length;
  }
  return Math.min(Math.max(count - offset, 0), limit);
}
