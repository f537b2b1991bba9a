import { P2PError, type ParsedQuery } from "@omni/p2p-core/starter";
import type { SqlValue } from "../client/sql.ts";

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
  readonly where?: string;
  /** A SELECT whose rows take the place of the table's. */
  readonly sql?: string;
  /** The column of `sql`, or several, that names its rows and is unique. Default `"id"`. */
  readonly key?: string | readonly string[];
  readonly params?: readonly (SqlValue | boolean | Date)[];
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

const KEYS = new Set(["where", "sql", "key", "params"]);

/** @throws P2PError `UNSUPPORTED_QUERY` for another store's, `INVALID_QUERY` for a wrong one. */
export function parseNative(query: ParsedQuery): ParsedNative | undefined {
  const foreign = Object.keys(query.native).find((type) => type !== "sqlite");
  if (foreign !== undefined) {
    throw new P2PError("UNSUPPORTED_QUERY", `native.${foreign} cannot be used on SQLite; its own is native.sqlite`);
  }
  const native = query.native.sqlite as SqliteNativeQuery | undefined;
  if (native === undefined) return undefined;
  if (typeof native !== "object" || native === null) throw invalid("must be an object");
  const unknown = Object.keys(native).find((key) => !KEYS.has(key));
  if (unknown !== undefined) throw invalid(`has the unknown key "${unknown}"; it has ${[...KEYS].join(", ")}`);
  const { where, sql, key = "id", params = [] } = native;
  if (where !== undefined && typeof where !== "string") throw invalid("where must be a text");
  if (sql !== undefined && typeof sql !== "string") throw invalid("sql must be a text");
  const columns = typeof key === "string" ? [key] : key;
  if (!Array.isArray(columns) || columns.length === 0 || columns.some((column) => typeof column !== "string")) {
    throw invalid("key must be a column or a list of columns");
  }
  if (!Array.isArray(params)) throw invalid("params must be a list");
  if (where !== undefined && sql !== undefined && params.length > 0) {
    throw invalid("params go with where or with sql; with both, write the condition into sql");
  }
  return { where, sql, key: columns as readonly string[], params: params.map(storedParam) };
}

function storedParam(param: unknown): SqlValue {
  if (typeof param === "boolean") return Number(param);
  if (param instanceof Date) return param.toISOString();
  const type = typeof param;
  if (param === null || type === "number" || type === "bigint" || type === "string" || param instanceof Uint8Array) {
    return param as SqlValue;
  }
  throw invalid(`params cannot hold ${type === "object" ? "an object" : `a value of type ${type}`}`);
}

function invalid(what: string): P2PError {
  return new P2PError("INVALID_QUERY", `Invalid query: native.sqlite ${what}`);
}
