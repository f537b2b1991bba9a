import { foreignCursor, type ParsedQuery, type ReadOptions, type RecordBatch, Yielder } from "@omni/p2p-core/starter";
import { allOf, type KeyValue, type Sql } from "../client/sql.ts";
import type { SqliteStore } from "../client/store.ts";
import { hasMovingRowids, keyToJson, parseValues, storageOrder } from "../query/cursor.ts";
import { rowsAfter, rowsUpTo } from "../query/keyset.ts";
import { hasSidecars, type OrderTerm, wantedOrder } from "../query/order.ts";
import { parsePartition } from "../query/partition.ts";
import type { Relation } from "../query/relation.ts";
import { addSortFunctions } from "../query/sort-functions.ts";
import { STORE } from "../types.ts";
import { PagedBatches } from "./batching.ts";
import { aside, lastPosition, makeScan, type PageRequest, readPage, type Scan } from "./scan.ts";
import { SortedKeys } from "./sorted-keys.ts";
import { keylessRows } from "./unenforced-keys.ts";
import { queryPlan } from "./windows.ts";

/** Rows read in one go. */
const SLICE = 1000;
/** Records up to which each page may sort anew: three pages of the usual size. */
const FEW = 1500;

/**
 * Reads in an order that the query names. Where an index has that order, pages are found in it by keyset. Else the
 * sorted keys are put into a temporary table first, since sorting anew for each page would cost the square of the
 * number of records.
 */
export async function* readSorted(
  store: SqliteStore,
  relation: Relation,
  query: ParsedQuery,
  where: Sql | undefined,
  options: ReadOptions,
): AsyncGenerator<RecordBatch> {
  const { table } = relation;
  const { signal } = options;
  addSortFunctions(store.db);
  const order = await store.patiently("read", signal, () => wantedOrder(table, query, hasSidecars(store, table)));
  const part = await store.patiently("read", signal, () => parsePartition(store, table, query.partition));
  const storage = storageOrder(table);
  // Rows of rowids that VACUUM may change are found wherever they are.
  const last = hasMovingRowids(table)
    ? undefined
    : await store.patiently("read", signal, () => lastPosition(store, relation, storage));
  const range = allOf([
    part.after && rowsAfter(storage, part.after),
    part.upTo && rowsUpTo(storage, part.upTo),
    last && rowsUpTo(storage.map(aside), last),
  ]);
  const sources = order.map(({ source }) => source);
  const scan = makeScan(store, relation, query, allOf([range, where]), order, sources);
  const after = options.after === undefined ? undefined : parseValues(options.after);
  if (options.after !== undefined && (after?.length !== order.length || isOfOldOrder(order, after)))
    throw foreignCursor(STORE);
  const skip = after === undefined ? query.offset : 0;

  if (after === undefined && table.rowid === undefined && !table.key.unique) {
    const failures = await store.patiently("read", signal, () => keylessRows(store, relation, where));
    if (failures.length > 0) yield { records: [], failures, cursor: null };
  }
  const sorts = await store.patiently("read", signal, () =>
    queryPlan(scan, after, undefined).some((detail) => detail.includes("TEMP B-TREE")),
  );
  if (!sorts || query.limit + skip <= FEW) {
    yield* readPages(scan, after, query.limit, skip, options);
    return;
  }
  const keys = await store.patiently("read", signal, () => new SortedKeys(scan, after));
  try {
    const byRank = makeScan(store, keys.relation, query, undefined, keys.order, [...sources, keys.rank]);
    yield* readPages({ ...byRank, condition: undefined }, undefined, query.limit, skip, options);
  } finally {
    keys.drop();
  }
}

/** Cursors of version 0.1 name the kind of an id, since kinds went by their names then, and hold cells: in another order. */
function isOfOldOrder(order: readonly OrderTerm[], after: readonly KeyValue[]): boolean {
  return order.some(
    ({ isKind, isKey }, at) =>
      (isKind && typeof after[at] === "string") || (isKey && !(after[at] instanceof Uint8Array)),
  );
}

/** Reads pages of a scan whose position ends with the values of its order. */
async function* readPages(
  scan: Scan,
  start: readonly KeyValue[] | undefined,
  limit: number,
  offset: number,
  options: ReadOptions,
): AsyncGenerator<RecordBatch> {
  const { store, order, plan } = scan;
  const { signal } = options;
  const batch = new PagedBatches(options);
  const yielder = new Yielder();
  // A position among sorted keys is the query's order, which goes into cursors, and then the rank.
  const ranked = plan.position.length > order.length;
  let after = start;
  let left = limit;
  let skip = offset;
  while (left > 0) {
    const inSql = scan.check === "none" ? skip : 0;
    const take = skip - inSql + Math.min(batch.room, left);
    const request: PageRequest = {
      after,
      upTo: undefined,
      bound: undefined,
      limit: scan.check === "none" ? Math.min(SLICE, take) : SLICE,
      take,
      budget: batch.budget,
      alone: batch.isEmpty,
      offset: inSql,
      notIndexed: false,
      atOnce: false,
    };
    const page = await store.patiently("read", signal, () =>
      store.snapshot(() => readPage(scan, { ...request, atOnce: scan.check === "none" && batch.mayReadAtOnce(store) })),
    );
    skip -= inSql;
    if (page.scanned > 0) {
      after = ranked ? page.position.slice(-1) : page.position;
      batch.position = (ranked ? page.position.slice(0, -1) : page.position).map(keyToJson);
    }
    const dropped = Math.min(skip, page.records.length);
    skip -= dropped;
    left -= batch.add(page, dropped);
    if (batch.isFull || left <= 0 || page.ended) {
      const ready = batch.take();
      if (ready !== undefined) yield ready;
    }
    if (page.ended) return;
    await yielder.yieldIfDue();
    signal.throwIfAborted();
  }
}
