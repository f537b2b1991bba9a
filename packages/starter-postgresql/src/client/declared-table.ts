/** What a table declares, as one PostgreSQL endpoint tells another, so that a copy of it is made alike. */
import type { JsonValue, SourceSchema } from "@omni/p2p-core/starter";
import { SIDECAR } from "../types.ts";
import type { Session } from "./session.ts";
import { literal, quote } from "./sql.ts";
import type { Column, Table } from "./table.ts";

const FORMAT = "postgresql:table";

/** What is declared of one column. */
interface DeclaredColumn {
  readonly name: string;
  /** As `format_type` says it. */
  readonly type: string;
  readonly notNull: boolean;
  readonly default?: string;
  readonly identity?: "always" | "byDefault";
  /** Only where texts are compared by code point. */
  readonly collation?: string;
  /** In a table of ours: whether it stands after the sidecar, where NULL means that the field is absent. */
  readonly optional: boolean;
}

/** What a table declares, as far as a copy of it is made alike. */
export interface DeclaredTable {
  readonly own: boolean;
  readonly columns: readonly DeclaredColumn[];
  readonly key: readonly string[];
  readonly keyIsPrimary: boolean;
  readonly uniques: readonly (readonly string[])[];
}

/**
 * What a table declares: names, types, NOT NULL, defaults that mean the same elsewhere, identity, the key and what is unique.
 *
 * @param fields those that are read; all when `undefined`.
 */
export function schemaOf(table: Table, fields: ReadonlySet<string> | undefined): SourceSchema | undefined {
  // A query, or a view, declares no key of its own.
  if (table.type === "query" || table.key.columns.length === 0) return undefined;
  const key = table.key.columns.map(({ column }) => column);
  const columns = table.columns.filter(
    (column) => fields === undefined || fields.has(column.field) || key.includes(column),
  );
  const names = new Set(columns.map(({ name }) => name));
  const declared: DeclaredTable = {
    own: table.own,
    columns: columns.map(declaredColumn),
    key: key.map(({ name }) => name),
    keyIsPrimary: table.key.primary,
    uniques: table.uniques
      .map((unique) => unique.map(({ name }) => name))
      .filter((unique) => unique.every((name) => names.has(name))),
  };
  return {
    format: FORMAT,
    definition: declared as unknown as JsonValue,
    fields: {
      names: [...new Set(["id", ...columns.map(({ field }) => field)])],
      complete: !table.own && fields === undefined,
    },
  };
}

function declaredColumn(column: Column): DeclaredColumn {
  const { name, declared, notNull, identity, collation, optional } = column;
  const constant = column.generated ? undefined : constantDefault(column.default);
  return {
    ...{ name, type: declared, notNull, optional },
    ...(constant !== undefined && { default: constant }),
    ...(identity && { identity }),
    ...(collation !== undefined && KNOWN_COLLATIONS.test(collation) && { collation }),
  };
}

/** Collations that every database has. */
const KNOWN_COLLATIONS = /^"pg_catalog"\."(?:C|POSIX|ucs_basic)"$/;

/** What a default may be made of so that it means the same elsewhere: no sequence, no function that others have made. */
const CONSTANT =
  /^(?:(?:NULL|true|false|'(?:[^'\\]|'')*'|[+-]?\d+(?:\.\d+)?|\([+-]?\d+(?:\.\d+)?\))(?:::[a-z_ ]+(?:\(\d+(?:,\d+)?\))?(?:\[\])?)?|now\(\)|CURRENT_(?:TIMESTAMP|DATE|TIME)|gen_random_uuid\(\))$/;

function constantDefault(text: string | undefined): string | undefined {
  return text !== undefined && CONSTANT.test(text) ? text : undefined;
}

/** What a source's schema says; `undefined` when it is none of PostgreSQL. */
export function declaredOf(schema: SourceSchema | undefined): DeclaredTable | undefined {
  return schema?.format === FORMAT ? (schema.definition as unknown as DeclaredTable) : undefined;
}

/**
 * The SQL of a new table that is like another one. A type that this database does not have (an enum of the other's, that of an
 * extension) becomes text.
 *
 * @param name of the table, as SQL.
 */
export async function createDeclaredSql(name: string, table: DeclaredTable, session: Session): Promise<string> {
  const types = [...new Set(table.columns.map(({ type }) => type))];
  const asked = types.map((type) => `pg_catalog.to_regtype(${literal(bare(type))}) IS NOT NULL`);
  const [answer] = await session.script(`SELECT ${asked.join(", ")}`);
  const isKnown = new Map(types.map((type, at) => [type, answer!.rows[0]![at] === "t"]));
  const sql = (column: DeclaredColumn) => columnSql(column, isKnown.get(column.type) ?? false);
  const before = table.columns.filter(({ optional }) => !optional).map(sql);
  const after = table.columns.filter(({ optional }) => optional).map(sql);
  const parts = [...before, ...(table.own ? [`${quote(SIDECAR)} json`] : []), ...after];
  parts.push(`${table.keyIsPrimary ? "PRIMARY KEY" : "UNIQUE"} (${list(table.key)})`);
  for (const unique of table.uniques) parts.push(`UNIQUE (${list(unique)})`);
  return `CREATE TABLE ${name} (${parts.join(", ")})`;
}

/** Without its lengths, which a search for types would not take in all versions. */
function bare(type: string): string {
  return type.replace(/\(\d+(?:,-?\d+)?\)/, "");
}

function columnSql(column: DeclaredColumn, isKnown: boolean): string {
  const parts = [quote(column.name), isKnown ? column.type : "text"];
  if (column.collation !== undefined) parts.push(`COLLATE ${column.collation}`);
  if (column.notNull) parts.push("NOT NULL");
  if (column.identity !== undefined) {
    parts.push(`GENERATED ${column.identity === "always" ? "ALWAYS" : "BY DEFAULT"} AS IDENTITY`);
  } else if (column.default !== undefined && isKnown) {
    parts.push(`DEFAULT ${column.default}`);
  }
  return parts.join(" ");
}

function list(names: readonly string[]): string {
  return names.map(quote).join(", ");
}
