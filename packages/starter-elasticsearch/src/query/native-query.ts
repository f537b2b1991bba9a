import type { estypes } from "@elastic/elasticsearch";
import { P2PError, type ParsedQuery } from "@omni/p2p-core/starter";

/**
 * What goes under `native.elasticsearch`.
 *
 * @example
 * ```ts
 * const query: P2PQuery = { native: { elasticsearch: { query: { match: { body: "vector search" } } } } };
 * ```
 */
export interface ElasticsearchNativeQuery {
  /** Only documents that it matches are read. It holds beside `where`, and scores are not used. */
  readonly query: estypes.QueryDslQueryContainer;
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
export function nativeClause({ native }: ParsedQuery): estypes.QueryDslQueryContainer | undefined {
  for (const type of Object.keys(native)) {
    if (type === "elasticsearch") continue;
    throw new P2PError("UNSUPPORTED_QUERY", `native.${type} cannot be used on Elasticsearch; use native.elasticsearch`);
  }
  const given = native.elasticsearch as Partial<ElasticsearchNativeQuery> | undefined;
  if (given === undefined) return undefined;
  const keys = typeof given === "object" && given !== null ? Object.keys(given) : [];
  if (keys.length !== 1 || typeof given.query !== "object" || given.query === null || Array.isArray(given.query)) {
    throw new P2PError(
      "INVALID_QUERY",
      "Invalid query: native.elasticsearch must be { query: … } with one query in Elasticsearch's own language",
    );
  }
  return given.query;
}
