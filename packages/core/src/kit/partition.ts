/** Partitions that say whose they are, and bounds between them. */
import { P2PError } from "../errors.ts";
import type { JsonValue } from "../model/json-value.ts";
import type { ParsedQuery } from "../storage/query.ts";

/**
 * Whether a query stays whole, however many parts are asked for: one with an order, an offset or a limit is no union of
 * parts, and a part is not divided again.
 */
export function isIndivisible({ orderBy, offset, limit, partition }: ParsedQuery, parts: number): boolean {
  return parts < 2 || orderBy.length > 0 || offset > 0 || limit < Number.POSITIVE_INFINITY || partition !== undefined;
}

/** What a store may divide a query by, as it is written into `partition` of a query. */
export type PartitionBounds = Readonly<Record<string, JsonValue>>;

/**
 * A partition that says whose it is, so that no other store takes it for its own.
 *
 * @param store the starter's storage type.
 * @param bounds what the part is, in the store's own form. Bounds that are `undefined` are left out.
 */
export function storePartition(store: string, bounds: Readonly<Record<string, JsonValue | undefined>>): JsonValue {
  const own = Object.fromEntries(Object.entries(bounds).filter(([, bound]) => bound !== undefined));
  return { store, part: own as PartitionBounds };
}

/**
 * The bounds in a partition of {@link storePartition}; none for a query without a partition. One without a mark may be of an
 * earlier version, and counts by the names of its bounds. What the bounds are is for the store to check, which throws
 * {@link foreignPartition} for those that it did not make.
 *
 * @param names of the store's bounds.
 * @throws P2PError `INVALID_QUERY` when the partition is another store's, or none.
 */
export function partitionBounds(
  store: string,
  partition: JsonValue | undefined,
  names: readonly string[],
): PartitionBounds | undefined {
  if (partition === undefined) return undefined;
  const marked = plain(partition);
  if (marked === undefined) throw foreignPartition(store);
  const isMarked = typeof marked.store === "string" && Object.keys(marked).length === 2 && "part" in marked;
  if (isMarked && marked.store !== store) throw foreignPartition(store, marked.store as string);
  const bounds = isMarked ? plain(marked.part!) : marked;
  if (bounds === undefined || Object.keys(bounds).some((name) => !names.includes(name))) throw foreignPartition(store);
  return bounds;
}

function plain(json: JsonValue): PartitionBounds | undefined {
  return typeof json === "object" && json !== null && !Array.isArray(json) ? (json as PartitionBounds) : undefined;
}

/**
 * The one error for a partition that a store did not make, whatever the store and the partition.
 *
 * @param owner the store that made it, where the partition says so.
 */
export function foreignPartition(store: string, owner?: string): P2PError {
  const whose = owner === undefined ? `was not made by a ${store} source` : `was made by "${owner}"`;
  return new P2PError(
    "INVALID_QUERY",
    `Invalid query: the partition ${whose} and cannot be read from "${store}"; take those that partitions() of this source gives`,
  );
}
