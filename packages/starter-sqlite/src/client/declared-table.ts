import type { JsonValue, P2PRecord, SourceSchema } from "@omni/p2p-core/starter";
import { affinityOf, SIDECAR } from "../types.ts";
import { createTableSql } from "./schema.ts";
import { quote } from "./sql.ts";
import type { SqliteStore } from "./store.ts";
import { type Column, isKnownCollation, type Table } from "./table.ts";

/** The form of what a table declares, as one SQLite endpoint tells another. */
const FORMAT = "sqlite:table";

/** What is declared of one column. */
interface TwinColumn {
  readonly name: string;
  readonly type: string;
  readonly notNull: boolean;
  /** SQL of a constant. */
  readonly default?: string | undefined;
  /** In a table of ours: whether it stands after the sidecar, where NULL means that the field is absent. */
  readonly optional: boolean;
}

interface TwinKeyColumn {
  readonly name: string;
  readonly descending: boolean;
  readonly collation: string;
}

/** What a table declares, as far as a copy of it is made alike. */
export interface Twin {
  readonly own: boolean;
  readonly strict: boolean;
  readonly withoutRowid: boolean;
  readonly columns: readonly TwinColumn[];
  /** Empty where rows are named by their rowid. */
  readonly key: readonly TwinKeyColumn[];
  /** Whether the key is declared as a unique one and not as the primary key. */
  readonly keyIsUnique: boolean;
  /** Other columns that are unique together. */
  readonly unique: readonly (readonly TwinKeyColumn[])[];
}

/**
 * What a table declares, for a target that is to be made like it: names, types, NOT NULL, constant defaults, the primary
 * key, UNIQUE, STRICT and WITHOUT ROWID.
 *
 * @param fields those that are read; all when `undefined`.
 */
export function schemaOf(store: SqliteStore, table: Table, fields: readonly string[] | undefined): SourceSchema {
  const wanted = fields && new Set(fields);
  const keyNames = new Set(table.key.columns.map(({ column }) => column.name));
  const columns = table.columns.filter(
    ({ name, field }) => wanted === undefined || wanted.has(field) || keyNames.has(name),
  );
  const names = new Set(columns.map(({ name }) => name));
  const defaults = constantDefaults(store, table.name);
  const declaredKey = store
    .values("SELECT name FROM pragma_table_info(?) WHERE pk > 0")
    .all(table.name) as readonly string[];
  const isPrimary = declaredKey.length === keyNames.size && declaredKey.every((name) => keyNames.has(name));
  const twin: Twin = {
    own: table.own,
    strict: table.strict,
    withoutRowid: table.withoutRowid && isPrimary,
    columns: columns.map(({ name, declared, notNull, optional }) => ({
      name,
      type: declared,
      notNull,
      default: defaults.get(name),
      optional,
    })),
    key: table.key.columns.map(keyColumn),
    keyIsUnique: !isPrimary && store.keyOption === undefined,
    unique: table.uniques.map((parts) => parts.map(keyColumn)).filter((parts) => parts.every((p) => names.has(p.name))),
  };
  return {
    format: FORMAT,
    definition: twin as unknown as JsonValue,
    fields: { names: ["id", ...columns.map(({ field }) => field)], complete: !table.own && wanted === undefined },
  };
}

function keyColumn({ column, collation, descending }: Table["key"]["columns"][number]): TwinKeyColumn {
  return { name: column.name, descending, collation };
}

/** What a default may be made of so that it means the same elsewhere. */
const CONSTANT =
  /^(NULL|TRUE|FALSE|CURRENT_(TIME|DATE|TIMESTAMP)|[+-]?\d+(\.\d+)?(e[+-]?\d+)?|'([^']|'')*'|x'([0-9a-f]{2})*')$/i;

/** The defaults of a table's columns that are constants, as SQL. */
export function constantDefaults(store: SqliteStore, table: string): Map<string, string> {
  const rows = store
    .rows("SELECT name, dflt_value FROM pragma_table_xinfo(?) WHERE dflt_value IS NOT NULL")
    .all(table) as { name: string; dflt_value: string }[];
  return new Map(rows.filter((row) => CONSTANT.test(row.dflt_value)).map((row) => [row.name, row.dflt_value]));
}

/** What a source's schema says; `undefined` when it is none of SQLite. */
export function twinOf(schema: SourceSchema | undefined): Twin | undefined {
  return schema?.format === FORMAT ? (schema.definition as unknown as Twin) : undefined;
}

/** The SQL of a new table: like the one that the records come from, or else one for these records. */
export function newTableSql(name: string, records: readonly P2PRecord[], twin: Twin | undefined): string {
  return twin === undefined ? createTableSql(name, records) : twinTableSql(name, twin);
}

/** The SQL of a new table that is like another one. */
function twinTableSql(name: string, twin: Twin): string {
  const before = twin.columns.filter(({ optional }) => !optional);
  const after = twin.columns.filter(({ optional }) => optional);
  const parts = before.map((column) => columnSql(column, twin));
  if (twin.own) parts.push(`${quote(SIDECAR)} TEXT`, ...after.map((column) => columnSql(column, twin)));
  if (twin.key.length > 0 && !twin.own) {
    parts.push(`${twin.keyIsUnique ? "UNIQUE" : "PRIMARY KEY"} (${twin.key.map(keySql).join(", ")})`);
  }
  for (const unique of twin.unique) parts.push(`UNIQUE (${unique.map(keySql).join(", ")})`);
  const options = [...(twin.strict ? ["STRICT"] : []), ...(twin.withoutRowid ? ["WITHOUT ROWID"] : [])];
  return `CREATE TABLE main.${quote(name)} (${parts.join(", ")}) ${options.join(", ")}`.trimEnd();
}

function columnSql(column: TwinColumn, { own, strict }: Twin): string {
  const parts = [quote(column.name), typeSql(column.type, strict)];
  if (own && column.name === "id") parts.push("PRIMARY KEY");
  if (column.notNull) parts.push("NOT NULL");
  if (column.default !== undefined) parts.push(`DEFAULT ${column.default}`);
  return parts.filter((part) => part !== "").join(" ");
}

/** A type's name as it can be written without quotes, as nearly all are. */
const PLAIN_TYPE = /^[a-z_][a-z0-9_]*( [a-z_][a-z0-9_]*)*( ?\( ?[+-]?[a-z0-9_.]+ ?(, ?[+-]?[a-z0-9_.]+ ?)?\))?$/i;
/** Words that would end the type and begin something else. */
const NO_TYPE =
  /\b(AS|CHECK|COLLATE|CONSTRAINT|DEFAULT|DEFERRABLE|FOREIGN|GENERATED|NOT|NULL|ON|PRIMARY|REFERENCES|UNIQUE)\b/i;

function typeSql(type: string, strict: boolean): string {
  if (type === "" || (PLAIN_TYPE.test(type) && !NO_TYPE.test(type))) return type;
  const affinity = affinityOf(type, strict);
  return affinity === "none" ? "BLOB" : affinity.toUpperCase();
}

function keySql({ name, descending, collation }: TwinKeyColumn): string {
  // A collation that is not SQLite's own is another program's, which may not be there where the copy is read.
  const known = isKnownCollation(collation) && collation !== "BINARY" ? ` COLLATE ${collation}` : "";
  return `${quote(name)}${known}${descending ? " DESC" : ""}`;
}

/** Whether a table has the columns of the one that it is a copy of, so that whatever a cell there held fits its own. */
export function isTwin(table: Table, twin: Twin): boolean {
  if (table.own || twin.own || table.type !== "table") return false;
  const declared = new Map(table.columns.map((column) => [column.name, column]));
  return twin.columns.every(({ name, type }) => sameType(declared.get(name), type, twin.strict));
}

function sameType(column: Column | undefined, type: string, strict: boolean): boolean {
  return column !== undefined && column.declared.toUpperCase() === typeSql(type, strict).toUpperCase();
}
