import { invalidNative, nativePart, type ParsedQuery } from "@omni/p2p-core/starter";
import { STORE } from "../types.ts";

/**
 * What goes under `native.elasticsearch`.
 *
 * @example
 * ```ts
 * const query: P2PQuery = { native: { elasticsearch: { query: { match: { body: "vector search" } } } } };
 * ```
 */
export interface ElasticsearchNativeQuery {
  /**
   * One query in Elasticsearch's own language; only documents that it matches are read. It holds beside `where`, and scores
   * are not used. Where the application has the client, `estypes.QueryDslQueryContainer` of it is such a query.
   */
  readonly query: object;
}

declare global {
  interface P2PNativeQueries {
    elasticsearch: ElasticsearchNativeQuery;
  }
}

/**
 * The clause of the query in Elasticsearch's own language, if there is one.
 *
 * @throws P2PError `UNSUPPORTED_QUERY`, `INVALID_QUERY`
 */
export function nativeClause(query: ParsedQuery): object | undefined {
  const part = nativePart(query, { store: STORE, product: "Elasticsearch", keys: ["query"] });
  if (part === undefined) return undefined;
  const { query: given } = part;
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw invalidNative(STORE, "must be { query: … } with one query in the server's own language");
  }
  return given;
}
