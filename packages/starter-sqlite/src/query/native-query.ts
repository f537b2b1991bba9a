import { invalidNative, nativePart, type ParsedQuery } from "@omni/p2p-core/starter";
import type { Sql, SqlValue } from "../client/sql.ts";
import { STORE } from "../types.ts";

/**
 * What only SQLite understands, under `native.sqlite` of a query. Question marks stand for the `params`, in order.
 *
 * @example
 * ```ts
 * const query: P2PQuery = { native: { sqlite: { where: "length(body) > ? OR starred", params: [1000] } } };
 * ```
 */
export interface SqliteNativeQuery {
  /** An expression that must hold as well as `where` of the query. */
  readonly where?: string | undefined;
  /** A SELECT whose rows take the place of the table's. */
  readonly sql?: string | undefined;
  /** The column of `sql`, or several, that names its rows and is unique. Default `"id"`. */
  readonly key?: string | readonly string[] | undefined;
  readonly params?: readonly (SqlValue | boolean | Date)[] | undefined;
}

declare global {
  interface P2PNativeQueries {
    sqlite: SqliteNativeQuery;
  }
}

/** {@link SqliteNativeQuery}, checked. */
export interface ParsedNative {
  readonly where: string | undefined;
  readonly sql: string | undefined;
  readonly key: readonly string[];
  readonly params: readonly SqlValue[];
}

/** @throws P2PError `UNSUPPORTED_QUERY` for another store's, `INVALID_QUERY` for a wrong one. */
export function parseNative(query: ParsedQuery): ParsedNative | undefined {
  const native = nativePart(query, { store: STORE, product: "SQLite", keys: ["where", "sql", "key", "params"] });
  if (native === undefined) return undefined;
  const { where, sql, key = "id", params = [] } = native;
  if (where !== undefined && typeof where !== "string") throw invalidNative(STORE, "where must be a text");
  if (sql !== undefined && typeof sql !== "string") throw invalidNative(STORE, "sql must be a text");
  const columns = typeof key === "string" ? [key] : key;
  if (!Array.isArray(columns) || columns.length === 0 || columns.some((column) => typeof column !== "string")) {
    throw invalidNative(STORE, "key must be a column or a list of columns");
  }
  if (!Array.isArray(params)) throw invalidNative(STORE, "params must be a list");
  if (where !== undefined && sql !== undefined && params.length > 0) {
    throw invalidNative(STORE, "params go with where or with sql; with both, write the condition into sql");
  }
  return { where, sql, key: columns as readonly string[], params: params.map(storedParam) };
}

/** What rows must meet beside the conditions of the query. */
export function nativeCondition(native: ParsedNative | undefined): Sql | undefined {
  // The end of the line ends a comment in it.
  return native?.where === undefined ? undefined : { text: `(${native.where}\n)`, params: native.params };
}

function storedParam(param: unknown): SqlValue {
  if (typeof param === "boolean") return Number(param);
  if (param instanceof Date) return param.toISOString();
  const type = typeof param;
  if (param === null || type === "number" || type === "bigint" || type === "string" || param instanceof Uint8Array) {
    return param as SqlValue;
  }
  throw invalidNative(STORE, `params cannot hold ${type === "object" ? "an object" : `a value of type ${type}`}`);
}
