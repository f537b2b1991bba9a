/** The tables of a database: which there are, which one an endpoint means, and whether its rows have names. */
import { P2PError, suggest } from "@omni/p2p-core/starter";
import { type PostgresqlEndpoint, type TableName, tableNameText } from "../endpoint.ts";
import { LEASES } from "../types.ts";
import { type Ask, KINDS } from "./catalogue.ts";
import { qualified, quote } from "./sql.ts";
import type { Table } from "./table.ts";

/** One of the tables and views that the user may have made. */
export interface ListedTable {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** `relkind` of the catalogue. */
  readonly kind: string;
  /** Whether its name alone leads to it. */
  readonly visible: boolean;
}

/** Names that a message tells at most. */
const MOST_LISTED = 20;

/** Schemas of the server's own, and of the sessions' temporary tables. */
const NOT_OWN = "n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'";

/**
 * The tables and views of a database, those of extensions and the partitions of others left out.
 *
 * @param schema the only one to look at, in lower case where there is none as it is written; all of them when `undefined`.
 */
export async function listTables(ask: Ask, schema: string | undefined): Promise<ListedTable[]> {
  const { rows } = await ask(
    `SELECT c.oid::pg_catalog.int8, n.nspname, c.relname, c.relkind, pg_catalog.pg_table_is_visible(c.oid)
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN (${KINDS}) AND NOT c.relispartition AND c.relname <> '${LEASES}' AND ${NOT_OWN}
       AND ($1::pg_catalog.text IS NULL OR n.nspname = coalesce(
         (SELECT s.nspname::pg_catalog.text FROM pg_catalog.pg_namespace s WHERE s.nspname = $1::pg_catalog.text),
         pg_catalog.lower($1::pg_catalog.text)))
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
         AND d.objid = c.oid AND d.deptype = 'e')
     ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`,
    [schema ?? null],
  );
  return rows.map(([oid, nspname, relname, kind, visible]) => ({
    oid: Number(oid),
    schema: nspname!,
    name: relname!,
    kind: kind!,
    visible: visible === "t",
  }));
}

/** The table that a source means when it names none: the only one there is. */
export async function onlyTable(ask: Ask, { label, schema }: PostgresqlEndpoint): Promise<TableName> {
  const all = (await listTables(ask, schema)).filter(({ kind }) => kind !== "v" && kind !== "m");
  const near = schema === undefined ? all.filter(({ visible }) => visible) : all;
  const found = near.length > 0 ? near : all;
  if (found.length === 1) return { schema: found[0]!.schema, name: found[0]!.name };
  if (found.length > 1) {
    throw new P2PError(
      "INVALID_ENDPOINT",
      `Invalid endpoint ${label}: it has several tables, so name one by the option table: ${listed(found)}`,
    );
  }
  if (schema !== undefined) await assertSchema(ask, schema, label);
  throw new P2PError(
    "SOURCE_NOT_FOUND",
    `There are no tables in ${schema === undefined ? "" : `the schema ${JSON.stringify(schema)} of `}${label}; check the database, and that the user may see them`,
  );
}

/** Says that a table is missing, and which there are. */
export async function tableMissing(ask: Ask, name: TableName, { label }: PostgresqlEndpoint): Promise<P2PError> {
  if (name.schema !== undefined) {
    try {
      await assertSchema(ask, name.schema, label);
    } catch (error) {
      return error as P2PError;
    }
  }
  const all = await listTables(ask, undefined);
  const near = all.filter(({ schema, visible }) => (name.schema === undefined ? visible : schema === name.schema));
  const elsewhere = all.filter((table) => !near.includes(table));
  const text = tableNameText(name);
  // A dot that parts nothing, or a schema that was left out.
  const same =
    all.find((table) => table.name === text || `${table.schema}.${table.name}` === text) ??
    elsewhere.find((table) => table.name === name.name);
  const hint =
    same === undefined
      ? suggest(
          name.name,
          near.map((table) => table.name),
        )
      : ` (did you mean ${tableNameText(same)}?)`;
  const known =
    near.length > 0
      ? `there are ${listed(near)}`
      : elsewhere.length > 0
        ? `there are ${listed(elsewhere)}`
        : "there are none";
  return new P2PError("SOURCE_NOT_FOUND", `There is no table ${text} in ${label}${hint}; ${known}`);
}

async function assertSchema(ask: Ask, schema: string, label: string): Promise<void> {
  const { rows } = await ask(
    `SELECT n.nspname, pg_catalog.has_schema_privilege(n.oid, 'USAGE') FROM pg_catalog.pg_namespace n WHERE ${NOT_OWN} ORDER BY n.nspname COLLATE "C"`,
    [],
  );
  const found = rows.find(([name]) => name === schema) ?? rows.find(([name]) => name === schema.toLowerCase());
  if (found?.[1] === "f") {
    throw new P2PError(
      "AUTHENTICATION_FAILED",
      `The user may not look into the schema ${JSON.stringify(schema)} of ${label}; GRANT USAGE ON SCHEMA ${quote(schema)} allows it`,
    );
  }
  if (found !== undefined || /^pg_|^information_schema$/.test(schema)) return;
  const names = rows.map(([name]) => name!);
  throw new P2PError(
    "SOURCE_NOT_FOUND",
    `There is no schema ${JSON.stringify(schema)} in ${label}${suggest(schema, names)}; there are ${names.slice(0, MOST_LISTED).join(", ")}`,
  );
}

/** @throws P2PError `INVALID_ENDPOINT` where nothing names the rows, or the option `key` does not. */
export function assertKeyed(table: Table, { label, key }: PostgresqlEndpoint): void {
  const invalid = (what: string) => new P2PError("INVALID_ENDPOINT", `Invalid endpoint ${label}: ${what}`);
  const name = tableNameText(table);
  for (const column of key ?? []) {
    const names = table.columns.map((candidate) => candidate.name);
    if (!names.includes(column)) {
      throw invalid(`option "key" names "${column}", which is no column of ${name}${suggest(column, names)}`);
    }
  }
  if (table.key.columns.length === 0) {
    const what = table.type === "view" ? "is a view" : table.type === "foreign" ? "is a foreign table" : undefined;
    throw invalid(
      what === undefined
        ? `${name} has no key: give it a PRIMARY KEY, or name columns that are unique by the option key`
        : `${name} ${what}, which has no key of its own; name a unique column of it by the option key`,
    );
  }
  if (!table.key.unique && (table.type === "table" || table.type === "partitioned")) {
    const columns = table.key.columns.map(({ column }) => quote(column.name)).join(", ");
    throw invalid(
      `option "key" is not known to be unique and without NULL; ALTER TABLE ${qualified(table)} ADD PRIMARY KEY (${columns}) makes it so, or CREATE UNIQUE INDEX and SET NOT NULL`,
    );
  }
}

function listed(tables: readonly ListedTable[]): string {
  const shown = tables
    .slice(0, MOST_LISTED)
    .map((table) => tableNameText(table.visible ? { schema: undefined, name: table.name } : table));
  if (tables.length > MOST_LISTED) shown.push(`${tables.length - MOST_LISTED} more`);
  return shown.join(", ");
}
