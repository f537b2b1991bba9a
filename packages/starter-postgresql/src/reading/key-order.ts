/** Reading in the order of the key. */
import {
  BatchBuilder,
  foreignCursor,
  type JsonValue,
  type P2PRecord,
  type ReadOptions,
  type RecordBatch,
  storeCursor,
  Yielder,
} from "@omni/p2p-core/starter";
import type { Row } from "../client/session.ts";
import { boundsError, decodePosition, encodePosition, ownPosition } from "../query/cursor.ts";
import { orderClause, rowsAfter, rowsUpTo, storageOrder } from "../query/keyset.ts";
import { allOf, whereClause } from "../query/params.ts";
import { type Part, parsePartition } from "../query/partition.ts";
import { STORE } from "../types.ts";
import { keysetPages, PageSize } from "./pages.ts";
import { isFailure, type Scan, sizeOf } from "./scan.ts";
import { cursorPages } from "./server-cursor.ts";
import { hasKey, keylessRows, notUnique } from "./unenforced-keys.ts";

/** Bytes in a batch where the reader does not say. */
const BATCH_BYTES = 16 * 1024 * 1024;

export async function* readKeyOrder(scan: Scan, options: ReadOptions): AsyncGenerator<RecordBatch> {
  const { relation, query, plan } = scan;
  const { table } = relation;
  const { signal } = options;
  const part = parsePartition(table, query.partition);
  const after = options.after === undefined ? undefined : positionOf(scan, options.after);
  if (query.limit === 0) return;
  let left = query.limit;
  let skip = after === undefined ? query.offset : 0;
  const builder = new BatchBuilder<P2PRecord>(options, BATCH_BYTES);
  const isStored = table.type === "table" || table.type === "partitioned";
  if (!isStored && after === undefined) {
    for (const failure of await keylessRows(scan, signal)) {
      if (skip-- > 0) continue;
      if (left-- <= 0) return;
      builder.fail(failure);
    }
    skip = Math.max(0, skip);
  }
  const exact = scan.filter.check === "none" && isStored;
  const pages = isStored
    ? keysetPages(scan, {
        after,
        part,
        skip: exact ? skip : 0,
        limit: exact ? left : Number.POSITIVE_INFINITY,
        bytes: builder.limitBytes,
        signal,
      })
    : unsteadyPages(scan, after, part, builder.limitBytes, signal);
  if (exact) skip = 0;
  let cursor: JsonValue = null;
  let last: Row | undefined;
  const yielder = new Yielder();
  const take = (): RecordBatch => {
    if (last !== undefined) cursor = storeCursor(STORE, encodePosition(plan.keyOf(last)));
    const { items: records, ...rest } = builder.take()!;
    return { records, cursor, distinct: plan.distinctIds, ...rest };
  };
  for await (const rows of pages) {
    for (const row of rows) {
      const bytes = sizeOf(row);
      if (!builder.hasRoomFor(bytes)) {
        yield take();
        await yielder.yieldIfDue();
        signal.throwIfAborted();
      }
      last = row;
      const found = scan.find(row);
      if (found === undefined) continue;
      if (skip > 0) {
        skip--;
        continue;
      }
      if (isFailure(found)) builder.fail(found, bytes);
      else builder.add(scan.picked(found), bytes, scan.isValid(found, row));
      if (--left <= 0) break;
    }
    if (left <= 0) break;
    // What is full goes out at once, not when the server has answered again.
    if (builder.isFull) {
      yield take();
      signal.throwIfAborted();
    }
    await yielder.yieldIfDue();
  }
  if (!builder.isEmpty) yield take();
}

function positionOf({ relation: { table } }: Scan, cursor: JsonValue): string[] {
  const cells = decodePosition(table, ownPosition(cursor));
  if (cells === undefined) throw foreignCursor(STORE);
  return cells;
}

/** The rows of a view or a query, which the server may have to work out as a whole: once, and not for each page. */
async function* unsteadyPages(
  scan: Scan,
  after: readonly string[] | undefined,
  part: Part,
  bytes: number,
  signal: AbortSignal,
): AsyncGenerator<readonly Row[]> {
  const { store, relation, plan, filter } = scan;
  const order = storageOrder(relation.table);
  const params = relation.params();
  const start = after ?? part.after;
  const condition = allOf([
    hasKey(scan),
    start && rowsAfter(order, start),
    part.upTo && rowsUpTo(order, part.upTo),
    filter.sql,
  ]);
  const where = whereClause(condition, params);
  const text = `SELECT ${plan.select.join(", ")} FROM ${relation.from}${where}${orderClause(order)}`;
  const size = new PageSize({ bytes: -1, estimatedRows: -1 }, bytes);
  let previous: string | undefined;
  try {
    for await (const rows of cursorPages(store, text, params.list, size, signal)) {
      for (const row of rows) {
        const key = plan.keyOf(row).join("\0");
        if (key === previous) throw notUnique(scan);
        previous = key;
      }
      yield rows;
    }
  } catch (error) {
    throw previous === undefined ? boundsError(error, { after, part }) : error;
  }
}
