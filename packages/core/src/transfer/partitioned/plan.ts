/** The plan of a partitioned transfer: its queries, serialised for later runs. */
import { P2PError } from "../../errors.ts";
import { decodeJson, encodeJson } from "../../model/json.ts";
import type { P2PValue } from "../../model/value-tree.ts";
import { type P2PQuery, parseQuery } from "../../storage/query.ts";
import type { P2PDataTransferService } from "../../storage/service.ts";

/** How a query is to be moved in parts. */
export interface PartitionPlan {
  /** Disjoint, and together the whole query; one when it cannot be parted. */
  readonly queries: readonly P2PQuery[];
  /** Why there are fewer parts than were asked for, in a sentence. */
  readonly note?: string;
}

/**
 * Asks the source for the parts of a query. A query with an order, an offset or a limit stays whole, and so does one
 * that the source cannot part; the plan then says so.
 *
 * @throws P2PError `INVALID_CONFIG`, `INVALID_QUERY`, or what the source throws.
 */
export async function planPartitions(
  source: P2PDataTransferService,
  query: P2PQuery,
  parts: number,
  signal: AbortSignal = new AbortController().signal,
): Promise<PartitionPlan> {
  if (!Number.isSafeInteger(parts) || parts < 1) {
    throw new P2PError("INVALID_CONFIG", 'Invalid configuration: "partitions" must be a whole number from 1 up');
  }
  const reason = wholeBecause(source, query);
  if (parts === 1 || reason !== undefined) {
    return { queries: [query], ...(parts > 1 && reason !== undefined && { note: `It ran as one part: ${reason}` }) };
  }
  const queries = await source.partitions(query, parts, signal);
  if (queries.length === parts) return { queries };
  const note =
    queries.length === 1
      ? "It ran as one part: the source cannot part this query, or holds too little"
      : `It ran in ${queries.length} parts instead of ${parts}: the source finds no more places to part the query`;
  return { queries, note };
}

function wholeBecause(source: P2PDataTransferService, query: P2PQuery): string | undefined {
  const { orderBy, offset, limit, partition } = parseQuery(query);
  if (!source.capabilities.partitionable) return "this source cannot be parted";
  if (partition !== undefined) return "the query is a part already";
  if (orderBy.length > 0 || offset > 0 || limit < Number.POSITIVE_INFINITY) {
    return "a query with an order, an offset or a limit has one place to begin and one to end";
  }
  return undefined;
}

/** The queries of a plan as text, with the types of their values: how plans are kept for a later run. */
export function encodePlan({ queries }: PartitionPlan): string[] {
  return queries.map((query) => encodeJson(query as unknown as P2PValue));
}

/** The plan that {@link encodePlan} made text of. */
export function decodePlan(parts: readonly string[]): PartitionPlan {
  return { queries: parts.map((text) => decodeJson(text) as unknown as P2PQuery) };
}
