import type { Database } from "better-sqlite3";
import { type Affinity, affinityOf, CHANGES_MARK, type ColumnKind, kindOf, SIDECAR } from "../types.ts";
import { foldName, quote } from "./sql.ts";

/** One column that can be read. */
export interface Column {
  readonly name: string;
  /** Its type as declared, for messages. */
  readonly declared: string;
  readonly kind: ColumnKind;
  readonly affinity: Affinity;
  readonly notNull: boolean;
  /** Computed by SQLite: it is read but never written. */
  readonly generated: boolean;
  /** In a table of ours: whether NULL means that the field is absent, and not that it is null. */
  readonly optional: boolean;
  /** Whether SQLite compares its texts by code point, as the library does: not so in files of UTF-16. */
  readonly byCodePoint: boolean;
  /** The field of a record that it is. The same as its name, but for a column `id` that is not the key. */
  readonly field: string;
}

/** One column of a key, in the order and the collation of the index that keeps it unique. */
export interface KeyColumn {
  readonly column: Column;
  readonly collation: string;
  readonly descending: boolean;
}

/** What names the rows of a table. */
export interface TableKey {
  /** Empty when a row is named by its rowid alone. */
  readonly columns: readonly KeyColumn[];
  /** Whether the key column is the rowid itself (`INTEGER PRIMARY KEY`). */
  readonly isRowid: boolean;
  /** Whether the schema says that no two rows share it. */
  readonly unique: boolean;
  /** Whether a row can be looked up by it: not so where its index has a collation that this process lacks. */
  readonly searchable: boolean;
}

/** A table, a view or a query, as far as reading and writing must know it. */
export interface Table {
  readonly name: string;
  readonly type: "table" | "view" | "virtual" | "query";
  /** Whether this starter created it: it has a sidecar. */
  readonly own: boolean;
  readonly strict: boolean;
  /** All but the sidecar. */
  readonly columns: readonly Column[];
  readonly key: TableKey;
  /** Columns beside the key that no two rows share. */
  readonly uniques: readonly (readonly KeyColumn[])[];
  readonly withoutRowid: boolean;
  /** Whether an index has a collation that this process lacks: SQLite must be told to leave all of them alone. */
  readonly strangeIndexes: boolean;
  /** How SQL calls the rowid, where there is one and no column has taken all of its names. */
  readonly rowid: string | undefined;
  /** Whether a trigger may do something else than what was asked. Those that fill a journal of changes do not. */
  readonly hasTriggers: boolean;
}

/** How the rowid is selected, whatever else stands after FROM. */
export function rowidOf(table: Table): string {
  return `${quote(table.name)}.${table.rowid}`;
}

interface TableListRow {
  readonly name: string;
  readonly type: string;
  readonly wr: number;
  readonly strict: number;
}

interface ColumnRow {
  readonly cid: number;
  readonly name: string;
  readonly type: string;
  readonly notnull: number;
  readonly pk: number;
  readonly hidden: number;
}

interface IndexRow {
  readonly name: string;
  readonly unique: number;
  readonly origin: string;
  readonly partial: number;
}

interface IndexColumnRow {
  readonly cid: number;
  readonly name: string | null;
  readonly desc: number;
  readonly coll: string;
  readonly key: number;
}

interface SchemaRow {
  readonly name: string;
  readonly type: string;
  readonly sql: string | null;
}

/** Tables that a module of virtual tables keeps for itself, by the ends of their names. */
const SHADOWS: Readonly<Record<string, readonly string[]>> = {
  fts3: ["content", "segdir", "segments", "docsize", "stat"],
  fts4: ["content", "segdir", "segments", "docsize", "stat"],
  fts5: ["data", "idx", "content", "docsize", "config"],
  rtree: ["node", "parent", "rowid"],
  rtree_i32: ["node", "parent", "rowid"],
  geopoly: ["node", "parent", "rowid"],
};

const VIRTUAL = /^\s*CREATE\s+VIRTUAL\s+TABLE\b[\s\S]*?\bUSING\s+["'`[]?(\w+)/i;

/**
 * The names of all tables and views that are the user's. They come from the schema alone: SQLite's own list looks into
 * every view, where one is enough to make it take for ever.
 */
export function tableNames(db: Database): { name: string; type: string }[] {
  const rows = db
    .prepare<[], SchemaRow>(
      "SELECT name, type, sql FROM main.sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
    )
    .all();
  const shadows = new Set<string>();
  for (const { name, sql } of rows) {
    const module = VIRTUAL.exec(sql ?? "")?.[1]?.toLowerCase();
    for (const end of SHADOWS[module ?? ""] ?? []) shadows.add(foldName(`${name}_${end}`));
  }
  return rows
    .filter(({ name, sql }) => !shadows.has(foldName(name)) && !isOfChanges(sql))
    .map(({ name, type, sql }) => ({ name, type: type === "table" && VIRTUAL.test(sql ?? "") ? "virtual" : type }));
}

/** Whether something in the schema was made by `changes enable`, by its SQL. */
export function isOfChanges(sql: string | null): boolean {
  return sql?.includes(CHANGES_MARK) === true;
}

/** Whether a table was made by `changes enable`. */
export function isTableOfChanges(db: Database, name: string): boolean {
  const sql = db.prepare("SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE");
  return isOfChanges((sql.pluck().get(name) as string | null | undefined) ?? null);
}

/** What the schema says of one table. */
function findTable(db: Database, name: string): TableListRow | undefined {
  const found = db
    .prepare<[string], SchemaRow>(
      "SELECT name, type, sql FROM main.sqlite_schema WHERE type IN ('table', 'view') AND name = ? COLLATE NOCASE",
    )
    .get(name);
  if (found === undefined) return undefined;
  const sql = found.sql ?? "";
  const type = found.type === "table" && VIRTUAL.test(sql) ? "virtual" : found.type;
  if (type !== "table") return { name: found.name, type, wr: 0, strict: 0 };
  // Under the name of a table without rowids there is its primary key.
  const wr = db.prepare("SELECT 1 FROM pragma_index_info(?, 'main')").get(found.name) === undefined ? 0 : 1;
  return { name: found.name, type, wr, strict: isStrict(sql) ? 1 : 0 };
}

/** Whether STRICT stands among the options behind the last parenthesis of a table's SQL. */
function isStrict(sql: string): boolean {
  const plain = sql.replace(/"[^"]*"|'[^']*'|`[^`]*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?(\*\/|$)/g, " ");
  return /\bSTRICT\b/i.test(plain.slice(plain.lastIndexOf(")") + 1));
}

/**
 * Looks at a table; `undefined` when there is none of that name.
 *
 * @param keyOption the columns that the user says are the key.
 * @returns with `key.unique` false when the key named is not known to be unique.
 */
export function describeTable(db: Database, name: string, keyOption?: readonly string[]): Table | undefined {
  const found = findTable(db, name);
  if (found === undefined) return undefined;
  const rows = db.prepare<[string], ColumnRow>("SELECT * FROM pragma_table_xinfo(?) WHERE hidden <> 1").all(found.name);
  const strict = found.strict === 1;
  const sidecarAt = rows.findIndex((row) => row.name === SIDECAR && row.type.toUpperCase() === "TEXT");
  const own = sidecarAt >= 0 && rows.some((row) => row.name === "id" && row.pk === 1);
  const byCodePoint = comparesByCodePoint(db);
  const columns = rows
    .filter((_, at) => !own || at !== sidecarAt)
    .map((row) => makeColumn(row, own, strict, own && rows.indexOf(row) > sidecarAt, byCodePoint));
  const indexes = uniqueIndexes(db, found.name, columns);
  const strange = strangeCollations(db, found.name);
  const key = chooseKey(rows, columns, indexes, found.wr === 1, keyOption);
  const named = nameFields(columns, key);
  return {
    name: found.name,
    type: found.type === "view" || found.type === "virtual" ? found.type : "table",
    own,
    strict,
    columns: named,
    key: {
      ...key,
      searchable: key.columns.every(({ collation }) => !strange.has(collation)),
      columns: key.columns.map((part) => ({ ...part, column: sameColumn(named, part.column) })),
    },
    uniques: indexes
      .filter((index) => !index.primary && index.constraint && index.columns !== key.columns)
      .map((index) => index.columns),
    withoutRowid: found.wr === 1,
    strangeIndexes: strange.size > 0,
    rowid: found.wr === 1 || found.type === "view" ? undefined : rowidWord(rows, key),
    hasTriggers:
      db
        .prepare(
          "SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE AND instr(sql, ?) = 0 LIMIT 1",
        )
        .get(found.name, CHANGES_MARK) !== undefined,
  };
}

/** Collations of a table's indexes that only the program which made them has. */
function strangeCollations(db: Database, table: string): Set<string> {
  const used = db
    .prepare<[string], { coll: string }>(
      "SELECT DISTINCT x.coll FROM pragma_index_list(?) AS l, pragma_index_xinfo(l.name) AS x WHERE x.coll IS NOT NULL",
    )
    .all(table);
  return new Set(used.map(({ coll }) => coll).filter((coll) => !isKnownCollation(coll)));
}

/** SQLite's own list of collations names those too that a schema mentions and nobody has made. */
export function isKnownCollation(name: string): boolean {
  return ["BINARY", "NOCASE", "RTRIM"].includes(name.toUpperCase());
}

/** Whether the file keeps its texts as UTF-8, whose bytes sort by code point. */
export function comparesByCodePoint(db: Database): boolean {
  return db.pragma("encoding", { simple: true }) === "UTF-8";
}

function sameColumn(columns: readonly Column[], wanted: Column): Column {
  return columns.find(({ name }) => name === wanted.name)!;
}

function rowidWord(rows: readonly ColumnRow[], key: TableKey): string | undefined {
  if (key.isRowid) return quote(key.columns[0]!.column.name);
  return ROWID_WORDS.find((word) => !rows.some((row) => foldName(row.name) === word));
}

/** The names of the rowid, each of which a column may take for itself. */
export const ROWID_WORDS = ["rowid", "_rowid_", "oid"] as const;

function makeColumn(row: ColumnRow, own: boolean, strict: boolean, optional: boolean, byCodePoint: boolean): Column {
  return {
    name: row.name,
    declared: row.type,
    // The id of a table of ours follows rules of its own: see own-ids.ts.
    kind: own && row.name === "id" && row.type.toUpperCase() === "INTEGER" ? "integer" : kindOf(row.type, own, strict),
    affinity: affinityOf(row.type, strict),
    notNull: row.notnull === 1,
    generated: row.hidden === 2 || row.hidden === 3,
    optional,
    byCodePoint,
    field: row.name,
  };
}

interface UniqueIndex {
  readonly primary: boolean;
  /** Whether it comes from a UNIQUE of the table, and not from a CREATE UNIQUE INDEX. */
  readonly constraint: boolean;
  readonly columns: readonly KeyColumn[];
}

/** The indexes on whole columns of all rows that allow no duplicates. */
function uniqueIndexes(db: Database, table: string, columns: readonly Column[]): UniqueIndex[] {
  const indexes = db.prepare<[string], IndexRow>("SELECT * FROM pragma_index_list(?)").all(table);
  return indexes
    .filter((index) => index.unique === 1 && index.partial === 0)
    .flatMap((index) => {
      const parts = db
        .prepare<[string], IndexColumnRow>("SELECT * FROM pragma_index_xinfo(?) WHERE key = 1 ORDER BY seqno")
        .all(index.name);
      const keyed = parts.map((part) => {
        const column = columns.find(({ name }) => name === part.name);
        return column && { column, collation: part.coll, descending: part.desc === 1 };
      });
      return keyed.every((part) => part !== undefined)
        ? [{ primary: index.origin === "pk", constraint: index.origin === "u", columns: keyed }]
        : [];
    });
}

function chooseKey(
  rows: readonly ColumnRow[],
  columns: readonly Column[],
  indexes: readonly UniqueIndex[],
  withoutRowid: boolean,
  keyOption: readonly string[] | undefined,
): TableKey {
  const primary = rows.filter((row) => row.pk > 0).sort((a, b) => a.pk - b.pk);
  const primaryIndex = indexes.find((index) => index.primary);
  // An INTEGER PRIMARY KEY has no index: it is the rowid.
  const isRowid = primary.length === 1 && primaryIndex === undefined && !withoutRowid;
  const named = keyOption ?? (primary.length > 0 ? primary.map((row) => row.name) : undefined);
  if (named === undefined) {
    const index = indexes.find(
      (candidate) => candidate.columns.length === 1 && candidate.columns[0]!.column.name === "id",
    );
    return { columns: index?.columns ?? [], isRowid: false, unique: true, searchable: true };
  }
  // Names that are no columns are told by requireTable, which knows how to call the endpoint.
  const plain = columns
    .filter(({ name }) => named.includes(name))
    .sort((a, b) => named.indexOf(a.name) - named.indexOf(b.name))
    .map((column) => ({ column, collation: "BINARY", descending: false }));
  if (isRowid && named.length === 1 && named[0] === primary[0]!.name)
    return { columns: plain, isRowid, unique: true, searchable: true };
  const index = indexes.find(
    (candidate) =>
      candidate.columns.length === named.length && candidate.columns.every(({ column }) => named.includes(column.name)),
  );
  return { columns: index?.columns ?? plain, isRowid: false, unique: index !== undefined, searchable: true };
}

/** A column `id` that is not the key steps aside, since the field `id` of a record is its identity. */
export function nameFields(columns: readonly Column[], key: TableKey): Column[] {
  const keyIsId = key.columns.length === 1 && key.columns[0]!.column.name === "id";
  if (keyIsId) return [...columns];
  const taken = new Set(columns.map(({ name }) => name));
  let free = "_id";
  while (taken.has(free)) free = `_${free}`;
  return columns.map((column) => (column.name === "id" ? { ...column, field: free } : column));
}
