import { isIndivisible, type P2PQuery, storePartition } from "@omni/p2p-core/starter";
import { partedSlots } from "../client/slots.ts";
import { STORE } from "../types.ts";
import { type KeyScope, parseRedisQuery } from "./query.ts";

/** Parts of a query by the hash slots of the keys; a query with an order, an offset or a limit stays whole. */
export function partitionQuery(query: P2PQuery, parts: number, scope: KeyScope): P2PQuery[] {
  const parsed = parseRedisQuery(query, scope);
  if (isIndivisible(parsed, parts) || parsed.request.keys) return [query];
  return partedSlots(parts).map(([from, to]) => ({
    ...query,
    partition: storePartition(STORE, { slots: [from, to] }),
  }));
}
