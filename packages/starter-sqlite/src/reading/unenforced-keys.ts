import { P2PError, type ReadFailure } from "@omni/p2p-core/starter";
import { allOf, bound, type KeyValue, mark, quote, type Sql, whereClause } from "../client/sql.ts";
import type { SqliteStore } from "../client/store.ts";
import type { Relation } from "../query/relation.ts";

/**
 * The rows of a view or a query whose key is NULL, one failure each. Nothing else can be said of them: they have no
 * position in the order by which pages are read.
 */
export function keylessRows(store: SqliteStore, { table, from }: Relation, where: Sql | undefined): ReadFailure[] {
  const isNull: Sql = {
    text: `(${table.key.columns.map(({ column }) => `${quote(column.name)} IS NULL`).join(" OR ")})`,
    params: [],
  };
  const condition = allOf([isNull, where]);
  const count = store
    .values(`SELECT count(*) FROM ${from.text}${whereClause(condition)}`)
    .get(...from.params, ...(condition?.params ?? [])) as number;
  const columns = table.key.columns.map(({ column }) => `"${column.name}"`).join(", ");
  return Array.from({ length: count }, (_, index) => ({
    id: `a row without a key (${index + 1} of ${count})`,
    error: new P2PError(
      "INVALID_RECORD",
      `${store.endpoint.label}: a row of "${table.name}" is NULL in its key (${columns}), so it names no record`,
    ),
  }));
}

/**
 * Makes sure that the key which the user named is unique, at least where it matters: rows that share the key of the
 * last row of a page would be lost.
 *
 * @throws P2PError `READ_FAILED`
 */
export function assertUniqueKeys(store: SqliteStore, { table, from }: Relation, key: readonly KeyValue[]): void {
  const equal = table.key.columns.map(({ column }, at) => `${quote(column.name)} = ${mark(key[at]!)}`).join(" AND ");
  const count = store
    .values(`SELECT count(*) FROM (SELECT 1 FROM ${from.text} WHERE ${equal} LIMIT 2)`)
    .get(...from.params, ...key.map(bound));
  if (count === 1) return;
  throw new P2PError(
    "READ_FAILED",
    `${store.endpoint.label}: the key of "${table.name}" (${table.key.columns.map(({ column }) => column.name).join(", ")}) ` +
      "is not unique, so rows would be lost; name a unique one by the option key",
  );
}
