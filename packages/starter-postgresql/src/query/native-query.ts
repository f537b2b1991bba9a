/** Native queries: the part of a query that only PostgreSQL understands. */
import { invalidNative, nativePart, type ParsedQuery } from "@omni/p2p-core/starter";
import type { Cell } from "../client/session.ts";
import { STORE } from "../types.ts";
import { hexOf } from "../values/encode.ts";

/**
 * What only PostgreSQL understands, under `native.postgresql` of a query: a SELECT whose rows take the place of the table's. `$1`,
 * `$2`, … stand for the `params`.
 *
 * @example
 * ```ts
 * const query: P2PQuery = {
 *   native: { postgresql: { sql: "SELECT id, title, tags FROM docs JOIN tags USING (id) WHERE lang = $1", params: ["en"] } },
 * };
 * ```
 */
export interface PostgresqlNativeQuery {
  /** It runs within a read-only transaction. */
  readonly sql: string;
  /** The column of `sql`, or several, that names its rows and is unique. Default `"id"`. */
  readonly key?: string | readonly string[] | undefined;
  readonly params?: readonly (null | boolean | number | bigint | string | Date | Uint8Array)[] | undefined;
}

declare global {
  interface P2PNativeQueries {
    postgresql: PostgresqlNativeQuery;
  }
}

/** {@link PostgresqlNativeQuery}, checked. */
export interface ParsedNative {
  readonly sql: string;
  readonly key: readonly string[];
  readonly params: readonly Cell[];
}

/** @throws P2PError `UNSUPPORTED_QUERY` for another store's, `INVALID_QUERY` for a wrong one. */
export function parseNative(query: ParsedQuery): ParsedNative | undefined {
  const native = nativePart(query, { store: STORE, product: "PostgreSQL", keys: ["sql", "key", "params"] });
  if (native === undefined) return undefined;
  const { sql, key = "id", params = [] } = native;
  if (typeof sql !== "string" || sql.trim() === "") throw invalidNative(STORE, "must have sql, a SELECT");
  if (sql.includes("\0")) throw invalidNative(STORE, "sql holds a NUL character");
  const columns = typeof key === "string" ? [key] : key;
  if (!Array.isArray(columns) || columns.length === 0 || columns.some((column) => typeof column !== "string")) {
    throw invalidNative(STORE, "key must be a column or a list of columns");
  }
  if (!Array.isArray(params)) throw invalidNative(STORE, "params must be a list");
  return { sql: sql.trim().replace(/;\s*$/, ""), key: columns as readonly string[], params: params.map(cellOfParam) };
}

function cellOfParam(param: unknown): Cell {
  if (param === null) return null;
  if (typeof param === "boolean") return param ? "t" : "f";
  if (param instanceof Date && !Number.isNaN(param.getTime())) return param.toISOString();
  if (param instanceof Uint8Array) return hexOf(param);
  if (typeof param === "string") {
    if (param.includes("\0")) throw invalidNative(STORE, "params hold a NUL character, which PostgreSQL does not have");
    return param;
  }
  if (typeof param === "number" || typeof param === "bigint") return String(param);
  const kind = param instanceof Date ? "an invalid date" : typeof param === "object" ? "an object" : typeof param;
  throw invalidNative(STORE, `params cannot hold ${kind}`);
}
