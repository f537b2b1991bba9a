import type { P2PRecord, ReadFailure, ReadOptions, RecordBatch } from "@omni/p2p-core/starter";
import type { SqliteStore } from "../client/store.ts";
import type { Page } from "./scan.ts";

/** Bytes in a batch when the reader does not say. */
const BATCH_BYTES = 8 * 1024 * 1024;
/** A file of so many batches' bytes is small. */
const SMALL_FILE = 32;

/** Collects pages until they make a batch. */
export class BatchBuilder {
  /** The position after the last row that was looked at. */
  cursor: RecordBatch["cursor"] = null;
  readonly #size: number;
  readonly #bytes: number;
  #records: P2PRecord[] = [];
  #failures: ReadFailure[] = [];
  #valid = true;
  #distinct = true;
  #used = 0;
  #cut = false;
  #wasCut = false;

  constructor({ batchSize, batchBytes = BATCH_BYTES }: ReadOptions) {
    this.#size = batchSize;
    this.#bytes = batchBytes;
  }

  /** Records that still go in. */
  get room(): number {
    return this.#size - this.#records.length - this.#failures.length;
  }

  /** Bytes that still go in. */
  get budget(): number {
    return Math.max(0, this.#bytes - this.#used);
  }

  /**
   * Whether the rows of a page may be fetched in one go: that is when the whole file is not much larger than a batch
   * may be, so that tiny rows cannot be followed by more of large ones than memory bears, and when no batch was ever
   * cut by its bytes, since the rows behind the cut would be fetched for nothing each time.
   */
  mayReadAtOnce(store: SqliteStore): boolean {
    return !this.#wasCut && store.size() <= this.#bytes * SMALL_FILE;
  }

  get isEmpty(): boolean {
    return this.#records.length === 0 && this.#failures.length === 0;
  }

  get isFull(): boolean {
    return this.room <= 0 || this.#cut || this.budget === 0;
  }

  /** Takes what a page gave, but for the first `dropped` records. Returns how many it was. */
  add(page: Page, dropped: number): number {
    const records = dropped === 0 ? page.records : page.records.slice(dropped);
    const { failures } = page;
    if (this.#records.length === 0) this.#records = records;
    else for (const record of records) this.#records.push(record);
    this.#failures.push(...failures);
    this.#valid &&= page.valid;
    this.#distinct &&= page.distinct;
    this.#used += page.bytes;
    this.#cut = page.cut;
    this.#wasCut ||= page.cut;
    return records.length + failures.length;
  }

  /** The batch, when there is anything in it; the next one starts empty. */
  take(): RecordBatch | undefined {
    const [records, failures, bytes] = [this.#records, this.#failures, this.#used];
    const [valid, distinct] = [this.#valid, this.#distinct];
    this.#records = [];
    this.#failures = [];
    this.#valid = true;
    this.#distinct = true;
    this.#used = 0;
    this.#cut = false;
    if (records.length === 0 && failures.length === 0) return undefined;
    return { records, cursor: this.cursor, bytes, valid, distinct, ...(failures.length > 0 ? { failures } : {}) };
  }
}
