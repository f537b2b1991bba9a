import { P2PError, type P2PRecord, type P2PValue, type ValueType, valueType } from "@omni/p2p-core/starter";
import { OWN_TYPES, SIDECAR } from "../types.ts";
import { foldName, quote } from "./sql.ts";
import type { SqliteStore } from "./store.ts";
import { ROWID_WORDS, type Table } from "./table.ts";

/** SQLite's limit is 2,000; a few are left for what must be selected beside them. */
const MAX_COLUMNS = 1990;

/** The columns for the fields of some records: which have a value in all of them, and which only in some. */
interface FieldTypes {
  readonly always: ReadonlyMap<string, string>;
  readonly sometimes: ReadonlyMap<string, string>;
}

/** The declared type for values of these kinds: none if no single type carries them all. */
export function declaredType(types: ReadonlySet<ValueType>): string {
  const declared = new Set([...types].filter((type) => type !== "null").map((type) => OWN_TYPES[type as "string"]));
  return declared.size === 1 ? [...declared][0]! : "";
}

function fieldTypes(records: readonly P2PRecord[]): FieldTypes {
  const found = new Map<string, { count: number; types: Set<ValueType> }>();
  for (const record of records) {
    for (const field of Object.keys(record)) {
      const value = record[field];
      if (value === undefined || field === "id") continue;
      const entry = found.get(field) ?? { count: 0, types: new Set() };
      found.set(field, entry);
      entry.count++;
      entry.types.add(valueType(value));
    }
  }
  const always = new Map<string, string>();
  const sometimes = new Map<string, string>();
  for (const [field, { count, types }] of found) {
    (count === records.length ? always : sometimes).set(field, declaredType(types));
  }
  return { always, sometimes };
}

/** Whether a field can have a column of its own beside those that are there. */
function canBeColumn(field: string, taken: ReadonlySet<string>, own: boolean): boolean {
  if (field.includes("\0") || taken.size >= MAX_COLUMNS || taken.has(foldName(field))) return false;
  // One name of the rowid is kept free, since all rows are found by it.
  return !own || foldName(field) !== "_rowid_";
}

/** Whether a table that is there can get a column for a field: SQLite does not let a name of the rowid be taken later. */
export function canBeAdded(field: string, taken: ReadonlySet<string>, own = true): boolean {
  return canBeColumn(field, taken, own) && !ROWID_WORDS.some((word) => word === foldName(field));
}

/** The names of columns, as SQLite tells them apart. */
export function takenNames(table: Table): Set<string> {
  const names = new Set(table.columns.map(({ name }) => foldName(name)));
  if (table.own) names.add(SIDECAR);
  return names;
}

/**
 * The SQL of a new table for some records. NULL means null in the columns before the sidecar, which are for fields
 * that all of these records have, and absent in those after it. So neither records with all fields nor records with
 * few of many need a word in the sidecar, and a column can be added without touching the rows that are there.
 */
export function createTableSql(name: string, records: readonly P2PRecord[]): string {
  const { always, sometimes } = fieldTypes(records);
  const taken = new Set(["id", SIDECAR]);
  const columns = (fields: ReadonlyMap<string, string>): string[] =>
    [...fields].flatMap(([field, type]) => {
      if (!canBeColumn(field, taken, true)) return [];
      taken.add(foldName(field));
      return [`${quote(field)} ${type}`.trimEnd()];
    });
  const before = columns(always);
  const list = [
    `"id" ${idType(records)} PRIMARY KEY NOT NULL`,
    ...before,
    `${quote(SIDECAR)} TEXT`,
    ...columns(sometimes),
  ];
  return `CREATE TABLE main.${quote(name)} (${list.join(", ")})`;
}

/**
 * The SQL of an index that holds just the rows with a sidecar, in the order of their rowids: it takes nothing for the
 * others, and tells at once whether any row of a page has one.
 */
export function sidecarIndexSql(name: string): string {
  const sidecar = quote(SIDECAR);
  return `CREATE INDEX IF NOT EXISTS main.${quote(`${SIDECAR}_${name}`)} ON ${quote(name)} ((${sidecar} IS NOT NULL)) WHERE ${sidecar} IS NOT NULL`;
}

/** The type of the column `id` of a new table. See own-ids.ts for what the three kinds of id column hold. */
function idType(records: readonly P2PRecord[]): "INTEGER" | "BIGINT" | "TEXT" {
  if (records.every(({ id }) => typeof id === "number" && Number.isSafeInteger(id))) return "INTEGER";
  return records.every(({ id }) => typeof id === "bigint") ? "BIGINT" : "TEXT";
}

/** The SQL that adds columns for the fields of these records that have none. Empty when there are none to add. */
export function addColumnsSql(table: Table, records: readonly P2PRecord[]): string[] {
  const known = new Set(table.columns.map(({ field }) => field));
  const types = new Map<string, Set<ValueType>>();
  for (const record of records) {
    for (const field of Object.keys(record)) {
      const value: P2PValue | undefined = record[field];
      if (value === undefined || field === "id" || known.has(field)) continue;
      const set = types.get(field) ?? new Set();
      types.set(field, set.add(valueType(value)));
    }
  }
  const taken = takenNames(table);
  return [...types].flatMap(([field, set]) => {
    if (!canBeAdded(field, taken, table.own)) return [];
    taken.add(foldName(field));
    return [`ALTER TABLE main.${quote(table.name)} ADD COLUMN ${quote(field)} ${declaredType(set)}`.trimEnd()];
  });
}

/** Sets a target to the journal mode and the care that its options name. */
export function setPragmas({ db, endpoint }: SqliteStore): void {
  const { journalMode, synchronous, foreignKeys } = endpoint.options;
  db.pragma(`foreign_keys = ${foreignKeys === "off" ? "OFF" : "ON"}`);
  if (journalMode !== "keep") db.pragma(`journal_mode = ${journalMode}`);
  db.pragma(`synchronous = ${synchronous}`);
}

/** Makes sure that a table can be written. @throws P2PError `TARGET_NOT_WRITABLE` */
export function assertWritable(table: Table, label: string): void {
  if (table.type === "table") return;
  throw new P2PError(
    "TARGET_NOT_WRITABLE",
    `${label} cannot be written: "${table.name}" is a ${table.type === "view" ? "view" : "virtual table"}; name a table`,
  );
}
