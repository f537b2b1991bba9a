import {
  type JsonValue,
  type P2PRecord,
  type P2PValue,
  type ReadFailure,
  type ReadOptions,
  type RecordBatch,
  TaggedValue,
} from "@omni/p2p-core";

/** Characters in a batch where the caller does not say, and in a page at most. */
const DEFAULT_BATCH_SIZE = 16 * 2 ** 20;
const LARGEST_PAGE_SIZE = 2 * 2 ** 20;
/** Documents in the first page, when nothing is known of their size. */
const FIRST_PAGE = 500;

/** What limits the pages of a read. */
export function pageLimits({ batchSize, batchBytes }: ReadOptions): { firstSize: number; pageSize: number } {
  const pageSize = Math.min(batchBytes ?? LARGEST_PAGE_SIZE, LARGEST_PAGE_SIZE);
  return { firstSize: Math.min(batchSize, FIRST_PAGE), pageSize };
}

/** Gathers records until they make a batch. */
export class BatchBuilder {
  readonly #most: number;
  readonly #largest: number;
  #records: P2PRecord[] = [];
  #failures: ReadFailure[] = [];
  #size = 0;
  #cursor: JsonValue | undefined;

  constructor({ batchSize, batchBytes }: ReadOptions) {
    this.#most = batchSize;
    this.#largest = batchBytes ?? DEFAULT_BATCH_SIZE;
  }

  /** The size of a record in a page of this size: an estimate is good enough while the whole page fits. */
  sizeIn(page: { readonly size: number; readonly hits: { readonly length: number } }, record: P2PRecord): number {
    return page.size <= this.#largest / 2 ? page.size / page.hits.length : sizeOf(record);
  }

  /** The batch that has to go before a record of this size can be taken, if there is one. */
  before(size: number): RecordBatch | undefined {
    const full = this.#records.length >= this.#most;
    const large = this.#records.length > 0 && this.#size + size > this.#largest;
    return full || large ? this.end() : undefined;
  }

  add(record: P2PRecord, size: number): void {
    this.#records.push(record);
    this.#size += size;
  }

  fail(failure: ReadFailure): void {
    this.#failures.push(failure);
  }

  /** Everything up to here has been seen, whether it became a record or not. */
  passed(cursor: JsonValue): void {
    this.#cursor = cursor;
  }

  /** What is left. */
  end(): RecordBatch | undefined {
    if (this.#cursor === undefined || this.#records.length + this.#failures.length === 0) return undefined;
    const batch: RecordBatch = {
      records: this.#records,
      cursor: this.#cursor,
      bytes: Math.round(this.#size),
      ...(this.#failures.length > 0 ? { failures: this.#failures } : {}),
    };
    this.#records = [];
    this.#failures = [];
    this.#size = 0;
    return batch;
  }
}

/** About how many characters a value has as JSON. */
function sizeOf(value: P2PValue | undefined): number {
  switch (typeof value) {
    case "string":
      return value.length + 2;
    case "object":
      break;
    default:
      return 8;
  }
  if (value === null) return 4;
  if (value instanceof Uint8Array) return value.length * 1.4;
  if (value instanceof Date) return 26;
  if (value instanceof TaggedValue) return 20 + sizeOf(value.value);
  let size = 2;
  if (Array.isArray(value)) for (const item of value as readonly P2PValue[]) size += sizeOf(item) + 1;
  else for (const key of Object.keys(value)) size += key.length + 4 + sizeOf((value as P2PRecord)[key]);
  return size;
}
