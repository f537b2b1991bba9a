import { P2PError, suggest } from "@omni/p2p-core/starter";
import { quote, type Sql } from "../client/sql.ts";
import type { SqliteStore } from "../client/store.ts";
import {
  type Column,
  comparesByCodePoint,
  nameFields,
  type Table,
  type TableKey,
  tableNames,
} from "../client/table.ts";
import { affinityOf, kindOf } from "../types.ts";
import type { ParsedNative } from "./native-query.ts";

/** What rows are read from. */
export interface Relation {
  readonly table: Table;
  /** What stands after FROM. */
  readonly from: Sql;
}

/**
 * The table or the query that a query reads.
 *
 * @throws P2PError `SOURCE_NOT_FOUND`, `INVALID_ENDPOINT`, `INVALID_QUERY`
 */
export function openRelation(store: SqliteStore, tableName: string, native: ParsedNative | undefined): Relation {
  if (native?.sql !== undefined) return queryRelation(store, native.sql, native);
  const table = requireTable(store, tableName);
  return { table, from: { text: `main.${quote(table.name)}`, params: [] } };
}

/**
 * The table as it is now, checked to be one that can be read.
 *
 * @throws P2PError `SOURCE_NOT_FOUND`, `INVALID_ENDPOINT`
 */
export function requireTable(store: SqliteStore, name: string): Table {
  const { label } = store.endpoint;
  const table = store.table(name);
  if (table === undefined) throw tableMissing(store, name);
  const invalid = (what: string) => new P2PError("INVALID_ENDPOINT", `Invalid endpoint ${label}: ${what}`);
  for (const column of store.keyOption ?? []) {
    if (table.columns.some((candidate) => candidate.name === column)) continue;
    const names = table.columns.map((candidate) => candidate.name);
    throw invalid(`option "key" names "${column}", which is no column of "${name}"${suggest(column, names)}`);
  }
  if (table.type === "view" && table.key.columns.length === 0) {
    throw invalid(`"${name}" is a view, which has no key of its own; name a unique column of it by the option key`);
  }
  if (table.type === "table" && !table.key.unique) {
    const columns = table.key.columns.map(({ column }) => quote(column.name)).join(", ");
    throw invalid(
      `option "key" is not known to be unique; CREATE UNIQUE INDEX … ON ${quote(table.name)} (${columns}) makes it so`,
    );
  }
  if (table.rowid === undefined && table.key.columns.length === 0) {
    throw invalid(`columns of "${name}" have taken all names of the rowid; name a unique column by the option key`);
  }
  return table;
}

/** Says that a table is missing, and which there are. */
function tableMissing(store: SqliteStore, name: string): P2PError {
  const names = tableNames(store.db).map((table) => table.name);
  const known = names.length === 0 ? "the file has none" : `it has ${list(names)}`;
  return new P2PError(
    "SOURCE_NOT_FOUND",
    `There is no table "${name}" in ${store.endpoint.label}${suggest(name, names)}; ${known}`,
  );
}

/** Says that a target's table is missing, and that the option `create` keeps it from being made. */
export function mayNotBeMade(store: SqliteStore, name: string): P2PError {
  return new P2PError(
    "TARGET_NOT_WRITABLE",
    `${tableMissing(store, name).message}. The option create is "never", so it is not made`,
  );
}

const MAX_LISTED = 20;

function list(names: readonly string[]): string {
  const shown = names.slice(0, MAX_LISTED).map((name) => `"${name}"`);
  if (names.length > MAX_LISTED) shown.push(`${names.length - MAX_LISTED} more`);
  return shown.join(", ");
}

/** The table that a source means when it names none: the only one there is. */
export function onlyTable(store: SqliteStore): string {
  const names = tableNames(store.db)
    .filter(({ type }) => type !== "view")
    .map(({ name }) => name);
  if (names.length === 1) return names[0]!;
  const { label } = store.endpoint;
  if (names.length === 0) throw new P2PError("SOURCE_NOT_FOUND", `There are no tables in ${label}; check the path`);
  throw new P2PError(
    "INVALID_ENDPOINT",
    `Invalid endpoint ${label}: it has several tables, so name one by the option table: ${list(names)}`,
  );
}

function queryRelation(store: SqliteStore, sql: string, native: ParsedNative): Relation {
  const invalid = (what: string) => new P2PError("INVALID_QUERY", `Invalid query: native.sqlite.sql ${what}`);
  const text = sql.trim().replace(/;$/, "");
  let columns: Column[];
  try {
    const statement = store.db.prepare(text);
    if (!statement.reader || !statement.readonly) throw invalid("must be a SELECT");
    const byCodePoint = comparesByCodePoint(store.db);
    columns = statement.columns().map(({ name, type }) => makeColumn(name, type ?? "", byCodePoint));
  } catch (error) {
    if (error instanceof P2PError) throw error;
    throw new P2PError("INVALID_QUERY", `Invalid query: native.sqlite.sql: ${(error as Error).message}`, {
      cause: error,
    });
  }
  const names = new Set<string>();
  for (const { name } of columns) {
    if (names.has(name)) throw invalid(`has two columns "${name}"; name one of them otherwise with AS`);
    names.add(name);
  }
  const keyColumns = native.key.map((name) => {
    const column = columns.find((candidate) => candidate.name === name);
    if (column === undefined) throw invalid(`has no column "${name}" for its key; name another by native.sqlite.key`);
    return { column, collation: "BINARY", descending: false };
  });
  const key: TableKey = { columns: keyColumns, isRowid: false, unique: false, searchable: true };
  return {
    table: {
      name: "query",
      type: "query",
      own: false,
      strict: false,
      columns: nameFields(columns, key),
      key,
      uniques: [],
      withoutRowid: false,
      strangeIndexes: false,
      rowid: undefined,
      hasTriggers: false,
    },
    from: { text: `(${text}\n) AS "query"`, params: native.params },
  };
}

function makeColumn(name: string, declared: string, byCodePoint: boolean): Column {
  const kind = kindOf(declared, false, false);
  const affinity = affinityOf(declared, false);
  return {
    name,
    declared,
    kind,
    affinity,
    notNull: false,
    generated: false,
    optional: false,
    byCodePoint,
    field: name,
  };
}
