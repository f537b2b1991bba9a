import { decodeJson, idKey, type P2PId, type P2PValue, type QueryCondition } from "@omni/p2p-core/starter";
import { isInt64, quote, type Sql, type SqlValue } from "../client/sql.ts";
import type { Column, Table } from "../client/table.ts";
import { SIDECAR } from "../types.ts";
import { storeId } from "../values/own-ids.ts";
import { cellCondition, equalCell, NEVER, negate, type Translation } from "./cell-query.ts";

/** A condition on the identity of a record, where equality goes by its canonical text. */
export function idCondition(table: Table, condition: QueryCondition): Translation {
  const { operator, value } = condition;
  switch (operator) {
    case "eq":
      return sameId(table, [value]);
    case "in":
      return sameId(table, value as readonly P2PValue[]);
    case "ne":
      return negate(sameId(table, [value]));
    case "exists":
      return value === true ? { sql: undefined, exact: true } : { sql: NEVER, exact: true };
    case "gt":
    case "gte":
    case "lt":
    case "lte":
    case "prefix":
      return compareId(table, condition);
  }
}

function sameId(table: Table, ids: readonly P2PValue[]): Translation {
  const texts = ids.filter((id) => id !== null).map((id) => idKey(id as P2PId));
  if (texts.length === 0) return { sql: NEVER, exact: true };
  const [first] = table.key.columns;
  if (table.own) {
    const { name, kind } = first!.column;
    return { sql: oneOf([{ side: quote(name), values: texts.map((text) => storeId(kind, text)) }]), exact: true };
  }
  if (first === undefined) {
    const rowids = texts.map(integerOf).filter((rowid) => rowid !== undefined);
    return { sql: rowids.length === 0 ? NEVER : oneOf([{ side: table.rowid!, values: rowids }]), exact: true };
  }
  if (table.key.columns.length > 1) return sameCompositeId(table, texts);
  const cells = cellsWithText(first.column, texts);
  const side = table.key.searchable ? cells.side : `${cells.side} COLLATE BINARY`;
  return { sql: oneOf([{ ...cells, side }]), exact: false };
}

interface Candidates {
  readonly side: string;
  readonly values: readonly SqlValue[];
}

function oneOf(candidates: readonly Candidates[]): Sql {
  return {
    text: candidates.map(({ side, values }) => `${side} IN (${values.map(() => "?").join(", ")})`).join(" AND "),
    params: candidates.flatMap(({ values }) => values),
  };
}

/** Every cell whose value may have one of these canonical texts. */
function cellsWithText(column: Column, texts: readonly string[]): Candidates {
  const values: SqlValue[] = [];
  for (const text of texts) {
    values.push(text);
    const integer = integerOf(text);
    if (integer !== undefined) values.push(integer);
    else if (text !== "" && Number.isFinite(Number(text))) values.push(Number(text));
    if (column.kind === "boolean" && (text === "true" || text === "false")) values.push(text === "true" ? 1 : 0);
    if (/^([0-9a-f]{2})*$/.test(text)) values.push(new Uint8Array(Buffer.from(text, "hex")));
  }
  return { side: quote(column.name), values };
}

function integerOf(text: string): bigint | undefined {
  if (!/^-?\d{1,19}$/.test(text)) return undefined;
  const integer = BigInt(text);
  return isInt64(integer) ? integer : undefined;
}

const MAX_ALTERNATIVES = 200;

/** The id of a composite key is the JSON text of its values. */
function sameCompositeId(table: Table, texts: readonly string[]): Translation {
  const { columns } = table.key;
  // SQLite limits how deep an expression may be.
  if (texts.length > MAX_ALTERNATIVES) return { sql: undefined, exact: false };
  const options: Sql[] = [];
  for (const text of texts) {
    const parts = parseCompositeId(text);
    if (parts?.length !== columns.length) continue;
    const sides = columns.map(({ column }, at) => equalCell(quote(column.name), column, [parts[at]!]).sql);
    options.push({
      text: `(${sides.map((side) => `(${side!.text})`).join(" AND ")})`,
      params: sides.flatMap((side) => side!.params),
    });
  }
  if (options.length === 0) return { sql: NEVER, exact: true };
  const sql = { text: options.map(({ text }) => text).join(" OR "), params: options.flatMap(({ params }) => params) };
  return { sql, exact: false };
}

/** The key values that the id of a composite key stands for; `undefined` when the text is none. */
export function parseCompositeId(text: string): readonly P2PValue[] | undefined {
  if (text[0] !== "[") return undefined;
  try {
    const parts = decodeJson(text);
    return Array.isArray(parts) ? (parts as readonly P2PValue[]) : undefined;
  } catch {
    return undefined;
  }
}

function compareId(table: Table, condition: QueryCondition): Translation {
  const { columns } = table.key;
  if (columns.length > 1) return { sql: undefined, exact: false };
  if (columns.length === 0) return cellCondition(table.rowid!, ROWID_COLUMN, condition);
  const { column } = columns[0]!;
  const translation = cellCondition(quote(column.name), column, condition);
  if (!table.own || translation.sql === undefined) return translation;
  const text = `(${translation.sql.text}) OR ${quote(SIDECAR)} IS NOT NULL`;
  return { ...translation, sql: { ...translation.sql, text } };
}

/** The rowid as if it were a column. */
const ROWID_COLUMN: Column = {
  name: "rowid",
  declared: "INTEGER",
  kind: "integer",
  affinity: "integer",
  notNull: true,
  generated: false,
  optional: false,
  byCodePoint: true,
  field: "id",
};
