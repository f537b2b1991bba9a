import {
  matches,
  type P2PQuery,
  type P2PRecord,
  type ReadFailure,
  type ReadOptions,
  type RecordBatch,
  setField,
} from "@omni/p2p-core";
import { fetchAhead } from "./fetch-ahead.ts";
import type { KeySlice } from "./key-source.ts";
import { keysInOrder } from "./order.ts";
import { parseRedisQuery, type RedisQuery } from "./query.ts";
import { fetchedBytes, toRecord, UnreadableKey } from "./records.ts";
import type { RedisSource } from "./source.ts";

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
