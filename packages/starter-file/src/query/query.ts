import { nativePart, P2PError, type P2PQuery, type ParsedQuery, parseQuery } from "@omni/p2p-core/starter";

/** The storage type, which marks cursors and partitions. */
export const STORE = "file";

/** @throws P2PError `INVALID_QUERY`, and `UNSUPPORTED_QUERY` for an order or a native query. */
export function parseFileQuery(query: P2PQuery): ParsedQuery {
  const parsed = parseQuery(query);
  nativePart(parsed, { store: STORE, product: "a file", keys: [] });
  if (parsed.orderBy.length > 0) {
    throw new P2PError(
      "UNSUPPORTED_QUERY",
      "A file is read in its own order and cannot be sorted; copy it into a store that can, for instance SQLite, and sort there",
    );
  }
  return parsed;
}
