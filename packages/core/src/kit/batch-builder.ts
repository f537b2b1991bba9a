/** Batching by number and by bytes, for starters that read record by record. */
import type { ReadFailure, ReadOptions } from "../storage/service.ts";

/** Bytes in a batch where the reader does not say. */
const BATCH_BYTES = 16 * 1024 * 1024;

/** What was gathered, without the cursor, which each store tells in its own form. */
export interface GatheredBatch<Item> {
  readonly items: Item[];
  /** Absent when there are none, as in a `RecordBatch`. */
  readonly failures?: ReadFailure[];
  readonly bytes: number;
  readonly valid: boolean;
}

/**
 * Gathers what is read, records or documents, into batches of at most so many items and about so many bytes. An item
 * larger than that makes a batch of its own.
 *
 * @example
 * ```ts
 * async function* inBatches(rows: AsyncIterable<P2PRecord>, options: ReadOptions): AsyncGenerator<RecordBatch> {
 *   const builder = new BatchBuilder<P2PRecord>(options);
 *   let last: JsonValue = null;
 *   for await (const record of rows) {
 *     const bytes = estimateBytes(record);
 *     if (!builder.hasRoomFor(bytes)) yield { records: builder.take()!.items, cursor: last };
 *     builder.add(record, bytes);
 *     last = idKey(record.id);
 *   }
 *   const rest = builder.take();
 *   if (rest) yield { records: rest.items, cursor: last };
 * }
 * ```
 */
export class BatchBuilder<Item> {
  /** Items in a batch, at most. */
  readonly #most: number;
  /** Bytes in a batch, about. */
  readonly limitBytes: number;
  #items: Item[] = [];
  #failures: ReadFailure[] = [];
  #bytes = 0;
  #valid = true;

  /** @param defaultBytes bytes in a batch where the reader does not say. Default 16 MiB. */
  constructor({ batchSize, batchBytes }: Pick<ReadOptions, "batchSize" | "batchBytes">, defaultBytes = BATCH_BYTES) {
    this.#most = batchSize;
    this.limitBytes = batchBytes ?? defaultBytes;
  }

  get isEmpty(): boolean {
    return this.#items.length === 0 && this.#failures.length === 0;
  }

  get isFull(): boolean {
    return this.room <= 0 || this.#bytes >= this.limitBytes;
  }

  /** Items that still go in. */
  get room(): number {
    return this.#most - this.#items.length - this.#failures.length;
  }

  /** Bytes that still go in. */
  get budget(): number {
    return Math.max(0, this.limitBytes - this.#bytes);
  }

  /** Whether an item of this size goes into the batch begun; into an empty one goes whatever comes. */
  hasRoomFor(bytes: number): boolean {
    return this.isEmpty || (this.room > 0 && this.#bytes + bytes <= this.limitBytes);
  }

  /** @param valid whether the item is known to be a valid record. */
  add(item: Item, bytes: number, valid = true): void {
    this.#items.push(item);
    this.#bytes += bytes;
    this.#valid &&= valid;
  }

  /** Takes many items at once; the list is the builder's from then on. */
  addAll(items: Item[], bytes: number, valid = true): void {
    if (this.#items.length === 0) this.#items = items;
    else for (const item of items) this.#items.push(item);
    this.#bytes += bytes;
    this.#valid &&= valid;
  }

  /** Takes what could not be made out in the place of an item. */
  fail(failure: ReadFailure, bytes = 0): void {
    this.#failures.push(failure);
    this.#bytes += bytes;
  }

  /** The batch begun, if there is anything in it; the next one starts empty. */
  take(): GatheredBatch<Item> | undefined {
    if (this.isEmpty) return undefined;
    const failures = this.#failures;
    const batch: GatheredBatch<Item> = {
      items: this.#items,
      bytes: Math.round(this.#bytes),
      valid: this.#valid,
      ...(failures.length > 0 && { failures }),
    };
    this.#items = [];
    this.#failures = [];
    this.#bytes = 0;
    this.#valid = true;
    return batch;
  }
}
