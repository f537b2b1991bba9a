import {
  isIndivisible,
  type JsonValue,
  type P2PQuery,
  parseQuery,
  partitionBounds,
  storePartition,
  Yielder,
} from "@omni/p2p-core/starter";
import { type KeyValue, quote, type Sql, type SqlValue } from "../client/sql.ts";
import type { SqliteStore } from "../client/store.ts";
import type { Table } from "../client/table.ts";
import { STORE } from "../types.ts";
import { decodeCursor, encodeCursor, hasMovingRowids, storageOrder } from "./cursor.ts";
import { orderClause, rowsAfter, type Term } from "./keyset.ts";
import { parseNative } from "./native-query.ts";
import { openRelation } from "./relation.ts";

/** A part of a table: the rows after one position, up to another. */
export interface Part {
  readonly after: readonly KeyValue[] | undefined;
  readonly upTo: readonly KeyValue[] | undefined;
}

/** The part that a query's `partition` means. */
export function parsePartition(store: SqliteStore, table: Table, partition: JsonValue | undefined): Part {
  const { after = null, upTo = null } = partitionBounds(STORE, partition, ["after", "upTo"]) ?? {};
  const position = (saved: JsonValue) => (saved === null ? undefined : decodeCursor(store, table, saved));
  return { after: position(after), upTo: position(upTo) };
}

/** Rows that are counted off in one go. */
const STRIDE = 10_000;

/**
 * Parts of the table with about the same number of rows, by cursors in its order. A query with an order, an offset or
 * a limit stays whole, and so do views and native SELECTs.
 */
export async function partitionQuery(
  store: SqliteStore,
  tableName: string,
  query: P2PQuery,
  parts: number,
  signal: AbortSignal,
): Promise<readonly P2PQuery[]> {
  signal.throwIfAborted();
  const parsed = parseQuery(query);
  const native = parseNative(parsed);
  const { table, from } = await store.patiently("read", signal, () => openRelation(store, tableName, native));
  if (isIndivisible(parsed, parts) || table.type !== "table") return [query];
  const count = (await store.patiently("read", signal, () =>
    store.values(`SELECT count(*) FROM ${from.text}${table.strangeIndexes ? " NOT INDEXED" : ""}`).get(),
  )) as number;
  const order = storageOrder(table);
  const yielder = new Yielder();
  const cursors: JsonValue[] = [];
  let at: readonly SqlValue[] | undefined;
  let counted = 0;
  for (let part = 1; part < Math.min(parts, count); part++) {
    const goal = Math.floor((count * part) / parts);
    while (counted < goal) {
      const step = Math.min(STRIDE, goal - counted);
      at = await store.patiently("read", signal, () => rowAfter(store, from, order, at, step));
      if (at === undefined) break;
      counted += step;
      await yielder.yieldIfDue();
    }
    if (at === undefined) break;
    if (counted > 0)
      cursors.push(
        await store.patiently("read", signal, () => store.snapshot((version) => cursorAt(store, table, at!, version))),
      );
  }
  const bounds = [null, ...cursors, null];
  return bounds.slice(1).map((upTo, index) => ({
    ...query,
    partition: storePartition(STORE, { after: bounds[index]!, upTo }),
  }));
}

/** The position so many rows after another. */
function rowAfter(
  store: SqliteStore,
  from: Sql,
  order: readonly Term[],
  after: readonly KeyValue[] | undefined,
  step: number,
): SqlValue[] | undefined {
  const range = after && rowsAfter(order, after);
  const sql =
    `SELECT ${order.map(({ text }, index) => `${text} AS k${index}`).join(", ")} FROM ${from.text} NOT INDEXED` +
    `${range === undefined ? "" : ` WHERE ${range.text}`}${orderClause(order)} LIMIT 1 OFFSET ?`;
  const row = store.rows(sql, true).get(...(range?.params ?? []), step - 1);
  return row === undefined ? undefined : order.map((_, index) => row[`k${index}`]!);
}

function cursorAt(store: SqliteStore, table: Table, values: readonly SqlValue[], version: number): JsonValue {
  if (!hasMovingRowids(table)) return encodeCursor(table, values, undefined, version);
  const columns = table.key.columns.map(({ column }, index) => `${quote(column.name)} AS k${index}`);
  if (columns.length === 0 || !table.key.searchable) return encodeCursor(table, values, undefined, version);
  const sql = `SELECT ${columns.join(", ")} FROM main.${quote(table.name)} WHERE ${table.rowid} = ?`;
  const row = store.rows(sql, true).get(...values);
  return encodeCursor(table, values, row && columns.map((_, index) => row[`k${index}`]!), version);
}
