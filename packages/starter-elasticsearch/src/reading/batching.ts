import {
  BatchBuilder,
  type GatheredBatch,
  type JsonValue,
  type P2PRecord,
  type P2PValue,
  type ReadFailure,
  type ReadOptions,
  TaggedValue,
} from "@omni/p2p-core/starter";

/** Characters in a page, at most. */
const LARGEST_PAGE_SIZE = 1.5 * 2 ** 20;
/** Documents in the first page, when nothing is known of their size. */
const FIRST_PAGE = 500;

/** What limits the pages of a read. */
export function pageLimits({ batchSize, batchBytes }: ReadOptions): { firstSize: number; pageSize: number } {
  const pageSize = Math.min(batchBytes ?? LARGEST_PAGE_SIZE, LARGEST_PAGE_SIZE);
  return { firstSize: Math.min(batchSize, FIRST_PAGE), pageSize };
}

/** A batch of records, or of documents. */
export interface Batch<Item> extends GatheredBatch<Item> {
  readonly cursor: JsonValue;
  /** Of each item; absent where none needs one. */
  readonly locators?: readonly (JsonValue | undefined)[];
}

/** Gathers items until they make a batch. A position is where one of them stands in the read. */
export class PositionedBatches<Item, Position> {
  readonly #builder: BatchBuilder<Item>;
  readonly #cursorOf: (position: Position) => JsonValue;
  #position: Position | undefined;
  #count = 0;
  #locators: (JsonValue | undefined)[] | undefined;

  constructor(options: ReadOptions, cursorOf: (position: Position) => JsonValue) {
    this.#builder = new BatchBuilder(options);
    this.#cursorOf = cursorOf;
  }

  /** The size of a value in a page of this size: an estimate is good enough while the whole page fits. */
  sizeIn(page: { readonly size: number; readonly hits: { readonly length: number } }, value: P2PValue): number {
    return page.size <= this.#builder.limitBytes / 2 ? page.size / page.hits.length : sizeOf(value);
  }

  /** The batch that has to go before an item of this size can be taken, if there is one. */
  before(size: number): Batch<Item> | undefined {
    return this.#builder.hasRoomFor(size) ? undefined : this.end();
  }

  add(item: Item, size: number, valid = false, locator?: JsonValue): void {
    this.#builder.add(item, size, valid);
    if (locator !== undefined) this.#locators ??= new Array(this.#count).fill(undefined);
    this.#locators?.push(locator);
    this.#count++;
  }

  fail(failure: ReadFailure): void {
    this.#builder.fail(failure);
  }

  /** Everything up to here has been seen, whether it became an item or not. */
  passed(position: Position): void {
    this.#position = position;
  }

  /** What is left. */
  end(): Batch<Item> | undefined {
    if (this.#position === undefined) return undefined;
    const batch = this.#builder.take();
    const locators = this.#locators;
    this.#count = 0;
    this.#locators = undefined;
    return batch && { ...batch, cursor: this.#cursorOf(this.#position), ...(locators && { locators }) };
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
