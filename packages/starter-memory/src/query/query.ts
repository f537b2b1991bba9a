import {
  foreignPartition,
  nativePart,
  type P2PQuery,
  type ParsedQuery,
  parseQuery,
  partitionBounds,
} from "@omni/p2p-core/starter";

/** The storage type, which marks cursors and partitions. */
export const STORE = "memory";

/** @throws P2PError `INVALID_QUERY`, and `UNSUPPORTED_QUERY` for a native query. */
export function parseMemoryQuery(query: P2PQuery): ParsedQuery {
  const parsed = parseQuery(query);
  nativePart(parsed, { store: STORE, product: "a memory store", keys: [] });
  return parsed;
}

/** A half-open range of sequences: what a cursor and a partition of this store are. */
interface SequenceRange {
  /** Exclusive. */
  readonly after: number;
  /** Inclusive. */
  readonly upTo: number;
}

/** The part of the store that the query is for: all of it, unless it is a partition. */
export function rangeOf({ partition }: ParsedQuery): SequenceRange {
  const { after = 0, upTo = Number.MAX_SAFE_INTEGER } = partitionBounds(STORE, partition, ["after", "upTo"]) ?? {};
  if (!Number.isSafeInteger(after) || !Number.isSafeInteger(upTo)) throw foreignPartition(STORE);
  return { after: after as number, upTo: upTo as number };
}
