import { idKey, type P2PId, type P2PValue, type QueryCondition } from "@omni/p2p-core/starter";
import { quote } from "../client/sql.ts";
import type { Column, Table } from "../client/table.ts";
import { SIDECAR } from "../types.ts";
import { idCandidates, mayBeMissed } from "./id-candidates.ts";
import { cellCondition, NEVER, negate, type Translation } from "./where-cell.ts";

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
  const candidates = idCandidates(table);
  const keys = ids.filter((id) => id !== null).flatMap((id) => candidates.keysOf(idKey(id as P2PId)));
  if (ids.some((id) => id !== null && mayBeMissed(table, idKey(id as P2PId)))) return { sql: undefined, exact: false };
  if (keys.length === 0) return { sql: NEVER, exact: true };
  return { sql: candidates.condition(keys), exact: candidates.exact };
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
