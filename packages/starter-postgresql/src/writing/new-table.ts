/** Making tables, and columns for new fields. */
import { getField, type P2PRecord, type P2PValue } from "@omni/p2p-core/starter";
import { literal, qualified, quote } from "../client/sql.ts";
import type { Table } from "../client/table.ts";
import { SIDECAR, SIDECAR_MARK } from "../types.ts";
import { isColumnName } from "../values/column-names.ts";
import type { OwnIdType } from "../values/own-ids.ts";
import { ownTypeFor } from "../values/own-values.ts";

/**
 * Columns of a table of ours at most. PostgreSQL has 1,600, but a row must fit into a page of 8 kB, in which a text that is
 * kept elsewhere still takes 18 bytes: so any record of strings can be written.
 */
const MOST_COLUMNS = 400;

/**
 * The SQL of a new table for some records. NULL means null in the columns before the sidecar, which are for fields that all of these
 * records have, and absent in those after it. So neither records with all fields nor records with few of many need a word in the
 * sidecar, and a column can be added without touching the rows that are there.
 */
export function createTableSql(name: string, records: readonly P2PRecord[]): string {
  const always: string[] = [];
  const sometimes: string[] = [];
  let left = MOST_COLUMNS;
  for (const [field, values] of valuesByField(records, new Set(["id"]))) {
    const type = columnType(field, values);
    if (type === undefined || left-- <= 0) continue;
    (values.length === records.length ? always : sometimes).push(`${quote(field)} ${type}`);
  }
  const columns = [`"id" ${idType(records)} PRIMARY KEY`, ...always, `${quote(SIDECAR)} json`, ...sometimes];
  return `CREATE TABLE ${name} (${columns.join(", ")}); ${markSql(name)}`;
}

/** The SQL that marks a new table as one of ours. */
export function markSql(name: string): string {
  return `COMMENT ON COLUMN ${name}.${quote(SIDECAR)} IS ${literal(SIDECAR_MARK)}`;
}

/** The SQL that adds columns for the fields of these records that have none; `undefined` when there are none to add. */
export function addColumnsSql(table: Table, records: readonly P2PRecord[]): string | undefined {
  const known = new Set(["id", ...table.columns.map(({ field }) => field)]);
  const names = new Set(table.columns.map(({ name }) => name));
  let left = MOST_COLUMNS - table.columns.length;
  const parts: string[] = [];
  for (const [field, values] of valuesByField(records, known)) {
    const type = names.has(field) ? undefined : columnType(field, values);
    if (type === undefined || left-- <= 0) continue;
    parts.push(`ADD COLUMN IF NOT EXISTS ${quote(field)} ${type}`);
  }
  return parts.length === 0 ? undefined : `ALTER TABLE ${qualified(table)} ${parts.join(", ")}`;
}

/** What these records have in fields that are not known. */
function valuesByField(records: readonly P2PRecord[], known: ReadonlySet<string>): Map<string, P2PValue[]> {
  const found = new Map<string, P2PValue[]>();
  for (const record of records) {
    for (const field of Object.keys(record)) {
      if (known.has(field)) continue;
      const value = getField(record, field);
      if (value === undefined) continue;
      const values = found.get(field);
      if (values === undefined) found.set(field, [value]);
      else values.push(value);
    }
  }
  return found;
}

/** Nothing but null has no type: a column comes with the first value. */
function columnType(field: string, values: readonly P2PValue[]): string | undefined {
  return isColumnName(field) ? ownTypeFor(values) : undefined;
}

function idType(records: readonly P2PRecord[]): string {
  const type: OwnIdType = records.every(({ id }) => isInteger(id)) ? "bigint" : "text";
  return type === "bigint" ? "bigint" : 'text COLLATE "C"';
}

function isInteger(id: P2PRecord["id"]): boolean {
  return typeof id === "bigint" ? BigInt.asIntN(64, id) === id : typeof id === "number" && Number.isSafeInteger(id);
}
