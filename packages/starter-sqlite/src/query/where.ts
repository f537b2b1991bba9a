import { matches, type P2PId, type QueryCondition } from "@omni/p2p-core/starter";
import { quote, type Sql, type SqlValue } from "../client/sql.ts";
import type { Table } from "../client/table.ts";
import { SIDECAR } from "../types.ts";
import { cellCondition, NEVER, type Translation } from "./where-cell.ts";
import { idCondition } from "./where-id.ts";

/** A `where` as far as SQL can say it. */
export interface Filter {
  /** Finds every row that may match; `undefined` finds all. */
  readonly sql: Sql | undefined;
  /**
   * Which of the rows found must still be held to the core's `matches`: none, those with a sidecar, or all.
   */
  readonly check: "none" | "sidecar" | "all";
}

const EVERYTHING: Filter = { sql: undefined, check: "none" };
/** Most values that go into one statement; SQLite takes 32,766. */
const MAX_PARAMS = 30_000;

/** Says a `where` in SQL, with exactly the meaning of the core's `matches`. */
export function translateWhere(table: Table, conditions: readonly QueryCondition[]): Filter {
  if (conditions.length === 0) return EVERYTHING;
  const texts: string[] = [];
  const params: SqlValue[] = [];
  let check: Filter["check"] = table.own ? "sidecar" : "none";
  for (const condition of conditions) {
    const translation = translate(table, condition);
    if (!translation.exact) check = "all";
    if (translation.sql === undefined) continue;
    if (params.length + translation.sql.params.length > MAX_PARAMS) {
      check = "all";
      continue;
    }
    texts.push(`(${translation.sql.text})`);
    params.push(...translation.sql.params);
  }
  return { sql: texts.length === 0 ? undefined : { text: texts.join(" AND "), params }, check };
}

function translate(table: Table, condition: QueryCondition): Translation {
  if (condition.field === "id") return idCondition(table, condition);
  const column = table.columns.find(({ field }) => field === condition.field);
  if (column === undefined) return absentField(table, condition);
  const translation = cellCondition(quote(column.name), column, condition);
  if (!table.own || translation.sql === undefined) return translation;
  // What a cell holds that the sidecar speaks for is not the value, or not of its type.
  const spokenFor = `${quote(SIDECAR)} IS NOT NULL AND instr(${quote(SIDECAR)}, ?)`;
  const { text, params } = translation.sql;
  const sql = { text: `(${text}) OR (${spokenFor})`, params: [...params, JSON.stringify(condition.field)] };
  return { ...translation, sql };
}

/** A condition on a field that has no column: the same for all rows, but for those whose sidecar has the field. */
function absentField(table: Table, condition: QueryCondition): Translation {
  if (matches([condition], { id: "" as P2PId })) return { sql: undefined, exact: true };
  return { sql: table.own ? { text: `${quote(SIDECAR)} IS NOT NULL`, params: [] } : NEVER, exact: true };
}
