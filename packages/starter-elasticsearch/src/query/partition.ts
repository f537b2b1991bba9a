import { isIndivisible, type P2PQuery, storePartition } from "@omni/p2p-core/starter";
import { STORE } from "../types.ts";
import type { OpenedQuery } from "./source-index.ts";

interface PercentilesAnswer {
  readonly aggregations?: { readonly parts?: { readonly values?: Readonly<Record<string, number | null>> } };
}

/** Parts of about equal numbers of documents; a query with an order, an offset or a limit stays whole. */
export async function partitionQuery(
  { link, index, plan }: OpenedQuery,
  given: P2PQuery,
  parts: number,
  signal: AbortSignal,
): Promise<P2PQuery[]> {
  if (isIndivisible(plan.query, parts)) return [given];
  const percents = Array.from({ length: parts - 1 }, (_, i) => (100 * (i + 1)) / parts);
  const body = JSON.stringify({
    size: 0,
    track_total_hits: false,
    query: plan.filter,
    aggs: { parts: { percentiles: { field: "_seq_no", percents, keyed: true } } },
  });
  const path = `/${encodeURIComponent(index)}/_search`;
  const query = { allow_partial_search_results: "false", allow_no_indices: "false", filter_path: "aggregations" };
  const answer = await link.json<PercentilesAnswer>({ method: "POST", path, query, body }, "read", signal);
  const values = Object.values(answer.aggregations?.parts?.values ?? {});
  // The bounds are estimates, which is as good: any bounds make disjoint parts that cover everything.
  const bounds = values.filter((value) => value !== null && Number.isFinite(value)).map((value) => Math.ceil(value!));
  const starts = [0, ...new Set(bounds.filter((bound) => bound > 0).sort((a, b) => a - b))];
  if (starts.length < 2) return [given];
  return starts.map((from, i) => ({ ...given, partition: storePartition(STORE, { from, below: starts[i + 1] }) }));
}
