import type { ParsedQuery } from "@omni/p2p-core/starter";
import { quote } from "../client/sql.ts";
import type { SqliteStore } from "../client/store.ts";
import { type Column, type KeyColumn, rowidOf, type Table } from "../client/table.ts";
import { SIDECAR } from "../types.ts";
import type { Term } from "./keyset.ts";
import { byCodePoint, cellOrNoted, idKind, sortedValue } from "./sort-functions.ts";

/** A term of an order, and what must be selected to know a row's position in it. */
export interface OrderTerm extends Term {
  readonly source: Column | string;
  /** It is the position of the value's kind: a number. */
  readonly isKind?: boolean;
  /** It is the value as bytes in the one order of values. */
  readonly isKey?: boolean;
}

/**
 * The order that a query names: NULL first when ascending, texts by code point, ties by the key. A field that the
 * table has no column for is the same in all rows, and so has no say.
 */
export function wantedOrder(table: Table, query: ParsedQuery, hasSidecars: boolean): OrderTerm[] {
  const terms: OrderTerm[] = [];
  const seen = new Set<string>();
  for (const { field, direction } of query.orderBy) {
    const descending = direction === "desc";
    if (field === "id") return [...terms, ...keyTerms(table, descending, hasSidecars)];
    const column = table.columns.find((candidate) => candidate.field === field);
    if (column === undefined || seen.has(field)) continue;
    seen.add(field);
    // Without a sidecar the values of a column are of one kind, or sort by kind as SQLite sorts them; but not lists and objects.
    if (hasSidecars || column.kind === "json") {
      terms.push({ ...expressionTerm(sortedValue(column, hasSidecars), descending), isKey: true });
    } else terms.push({ ...columnTerm(column, descending), nullable: !column.notNull });
  }
  return [...terms, ...keyTerms(table, false, hasSidecars)];
}

/** Whether any row of a table has a sidecar, whose values must then be looked at to sort rightly. */
export function hasSidecars(store: SqliteStore, table: Table): boolean {
  if (!table.own) return false;
  const sql = `SELECT EXISTS (SELECT 1 FROM main.${quote(table.name)} WHERE ${quote(SIDECAR)} IS NOT NULL)`;
  return store.values(sql).get() === 1;
}

function expressionTerm(expression: string, descending: boolean): OrderTerm {
  return { text: `(${expression}) COLLATE BINARY`, descending, nullable: false, source: expression };
}

function columnTerm(column: Column, descending: boolean): OrderTerm {
  if (!column.byCodePoint) return expressionTerm(byCodePoint(quote(column.name)), descending);
  return { text: `${quote(column.name)} COLLATE BINARY`, descending, nullable: false, source: column };
}

function notedTerm(column: Column, descending: boolean): OrderTerm {
  const cell = cellOrNoted(column);
  return expressionTerm(column.byCodePoint ? cell : byCodePoint(cell), descending);
}

function keyTerms(table: Table, descending: boolean, sidecars: boolean): OrderTerm[] {
  if (sidecars) {
    const [{ column }] = table.key.columns as readonly [KeyColumn];
    const kind = { ...expressionTerm(idKind(column), descending), isKind: true };
    return [kind, notedTerm(column, descending), columnTerm(column, descending)];
  }
  const keys = table.key.columns.map(({ column }) => ({
    ...columnTerm(column, descending),
    nullable: !column.notNull && !table.key.isRowid,
  }));
  if (table.rowid === undefined || table.key.isRowid) return keys;
  // NULL may come more than once in a key that allows it, so that only the rowid tells such rows apart.
  const unique = keys.length > 0 && keys.every(({ nullable }) => !nullable);
  const rowid = rowidOf(table);
  return unique ? keys : [...keys, { text: rowid, descending, nullable: false, source: rowid }];
}
