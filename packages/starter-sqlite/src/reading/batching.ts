import {
  BatchBuilder,
  type JsonValue,
  type P2PRecord,
  type ReadOptions,
  type RecordBatch,
  storeCursor,
} from "@omni/p2p-core/starter";
import type { SqliteStore } from "../client/store.ts";
import { STORE } from "../types.ts";
import type { Page } from "./scan.ts";

/** Bytes in a batch when the reader does not say. */
const BATCH_BYTES = 8 * 1024 * 1024;
/** A file of so many batches' bytes is small. */
const SMALL_FILE = 32;

/** Gathers pages until they make a batch. */
export class PagedBatches {
  /** The position after the last row that was looked at. */
  position: JsonValue = null;
  readonly #builder: BatchBuilder<P2PRecord>;
  #distinct = true;
  #cut = false;
  #wasCut = false;

  constructor(options: ReadOptions) {
    this.#builder = new BatchBuilder(options, BATCH_BYTES);
  }

  /** Records that still go in. */
  get room(): number {
    return this.#builder.room;
  }

  /** Bytes that still go in. */
  get budget(): number {
    return this.#builder.budget;
  }

  /**
   * Whether the rows of a page may be fetched in one go: that is when the whole file is not much larger than a batch
   * may be, so that tiny rows cannot be followed by more of large ones than memory bears, and when no batch was ever
   * cut by its bytes, since the rows behind the cut would be fetched for nothing each time.
   */
  mayReadAtOnce(store: SqliteStore): boolean {
    return !this.#wasCut && store.size() <= this.#builder.limitBytes * SMALL_FILE;
  }

  get isEmpty(): boolean {
    return this.#builder.isEmpty;
  }

  get isFull(): boolean {
    return this.#cut || this.#builder.isFull;
  }

  /** Takes what a page gave, but for the first `dropped` records. Returns how many it was. */
  add(page: Page, dropped: number): number {
    const records = dropped === 0 ? page.records : page.records.slice(dropped);
    this.#builder.addAll(records, page.bytes, page.valid);
    for (const failure of page.failures) this.#builder.fail(failure);
    this.#distinct &&= page.distinct;
    this.#cut = page.cut;
    this.#wasCut ||= page.cut;
    return records.length + page.failures.length;
  }

  /** The batch, when there is anything in it; the next one starts empty. */
  take(): RecordBatch | undefined {
    const distinct = this.#distinct;
    this.#distinct = true;
    this.#cut = false;
    const gathered = this.#builder.take();
    if (gathered === undefined) return undefined;
    const { items: records, ...rest } = gathered;
    return { records, cursor: this.position === null ? null : storeCursor(STORE, this.position), distinct, ...rest };
  }
}
