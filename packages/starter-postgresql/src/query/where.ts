/** Filters: a `where` as far as SQL can say it, with the meaning of the core's `matches`. */
import { idKey, matches, type P2PId, type P2PValue, type QueryCondition } from "@omni/p2p-core/starter";
import { quote } from "../client/sql.ts";
import type { Table } from "../client/table.ts";
import { SIDECAR } from "../types.ts";
import { IdCandidates, type StoredKey } from "./id-candidates.ts";
import { allOf, type Fragment } from "./params.ts";
import { cellCondition, type Dialect, NEVER, negate, type Translation, UNKNOWN } from "./where-cell.ts";

/** A `where` as far as SQL can say it. */
export interface Filter {
  /** Finds every row that may match; `undefined` finds all. */
  readonly sql: Fragment | undefined;
  /** Which of the rows found must still be held to the core's `matches`: none, those with a sidecar, or all. */
  readonly check: "none" | "sidecar" | "all";
}

/** Says a `where` in SQL. */
export function translateWhere(table: Table, conditions: readonly QueryCondition[], dialect: Dialect): Filter {
  if (conditions.length === 0) return { sql: undefined, check: "none" };
  const translations = conditions.map((condition) => translate(table, condition, dialect));
  const exact = translations.every((translation) => translation.exact);
  return {
    sql: allOf(translations.map(({ sql }) => sql)),
    check: !exact ? "all" : table.own ? "sidecar" : "none",
  };
}

const HAS_SIDECAR = `${quote(SIDECAR)} IS NOT NULL`;

function translate(table: Table, condition: QueryCondition, dialect: Dialect): Translation {
  if (condition.field === "id") return idCondition(table, condition, dialect);
  const column = table.columns.find(({ field }) => field === condition.field);
  if (column === undefined) {
    // It is absent of all records, but perhaps of those with a sidecar.
    if (matches([condition], { id: "" })) return { sql: undefined, exact: true };
    return table.own ? { sql: () => HAS_SIDECAR, exact: true } : NEVER;
  }
  return orSidecar(table, cellCondition(quote(column.name), column, condition, dialect));
}

/** What a sidecar says is looked at by `matches`. */
function orSidecar({ own }: Table, { sql, exact }: Translation): Translation {
  if (!own || sql === undefined) return { sql, exact };
  return { sql: (params) => `(${sql(params)}) OR ${HAS_SIDECAR}`, exact };
}

/** A condition on the identity of a record, where equality goes by its canonical text. */
function idCondition(table: Table, condition: QueryCondition, dialect: Dialect): Translation {
  const { operator, value } = condition;
  switch (operator) {
    case "eq":
      return sameId(table, [value]);
    case "in":
      return sameId(table, value as readonly P2PValue[]);
    case "ne":
      return negate(sameId(table, [value]));
    case "exists":
      return value === true ? { sql: undefined, exact: true } : NEVER;
    case "gt":
    case "gte":
    case "lt":
    case "lte":
    case "prefix": {
      const [first, ...others] = table.key.columns;
      if (others.length > 0) return UNKNOWN;
      return orSidecar(table, cellCondition(quote(first!.column.name), first!.column, condition, dialect));
    }
  }
}

function sameId(table: Table, ids: readonly P2PValue[]): Translation {
  const candidates = new IdCandidates(table);
  const keys = ids
    .map((id) => (id === null ? undefined : candidates.keyOf(idKey(id as P2PId))))
    .filter((key): key is StoredKey => key !== undefined);
  return keys.length === 0 ? NEVER : { sql: candidates.condition(keys), exact: candidates.exact };
}
