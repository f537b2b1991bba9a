/** Keys that nothing enforces: those of views and queries, where a row may lack its key or share it. */
import { P2PError, type ReadFailure } from "@omni/p2p-core/starter";
import { quote } from "../client/sql.ts";
import { allOf, type Fragment, whereClause } from "../query/params.ts";
import { keyless, type Scan } from "./scan.ts";

/** A condition that holds for rows with a key. */
export function hasKey({ relation: { table } }: Scan): Fragment {
  return () => table.key.columns.map(({ column }) => `${quote(column.name)} IS NOT NULL`).join(" AND ");
}

/** The rows of a view or a query whose key is NULL, one failure each: nothing else can be said of them. */
export async function keylessRows(scan: Scan, signal: AbortSignal): Promise<ReadFailure[]> {
  const { store, relation, filter } = scan;
  const params = relation.params();
  const missing: Fragment = () =>
    relation.table.key.columns.map(({ column }) => `${quote(column.name)} IS NULL`).join(" OR ");
  const where = whereClause(allOf([missing, filter.sql]), params);
  const { rows } = await store.query("read", signal, `SELECT count(*) FROM ${relation.from}${where}`, params.list);
  const count = Number(rows[0]![0]);
  return Array.from({ length: count }, (_, at) => ({
    id: `a row without a key (${at + 1} of ${count})`,
    error: keyless(scan),
  }));
}

/** Rows that share a key could not be told apart when reading goes on after one of them. */
export function notUnique({ store, relation: { table } }: Scan): P2PError {
  const columns = table.key.columns.map(({ column }) => column.name).join(", ");
  const option = table.type === "query" ? "native.postgresql.key" : "the option key";
  return new P2PError(
    "READ_FAILED",
    `${store.label}: the key of "${table.name}" (${columns}) is not unique, so rows would be lost; name a unique one by ${option}`,
  );
}
