import { idKey, kindOrder, type P2PId, type P2PValue } from "@omni/p2p-core/starter";
import type { Database } from "better-sqlite3";
import { isInt64, literal, quote, type SqlValue } from "../client/sql.ts";
import type { Column } from "../client/table.ts";
import { type ColumnKind, SIDECAR } from "../types.ts";
import { decodeNoted, decoders } from "../values/decode.ts";
import { storeDate } from "../values/own-values.ts";
import { readSidecar } from "../values/sidecar.ts";
import { sortKey } from "./sort-key.ts";

/** The value of a field by which a row with a sidecar is sorted. */
const ORDER = "p2p_order";
/** The kind of a row's id: ids of several kinds are sorted by kind first. */
const ID_KIND = "p2p_id_kind";

/** The value of a field as bytes in the one order of values. */
const SORT_KEY = "p2p_sort_key";

/** A text as the bytes of its UTF-8, which sort by code point. */
const CODE_POINTS = "p2p_code_points";

/** Connections that have the functions. */
const served = new WeakSet<Database>();

/**
 * Adds the functions with which rows are sorted by values that are in their sidecars. SQLite asks them only about
 * rows that have one.
 */
export function addSortFunctions(db: Database): void {
  if (served.has(db)) return;
  served.add(db);
  const options = { deterministic: true, safeIntegers: true };
  db.function(ORDER, options, (sidecar: SqlValue, field: SqlValue, cell: SqlValue) => {
    const value = noted(sidecar, field, cell);
    return value === undefined ? cell : sortable(value, field === "id");
  });
  db.function(SORT_KEY, options, (sidecar: SqlValue, field: SqlValue, cell: SqlValue, kind: SqlValue) => {
    const plain = plainCell(cell);
    const value = noted(sidecar, field, cell);
    return sortKey(value !== undefined ? value : (decoders[kind as ColumnKind]?.(plain) ?? plain));
  });
  db.function(CODE_POINTS, options, (cell: SqlValue) => (typeof cell === "string" ? Buffer.from(cell) : cell));
  db.function(ID_KIND, options, (sidecar: SqlValue, plain: SqlValue) => {
    const id = noted(sidecar, "id", null);
    return id === undefined ? plain : kindOrder(id);
  });
}

function noted(text: SqlValue, field: SqlValue, cell: SqlValue): P2PValue | undefined {
  const sidecar = typeof text === "string" ? readSidecar(text) : undefined;
  if (sidecar === undefined) return undefined;
  const type = sidecar.types.get(field as string);
  if (type !== undefined && cell !== null) return decodeNoted(type, plainCell(cell));
  return Object.hasOwn(sidecar.values, field as string) ? sidecar.values[field as string] : undefined;
}

/** An integer as it is read from a table. */
function plainCell(cell: SqlValue): SqlValue {
  return typeof cell === "bigint" && Number.isSafeInteger(Number(cell)) ? Number(cell) : cell;
}

function sortable(value: P2PValue, isId: boolean): SqlValue {
  switch (typeof value) {
    case "string":
      return value;
    case "number":
      return Number.isNaN(value) ? null : value;
    case "bigint":
      return isInt64(value) ? value : Number(value);
    case "boolean":
      return Number(value);
    default:
      if (value instanceof Date) return isId ? value.getTime() : storeDate(value);
      if (value instanceof Uint8Array) return value;
      return isId ? idKey(value as P2PId) : null;
  }
}

/** A cell, or what the sidecar has in its place. */
export function cellOrNoted(column: Column): string {
  const cell = quote(column.name);
  const sidecar = quote(SIDECAR);
  return `CASE WHEN ${sidecar} IS NULL THEN ${cell} ELSE ${ORDER}(${sidecar}, ${literal(column.field)}, ${cell}) END`;
}

/** The value of a column, in the one order of values. @param noted whether rows may have a sidecar. */
export function sortedValue(column: Column, noted: boolean): string {
  const sidecar = noted ? quote(SIDECAR) : "NULL";
  return `${SORT_KEY}(${sidecar}, ${literal(column.field)}, ${quote(column.name)}, ${literal(column.kind)})`;
}

/** An expression that sorts by code point, in a file whose own texts do not. */
export function byCodePoint(expression: string): string {
  return `${CODE_POINTS}(${expression})`;
}

/** The kind of a row's id. */
export function idKind(column: Column): string {
  const plain = kindOrder(column.kind === "text" ? "" : 0);
  return `CASE WHEN ${quote(SIDECAR)} IS NULL THEN ${plain} ELSE ${ID_KIND}(${quote(SIDECAR)}, ${plain}) END`;
}
