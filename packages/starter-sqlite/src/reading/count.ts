import { type P2PQuery, parseQuery, Yielder } from "@omni/p2p-core/starter";
import { allOf, type SqlValue, whereClause } from "../client/sql.ts";
import type { SqliteStore } from "../client/store.ts";
import { storageOrder } from "../query/cursor.ts";
import { rowsAfter, rowsUpTo } from "../query/keyset.ts";
import { nativeCondition, parseNative } from "../query/native-query.ts";
import { parsePartition } from "../query/partition.ts";
import { openRelation } from "../query/relation.ts";
import { makeScan } from "./scan.ts";
import { readStorageOrder } from "./storage-order.ts";
import { Windows } from "./windows.ts";

/** How many records a query gives. */
export async function countRecords(
  store: SqliteStore,
  tableName: string,
  query: P2PQuery,
  signal: AbortSignal,
): Promise<number> {
  signal.throwIfAborted();
  const parsed = parseQuery(query);
  const native = parseNative(parsed);
  const relation = await store.patiently("read", signal, () => openRelation(store, tableName, native));
  const where = nativeCondition(native);
  const order = storageOrder(relation.table);
  const scan = makeScan(
    store,
    relation,
    { ...parsed, fields: [] },
    where,
    order,
    order.map(({ text }) => text),
  );
  let total = 0;
  if (scan.check !== "none") {
    // Only looking at the records can tell.
    const all = { ...parsed, fields: [], orderBy: [], offset: 0, limit: Number.POSITIVE_INFINITY };
    const batches = readStorageOrder(store, relation, all, where, { batchSize: 5000, signal });
    for await (const { records, failures } of batches) total += records.length + (failures?.length ?? 0);
  } else {
    const part = await store.patiently("read", signal, () => parsePartition(store, relation.table, parsed.partition));
    const windows = new Windows(scan);
    const yielder = new Yielder();
    let after = part.after;
    for (;;) {
      total += await store.patiently("read", signal, () => {
        const window = windows.next(after, part.upTo);
        const range = [after && rowsAfter(order, after), window.upTo && rowsUpTo(order, window.upTo)];
        const condition = allOf([...range, scan.condition]);
        const hint = window.notIndexed || relation.table.strangeIndexes ? " NOT INDEXED" : "";
        const sql = `SELECT count(*) FROM ${relation.from.text}${hint}${whereClause(condition)}`;
        const params: SqlValue[] = [...relation.from.params, ...(condition?.params ?? [])];
        return store.values(sql).get(...params) as number;
      });
      if (windows.isLast) break;
      after = windows.leave();
      await yielder.yieldIfDue();
      signal.throwIfAborted();
    }
  }
  return Math.min(parsed.limit, Math.max(0, total - parsed.offset));
}
