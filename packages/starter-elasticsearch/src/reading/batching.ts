import {
  type JsonValue,
  type P2PRecord,
  type P2PValue,
  type ReadFailure,
  type ReadOptions,
  TaggedValue,
} from "@omni/p2p-core/starter";

/** Characters in a batch where the caller does not say, and in a page at most. */
const DEFAULT_BATCH_SIZE = 16 * 2 ** 20;
const LARGEST_PAGE_SIZE = 1.5 * 2 ** 20;
/** Documents in the first page, when nothing is known of their size. */
const FIRST_PAGE = 500;

/** What limits the pages of a read. */
export function pageLimits({ batchSize, batchBytes }: ReadOptions): { firstSize: number; pageSize: number } {
  const pageSize = Math.min(batchBytes ?? LARGEST_PAGE_SIZE, LARGEST_PAGE_SIZE);
  return { firstSize: Math.min(batchSize, FIRST_PAGE), pageSize };
}

/** A batch of records, or of documents. */
export interface Batch<Item> {
  readonly items: Item[];
  readonly cursor: JsonValue;
  readonly failures: readonly ReadFailure[];
  readonly bytes: number;
  readonly valid: boolean;
}

/** Gathers items until they make a batch. A position is where one of them stands in the read. */
export class BatchBuilder<Item, Position> {
  readonly #most: number;
  readonly #largest: number;
  readonly #cursorOf: (position: Position) => JsonValue;
  #items: Item[] = [];
  #failures: ReadFailure[] = [];
  #size = 0;
  #valid = true;
  #position: Position | undefined;

  constructor({ batchSize, batchBytes }: ReadOptions, cursorOf: (position: Position) => JsonValue) {
    this.#most = batchSize;
    this.#largest = batchBytes ?? DEFAULT_BATCH_SIZE;
    this.#cursorOf = cursorOf;
  }

  /** The size of a value in a page of this size: an estimate is good enough while the whole page fits. */
  sizeIn(page: { readonly size: number; readonly hits: { readonly length: number } }, value: P2PValue): number {
    return page.size <= this.#largest / 2 ? page.size / page.hits.length : sizeOf(value);
  }

  /** The batch that has to go before an item of this size can be taken, if there is one. */
  before(size: number): Batch<Item> | undefined {
    const full = this.#items.length >= this.#most;
    const large = this.#items.length > 0 && this.#size + size > this.#largest;
    return full || large ? this.end() : undefined;
  }

  add(item: Item, size: number, valid = false): void {
    this.#items.push(item);
    this.#size += size;
    this.#valid &&= valid;
  }

  fail(failure: ReadFailure): void {
    this.#failures.push(failure);
  }

  /** Everything up to here has been seen, whether it became an item or not. */
  passed(position: Position): void {
    this.#position = position;
  }

  /** What is left. */
  end(): Batch<Item> | undefined {
    if (this.#position === undefined || this.#items.length + this.#failures.length === 0) return undefined;
    const batch: Batch<Item> = {
      items: this.#items,
      cursor: this.#cursorOf(this.#position),
      bytes: Math.round(this.#size),
      failures: this.#failures,
      valid: this.#valid,
    };
    this.#items = [];
    this.#failures = [];
    this.#size = 0;
    this.#valid = true;
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
