/** Partitions: ranges of the key, disjoint and together the whole. */
import {
  foreignPartition,
  isIndivisible,
  type JsonValue,
  type P2PQuery,
  type ParsedQuery,
  partitionBounds,
  storePartition,
} from "@omni/p2p-core/starter";
import type { PostgresqlStore } from "../client/store.ts";
import type { Table } from "../client/table.ts";
import { STORE } from "../types.ts";
import { decodePosition, encodePosition } from "./cursor.ts";
import { orderClause, storageOrder } from "./keyset.ts";
import type { Relation } from "./relation.ts";

/** A part of a table: the rows after one position, up to another. */
export interface Part {
  readonly after: readonly string[] | undefined;
  readonly upTo: readonly string[] | undefined;
}

/** The part that a query's `partition` means. @throws P2PError `INVALID_QUERY` for one of another store or table */
export function parsePartition(table: Table, partition: JsonValue | undefined): Part {
  const { after = null, upTo = null } = partitionBounds(STORE, partition, ["after", "upTo"]) ?? {};
  const position = (saved: JsonValue) => {
    if (saved === null) return undefined;
    const cells = decodePosition(table, saved);
    if (cells === undefined) throw foreignPartition(STORE);
    return cells;
  };
  return { after: position(after), upTo: position(upTo) };
}

/** Bytes of a table up to which all its keys are counted off. */
const SMALL = 64 * 1024 * 1024;
/** Rows of a larger one that are looked at for each part. */
const SAMPLE = 5000;

/**
 * Parts of the table with about the same number of rows. A query with an order, an offset or a limit stays whole, and so do views,
 * foreign tables and native SELECTs.
 */
export async function partitionQuery(
  store: PostgresqlStore,
  { table, from }: Relation,
  query: P2PQuery,
  parsed: ParsedQuery,
  parts: number,
  signal: AbortSignal,
): Promise<readonly P2PQuery[]> {
  const isStored = table.type === "table" || table.type === "partitioned";
  if (isIndivisible(parsed, parts) || !isStored) return [query];
  const isSampled = table.bytes > SMALL && table.estimatedRows > 4 * SAMPLE * parts;
  const share = Math.min(100, (100 * SAMPLE * parts) / Math.max(1, table.estimatedRows));
  let bounds = await boundsOf(
    store,
    table,
    `${from}${isSampled ? ` TABLESAMPLE SYSTEM (${share})` : ""}`,
    parts,
    signal,
  );
  // Statistics may be old, and a sample may have found nothing.
  if (isSampled && bounds.length < parts - 1) bounds = await boundsOf(store, table, from, parts, signal);
  const cursors = [null, ...bounds.map(encodePosition), null];
  return cursors.slice(1).map((upTo, at) => ({
    ...query,
    partition: storePartition(STORE, { after: cursors[at]!, upTo }),
  }));
}

/** The last keys of all parts but the last one. */
async function boundsOf(
  store: PostgresqlStore,
  table: Table,
  from: string,
  parts: number,
  signal: AbortSignal,
): Promise<string[][]> {
  const order = storageOrder(table);
  const keys = order.map(({ text }, at) => `${text} AS k${at}`).join(", ");
  const names = order.map((_, at) => `k${at}`);
  const sorted = order.map((term, at) => ({ ...term, text: `k${at}` }));
  const sql =
    `SELECT ${names.join(", ")} FROM (SELECT ${names.join(", ")}, row_number() OVER (${orderClause(sorted).trim()}) AS n, ` +
    `count(*) OVER () AS c FROM (SELECT ${keys} FROM ${from}) AS "keys") AS "numbered" ` +
    `WHERE n * ${parts} / c > (n - 1) * ${parts} / c AND n < c${orderClause(sorted)}`;
  const { rows } = await store.query("read", signal, sql);
  return (rows as string[][]).slice(0, parts - 1);
}
