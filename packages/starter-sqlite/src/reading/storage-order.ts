import { type ParsedQuery, type ReadOptions, type RecordBatch, Yielder } from "@omni/p2p-core/starter";
import { allOf, type KeyValue, quote, type Sql } from "../client/sql.ts";
import type { SqliteStore } from "../client/store.ts";
import type { Table } from "../client/table.ts";
import { decodeCursor, encodeCursor, hasMovingRowids, isAnchor, rowidOfKey, storageOrder } from "../query/cursor.ts";
import { parsePartition } from "../query/partition.ts";
import type { Relation } from "../query/relation.ts";
import { PagedBatches } from "./batching.ts";
import {
  hasSidecarsBetween,
  lastPosition,
  makeScan,
  type Page,
  type PageRequest,
  readPage,
  rowidAt,
  type Scan,
} from "./scan.ts";
import { assertUniqueKeys, keylessRows } from "./unenforced-keys.ts";
import { Windows } from "./windows.ts";

/** Rows read in one go, whatever the batch: so that the process stays awake. */
const SLICE = 1000;

/** Reads in the order of rowids or keys, by keyset: each page is found by one search in the tree of the table. */
export async function* readStorageOrder(
  store: SqliteStore,
  relation: Relation,
  query: ParsedQuery,
  where: Sql | undefined,
  options: ReadOptions,
): AsyncGenerator<RecordBatch> {
  const { table } = relation;
  const { signal } = options;
  const moving = hasMovingRowids(table) && isAnchored(table);
  const order = storageOrder(table);
  const position = isAnchored(table) ? table.key.columns.map((k) => k.column) : order.map(({ text }) => text);
  const loose = table.rowid === undefined && !table.key.unique;
  const keyed: Sql | undefined = loose
    ? { text: table.key.columns.map(({ column }) => `${quote(column.name)} IS NOT NULL`).join(" AND "), params: [] }
    : undefined;
  const made = makeScan(store, relation, query, allOf([keyed, where]), order, position);
  const scan: Scan = table.type === "table" && made.condition === undefined ? { ...made, drawn: new WeakSet() } : made;
  const plain: Scan = scan.plainPlan === undefined ? scan : { ...scan, plan: scan.plainPlan };
  let isPlain = scan.plainPlan !== undefined;
  const windows = new Windows(scan);
  const batch = new PagedBatches(options);
  let left = query.limit;
  let skip = options.after === undefined ? query.offset : 0;
  let after: readonly KeyValue[] | undefined;
  let upTo: readonly KeyValue[] | undefined;
  let last: readonly KeyValue[] | undefined;
  let version: number | undefined;

  /** Finds the way, at first and again when VACUUM has moved the rows in the middle of the read. */
  const orient = (now: number): void => {
    const part = parsePartition(store, table, query.partition);
    const saved = batch.position ?? options.after;
    // Nothing but rows without a key has been told yet.
    const atStart = saved === undefined || (loose && saved === null);
    after = atStart ? part.after : decodeCursor(store, table, saved);
    upTo = part.upTo;
    // Anew where VACUUM has moved the rows: it keeps their order, and nothing of where the last one was.
    last = lastPosition(store, relation, order);
    version = now;
    windows.restart();
  };

  /** Reads a page, and moves on behind it. */
  const step = (now: number): Page => {
    if (version === undefined || (moving && version !== now)) orient(now);
    // Nothing else can be found by an index than the part itself, where there is no condition.
    const hard = scan.condition === undefined ? (upTo ?? last) : upTo;
    const window = windows.next(after, hard);
    // SQL can pass over rows only where every row that it finds is a record.
    const offset = scan.check === "none" && window.whole ? skip : 0;
    const take = skip - offset + Math.min(batch.room, left);
    const limit = scan.check === "none" ? Math.min(SLICE, take) : SLICE;
    const { upTo: end, notIndexed } = window;
    const request: PageRequest = {
      after,
      upTo: end,
      bound: scan.condition === undefined ? undefined : last,
      limit,
      take,
      budget: batch.budget,
      alone: batch.isEmpty,
      offset,
      notIndexed,
      atOnce: scan.check === "none" && batch.mayReadAtOnce(store),
    };
    let page = readPage(isPlain ? plain : scan, request);
    skip -= offset;
    if (page.scanned === 0) return page;
    let position = positionOfPage(scan, request, page);
    if (isPlain && hasSidecarsBetween(scan, after, position)) {
      isPlain = false;
      page = readPage(scan, request);
      position = positionOfPage(scan, request, page);
    } else if (!isPlain && scan.plainPlan !== undefined) {
      // Rows with a sidecar often come together.
      isPlain = page.sidecars === 0;
    }
    after = position;
    if (loose) assertUniqueKeys(store, relation, position);
    batch.position = encodeCursor(table, position, moving ? page.position : undefined, now);
    return page;
  };

  if (loose && options.after === undefined) {
    const failures = await store.patiently("read", signal, () => keylessRows(store, relation, where));
    if (failures.length > 0) yield { records: [], failures, cursor: null };
  }
  const yielder = new Yielder();
  while (left > 0) {
    const page = await store.patiently("read", signal, () => store.snapshot(step));
    const dropped = Math.min(skip, page.records.length);
    skip -= dropped;
    left -= batch.add(page, dropped);
    const over = page.ended && windows.isLast;
    if (page.ended && !over) after = windows.leave();
    if (batch.isFull || left <= 0 || over) {
      const ready = batch.take();
      if (ready !== undefined) yield ready;
    }
    if (over) return;
    await yielder.yieldIfDue();
    signal.throwIfAborted();
  }
}

/** Whether a row's key leads back to it. A table without rowids is in the order of its key in any case. */
function isAnchored(table: Table): boolean {
  return table.key.columns.length > 0 && (table.key.searchable || table.rowid === undefined);
}

/** The order's values of the last row of a page. */
function positionOfPage(scan: Scan, request: PageRequest, page: Page): readonly KeyValue[] {
  const { store, relation } = scan;
  const { table } = relation;
  if (!hasMovingRowids(table) || !isAnchored(table)) return page.position;
  const found = page.position.every(isAnchor) ? rowidOfKey(store, table, page.position) : undefined;
  return [found ?? rowidAt(scan, request, page.scanned - 1)!];
}
