import type { WriteMode } from "@omni/p2p-core/starter";
import { powerOfTwo, quote } from "../client/sql.ts";
import type { Table } from "../client/table.ts";
import { SIDECAR } from "../types.ts";
import type { Shape } from "./table-shape.ts";

/** Parameters of one statement that are worth their while; more rows gain nothing, or lose. */
const PARAMS = 256;
const MAX_ROWS = 32;

/** How many parameters one record takes. */
export function paramsOf(shape: Shape): number {
  return shape.columns.length + Number(shape.writesRowid) + Number(shape.writesSidecar);
}

/**
 * How many records of a shape go into one statement: a power of two, so that fewer are written by few statements of
 * half the size and less. Triggers are watched one record at a time.
 */
export function rowsPerStatement(table: Table, shape: Shape): number {
  if (table.hasTriggers) return 1;
  return powerOfTwo(Math.min(MAX_ROWS, PARAMS / Math.max(1, paramsOf(shape))));
}

/** The statement that writes so many records of a shape. */
export function insertSql(table: Table, shape: Shape, mode: WriteMode, rows: number): string {
  const name = `${mode} ${rows}`;
  const known = shape.statements.get(name);
  if (known !== undefined) return known;
  const sql = makeInsertSql(table, shape, mode, rows);
  shape.statements.set(name, sql);
  return sql;
}

function makeInsertSql(table: Table, shape: Shape, mode: WriteMode, rows: number): string {
  const names = shape.columns.map(({ name }) => quote(name));
  if (shape.writesRowid) names.unshift(table.rowid!);
  if (shape.writesSidecar) names.push(quote(SIDECAR));
  const tuple = `(${names.map(() => "?").join(", ")})`;
  const tuples = Array.from({ length: rows }, () => tuple).join(", ");
  // OR ABORT takes back what a table's own ON CONFLICT clauses would do: to drop rows without a word, for one.
  const insert = `INSERT OR ABORT INTO main.${quote(table.name)} (${names.join(", ")}) VALUES ${tuples}`;
  if (mode === "insert") return insert;
  const target = table.key.columns.map(({ column, collation }) =>
    collation === "BINARY" ? quote(column.name) : `${quote(column.name)} COLLATE ${quote(collation)}`,
  );
  const conflict = `ON CONFLICT (${target.length === 0 ? table.rowid : target.join(", ")})`;
  const keys = new Set(table.key.columns.map(({ column }) => quote(column.name)));
  if (table.key.columns.length === 0) keys.add(table.rowid!);
  // A key in another collation may be spelled otherwise ("A", "a"), and the new record has its own spelling.
  const spelled = table.key.columns.some(({ collation }) => collation !== "BINARY");
  const updated = names.filter((name) => spelled || !keys.has(name));
  if (mode === "skip" || updated.length === 0) return `${insert} ${conflict} DO NOTHING`;
  return `${insert} ${conflict} DO UPDATE SET ${updated.map((name) => `${name} = excluded.${name}`).join(", ")}`;
}
