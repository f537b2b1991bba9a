/** Kinds of column: which values of JavaScript the cells of a type are. */
import type { Column } from "../client/table.ts";
import { baseOf, isTextType } from "../values/decode.ts";

/** What kind of values a column has; `tag` for all that comes tagged, or as text where the endpoint says so. */
export type ColumnKind =
  | "boolean"
  | "integer"
  | "float"
  | "decimal"
  | "text"
  | "bytes"
  | "time"
  | "json"
  | "array"
  | "tag";

const KINDS: Readonly<Record<string, ColumnKind>> = {
  bool: "boolean",
  int2: "integer",
  int4: "integer",
  int8: "integer",
  oid: "integer",
  float4: "float",
  float8: "float",
  numeric: "decimal",
  bytea: "bytes",
  timestamp: "time",
  timestamptz: "time",
  json: "json",
  jsonb: "json",
  vector: "array",
};

/** The name of the type under all domains. */
export function typeNameOf({ type }: Pick<Column, "type">): string {
  return baseOf(type).name;
}

export function kindOf(column: Pick<Column, "type">): ColumnKind {
  const base = baseOf(column.type);
  if (base.kind === "array") return "array";
  if (isTextType(base)) return "text";
  return (base.kind === "base" && KINDS[base.name]) || "tag";
}

/** Types whose strings the server compares as they are, and by which an index is found. */
const PLAIN_TEXTS: ReadonlySet<string> = new Set(["text", "varchar"]);

/** Whether a column is of plain texts: no padding, no folding of case. */
export function isPlainText(column: Pick<Column, "type">): boolean {
  return PLAIN_TEXTS.has(typeNameOf(column));
}

/**
 * A column's strings, just as they are read, in the order of their code points. A column of which that is the own order is named
 * as it is, so that an index is found by it.
 *
 * @param cell the column, quoted.
 */
export function textInOrder(cell: string, column: Pick<Column, "type" | "byCodePoint">): string {
  if (isPlainText(column)) return column.byCodePoint ? cell : `${cell} COLLATE "C"`;
  // A cast would drop the spaces that fill it up.
  if (typeNameOf(column) === "bpchar") return `${outputText(cell)} COLLATE "C"`;
  return `${cell}::pg_catalog.text COLLATE "C"`;
}

/** The text of a cell just as it is read; NULL for NULL, of which `format` alone makes an empty text. */
export function outputText(cell: string): string {
  return `(CASE WHEN ${cell} IS NOT NULL THEN pg_catalog.format('%s', ${cell}) END)`;
}
