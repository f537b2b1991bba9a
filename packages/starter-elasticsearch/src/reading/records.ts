import { matches, type P2PRecord, type P2PValue, pickFields, type ReadOptions } from "@omni/p2p-core/starter";
import type { OpenedQuery } from "../query/source-index.ts";
import { decodePage, type Hit, type PageDecoder } from "../values/decode.ts";
import { locators } from "../values/locator.ts";
import { type Batch, PositionedBatches, pageLimits } from "./batching.ts";
import { positionOf, readChanges } from "./change-cursor.ts";
import { type OrderedPosition, readCursor, writeCursor, writeOrderedCursor } from "./cursor.ts";
import { locateOrdered } from "./ordered.ts";
import { wantedFields } from "./wanted-fields.ts";

/** The records of a query that was opened. */
export function readOpened(opened: OpenedQuery, options: ReadOptions): AsyncGenerator<Batch<P2PRecord>> {
  const { orderBy, conditions, fields } = opened.plan.query;
  if (orderBy.length > 0) return readOrdered(opened, options);
  return readUnordered(opened, options, {
    decode: decodePage,
    wanted: conditions.length === 0 ? undefined : (record) => matches(conditions, record),
    finish: (record) => pickFields(record, fields),
    value: (record) => record,
  });
}

/** What is made of the documents that are read. */
export interface ReadForm<Item> {
  readonly decode: PageDecoder<Item>;
  /** Whether one meets the query's conditions; `undefined` when it has none. */
  readonly wanted: ((item: Item) => boolean) | undefined;
  finish(item: Item): Item;
  /** What its size is measured by. */
  value(item: Item): P2PValue;
}

/** In the order of the last change, which is the cheapest of those that outlive a view of the index. */
export async function* readUnordered<Item>(
  opened: OpenedQuery,
  options: ReadOptions,
  { decode, wanted, finish, value }: ReadForm<Item>,
): AsyncGenerator<Batch<Item>> {
  const { query, filter } = opened.plan;
  const after = options.after === undefined ? undefined : readCursor(options.after);
  let skip = after === undefined ? query.offset : 0;
  let left = query.limit;
  const batches = new PositionedBatches<Item, Hit>(options, (hit) => writeCursor(positionOf(hit)));
  const locatorOf = locators(opened);
  const request = {
    filter,
    after,
    source: wantedFields(opened),
    // One more than that: the document of the cursor may come along.
    most: wanted === undefined ? skip + left + 1 : Infinity,
    ...pageLimits(options),
  };
  if (left === 0) return;
  for await (const page of readChanges(opened, request, options.signal, decode)) {
    for (const { hit, item, error } of page.hits) {
      const counts = item === undefined || wanted === undefined || wanted(item);
      if (counts && skip === 0 && left === 0) break;
      if (counts && skip > 0) {
        skip--;
      } else if (counts) {
        left--;
        const size = item === undefined ? 0 : batches.sizeIn(page, value(item));
        const full = batches.before(size);
        if (full !== undefined) yield full;
        if (item === undefined) batches.fail({ id: hit._id, error: error! });
        else batches.add(finish(item), size, page.valid, locatorOf(hit));
      }
      batches.passed(hit);
    }
    if (left === 0) break;
  }
  const last = batches.end();
  if (last !== undefined) yield last;
}

async function* readOrdered(opened: OpenedQuery, options: ReadOptions): AsyncGenerator<Batch<P2PRecord>> {
  const { fields, offset, limit } = opened.plan.query;
  let skip = options.after === undefined ? offset : 0;
  let left = limit;
  const batches = new PositionedBatches<P2PRecord, OrderedPosition>(options, writeOrderedCursor);
  const locatorOf = locators(opened);
  if (left === 0) return;
  for await (const { hit, record, error, size, position } of locateOrdered(opened, wantedFields(opened), options)) {
    if (skip > 0) {
      skip--;
    } else {
      const full = batches.before(size);
      if (full !== undefined) yield full;
      if (record === undefined) batches.fail({ id: hit._id, error: error! });
      else batches.add(pickFields(record, fields), size, false, locatorOf(hit));
      left--;
    }
    batches.passed(position);
    if (left === 0) break;
  }
  const last = batches.end();
  if (last !== undefined) yield last;
}
