import {
  BatchBuilder,
  cursorPosition,
  type GatheredBatch,
  isNoBytesKey,
  type JsonValue,
  matches,
  type P2PId,
  type P2PQuery,
  type P2PRecord,
  pickFields,
  type RawBatch,
  type ReadOptions,
  type RecordBatch,
  storeCursor,
} from "@omni/p2p-core/starter";
import type { RedisSource } from "./client/open-source.ts";
import { type Key, STORE } from "./query/keys.ts";
import { parseRedisQuery, type RedisQuery } from "./query/query.ts";
import { fetchAhead } from "./reading/fetch-ahead.ts";
import type { KeySlice } from "./reading/key-source.ts";
import { keysInOrder } from "./reading/order.ts";
import type { Fetched } from "./values/key-values.ts";
import { type RedisDocument, toDocument } from "./values/raw-document.ts";
import { fetchedBytes, toRecord, UnreadableKey } from "./values/read-record.ts";

/** Makes of a key what is asked for; `undefined` when it is gone, or not one of the query's. */
type Make<T> = (key: Key, fetched: Fetched, expiry: number | undefined) => T | UnreadableKey | undefined;

/** What was made of some keys. */
interface ItemBatch<T> extends GatheredBatch<T> {
  readonly cursor: JsonValue;
}

/** The records that a query asks for, in batches. */
export async function* readBatches(
  source: RedisSource,
  query: P2PQuery,
  options: ReadOptions,
): AsyncGenerator<RecordBatch> {
  const parsed = parseRedisQuery(query, source.settings);
  for await (const { items, ...rest } of readItems(source, parsed, options, recordsOf(source, parsed))) {
    yield { records: items, ...rest, distinct: items.every(({ id }) => isDistinct(id)) };
  }
}

/** The same as documents. What must be looked into is a record still. */
export async function* readDocuments(
  source: RedisSource,
  query: P2PQuery,
  options: ReadOptions,
): AsyncGenerator<RawBatch> {
  const { settings } = source;
  const parsed = parseRedisQuery(query, settings);
  const toItem = recordsOf(source, parsed);
  const whole = !parsed.filtered && parsed.fields === undefined;
  const make: Make<RedisDocument> = (key, fetched, expiry) => {
    const document = whole ? toDocument(key, fetched, expiry, settings) : undefined;
    if (document) return document;
    const record = toItem(key, fetched, expiry);
    return record === undefined || record instanceof UnreadableKey ? record : { record };
  };
  for await (const { items, valid: _, ...rest } of readItems(source, parsed, options, make)) {
    yield { documents: items, ...rest };
  }
}

/** The text of an id is its key, whatever the type of the id; keys that are not UTF-8 are bytes. */
function isDistinct(id: P2PId): boolean {
  return typeof id === "string" && isNoBytesKey(id);
}

function recordsOf({ settings }: RedisSource, { filtered, conditions, fields }: RedisQuery): Make<P2PRecord> {
  return (key, fetched, expiry) => {
    const result = toRecord(key, fetched, expiry, settings);
    if (result === undefined || result instanceof UnreadableKey) return result;
    return filtered && !matches(conditions, result) ? undefined : pickFields(result, fields);
  };
}

async function* readItems<T>(
  source: RedisSource,
  query: RedisQuery,
  options: ReadOptions,
  make: Make<T>,
): AsyncGenerator<ItemBatch<T>> {
  options.signal.throwIfAborted();
  if (query.limit === 0) return;
  const after = options.after === undefined ? undefined : cursorPosition(STORE, options.after);
  const skip = after === undefined ? query.offset : 0;
  const keys = await keysInOrder(source, query, after, options.signal);
  const batches = new Batches<T>(options);
  let passed = query.orderBy.length > 0 ? skip : 0;
  for await (const { slice, fetched } of fetchAhead(source, keys, query, skip, options)) {
    for (let i = 0; i < slice.keys.length; i++) {
      const value = fetched.values[i];
      const item = make(slice.keys[i]!, value, fetched.expiries[i]);
      if (item === undefined || (query.filtered && passed++ < skip)) continue;
      const full = batches.add(item, fetchedBytes(value), slice, i);
      if (full) {
        yield full;
        options.signal.throwIfAborted();
      }
      if (batches.count < query.limit) continue;
      const last = batches.rest();
      if (last) yield last;
      return;
    }
  }
  const last = batches.rest();
  if (last) yield last;
}

/** Batches with the cursor behind the last key that went into them. */
class Batches<T> {
  readonly #builder: BatchBuilder<T>;
  #slice: KeySlice | undefined;
  #index = 0;
  /** Items and failures so far. */
  count = 0;

  constructor(options: ReadOptions) {
    this.#builder = new BatchBuilder(options, Number.POSITIVE_INFINITY);
  }

  /** Takes an item or a failure; returns the batch before it when that is full. */
  add(item: T | UnreadableKey, bytes: number, slice: KeySlice, index: number): ItemBatch<T> | undefined {
    const full = this.#builder.hasRoomFor(bytes) ? undefined : this.rest();
    if (item instanceof UnreadableKey) this.#builder.fail(item, bytes);
    else this.#builder.add(item, bytes);
    this.#slice = slice;
    this.#index = index;
    this.count++;
    return full;
  }

  /** The batch begun, if there is any. */
  rest(): ItemBatch<T> | undefined {
    const batch = this.#builder.take();
    return batch && { ...batch, cursor: storeCursor(STORE, this.#slice!.cursorAt(this.#index)) };
  }
}
