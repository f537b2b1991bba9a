/** A new table that is like the one that the records come from. */

import type { DeclaredColumn, DeclaredTable } from "../client/declared-table.ts";
import type { Session } from "../client/session.ts";
import { literal, qualified, quote } from "../client/sql.ts";
import { SIDECAR } from "../types.ts";
import { markSql } from "./new-table.ts";

/**
 * The SQL of a new table that is like another one: names, types, NOT NULL, identity, defaults that mean the same elsewhere, the key,
 * and what is unique. A type that this database does not have (an enum, that of an extension) becomes the one under it, or text.
 *
 * @param name of the table, as SQL.
 */
export async function createDeclaredSql(name: string, table: DeclaredTable, session: Session): Promise<string> {
  const wanted = table.columns.map(typeCandidates);
  const asked = [...new Set(wanted.flat())];
  const known = new Set<string>();
  if (asked.length > 0) {
    const questions = asked.map((type) => `pg_catalog.to_regtype(${literal(type)}) IS NOT NULL`);
    const [answer] = await session.script(`SELECT ${questions.join(", ")}`);
    for (const [at, type] of asked.entries()) if (answer!.rows[0]![at] === "t") known.add(type);
  }
  const sql = (column: DeclaredColumn, at: number) => ({
    optional: column.optional,
    text: columnSql(
      column,
      wanted[at]!.find((type) => known.has(type)),
    ),
  });
  const columns = table.columns.map(sql);
  const parts = [
    ...columns.filter(({ optional }) => !optional),
    ...(table.own ? [{ text: `${quote(SIDECAR)} json` }] : []),
    ...columns.filter(({ optional }) => optional),
  ].map(({ text }) => text);
  const { key } = table;
  if (key.length > 0) parts.push(`${table.keyIsPrimary ? "PRIMARY KEY" : "UNIQUE"} (${list(key)})`);
  for (const unique of table.uniques) parts.push(`UNIQUE (${list(unique)})`);
  return `CREATE TABLE ${name} (${parts.join(", ")})${table.own ? `; ${markSql(name)}` : ""}`;
}

/** Names by which a type that is not built in may be known here. */
function typeCandidates({ typeSchema, typeName, declared }: DeclaredColumn): string[] {
  if (typeSchema === BUILT_IN) return [];
  return [qualified({ schema: typeSchema, name: typeName }), declared.replace(LENGTH, "")];
}

const BUILT_IN = "pg_catalog";
const LENGTH = /\(\d+(?:,-?\d+)?\)/;

function columnSql(column: DeclaredColumn, knownAs: string | undefined): string {
  const isBuiltIn = column.typeSchema === BUILT_IN;
  const type = isBuiltIn
    ? column.declared
    : knownAs === undefined
      ? plainerType(column)
      : `${knownAs}${LENGTH.exec(column.declared)?.[0] ?? ""}`;
  const parts = [quote(column.name), type];
  if (column.collation !== undefined && KNOWN_COLLATIONS.test(column.collation)) {
    parts.push(`COLLATE ${column.collation}`);
  }
  if (column.notNull) parts.push("NOT NULL");
  if (column.identity !== undefined) {
    parts.push(`GENERATED ${column.identity === "always" ? "ALWAYS" : "BY DEFAULT"} AS IDENTITY`);
  } else if (isBuiltIn && column.default !== undefined && CONSTANT.test(column.default)) {
    parts.push(`DEFAULT ${column.default}`);
  }
  return parts.join(" ");
}

function plainerType({ typeKind, base }: DeclaredColumn): string {
  if (typeKind === "array") return "text[]";
  return typeKind === "domain" && base?.schema === BUILT_IN ? qualified(base) : "text";
}

/** Collations that every database has. */
const KNOWN_COLLATIONS = /^"?pg_catalog"?\."?(?:C|POSIX|ucs_basic)"?$/;

/** What a default may be made of so that it means the same elsewhere: no sequence, no function that others have made. */
const CONSTANT =
  /^(?:(?:NULL|true|false|'(?:[^'\\]|'')*'|[+-]?\d+(?:\.\d+)?|\([+-]?\d+(?:\.\d+)?\))(?:::[a-z_ ]+(?:\(\d+(?:,\d+)?\))?(?:\[\])?)?|now\(\)|CURRENT_(?:TIMESTAMP|DATE|TIME)|gen_random_uuid\(\))$/;

function list(names: readonly string[]): string {
  return names.map(quote).join(", ");
}
