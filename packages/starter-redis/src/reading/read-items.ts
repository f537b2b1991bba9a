import {
  BatchBuilder,
  cursorPosition,
  type GatheredBatch,
  type JsonValue,
  matches,
  type P2PRecord,
  pickFields,
  type ReadOptions,
  storeCursor,
} from "@omni/p2p-core/starter";
import type { Key } from "../client/keys.ts";
import type { Keyspace } from "../client/keyspace.ts";
import type { RedisQuery } from "../query/query.ts";
import { STORE } from "../types.ts";
import type { Fetched } from "../values/key-value.ts";
import { fetchedBytes, toRecord, UnreadableKey } from "../values/read-record.ts";
import { fetchAhead } from "./fetch-ahead.ts";
import { keysInOrder } from "./order/choose-order.ts";
import type { KeySlice } from "./order/key-source.ts";

/** Makes of a key what is asked for; `undefined` when it is gone, or not one of the query's. */
export type Make<T> = (key: Key, fetched: Fetched, expiry: number | undefined) => T | UnreadableKey | undefined;

/** What was made of some keys. */
interface ItemBatch<T> extends GatheredBatch<T> {
  readonly cursor: JsonValue;
}

/** Makes the records that a query wants, with the fields it asks for. */
export function recordsOf({ settings }: Keyspace, { filtered, conditions, fields }: RedisQuery): Make<P2PRecord> {
  return (key, fetched, expiry) => {
    const result = toRecord(key, fetched, expiry, settings);
    if (result === undefined || result instanceof UnreadableKey) return result;
    return filtered && !matches(conditions, result) ? undefined : pickFields(result, fields);
  };
}

/** Reads the keys of a query in their order, and makes batches of what is made of them. */
export async function* readItems<T>(
  source: Keyspace,
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
