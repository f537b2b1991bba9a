import type { P2PQuery, P2PRecord } from "@omni/p2p-core";
import type { P2PDataTransferService, ReadFailure } from "@omni/p2p-core/starter";

/** Some records of a store. */
export interface Sample {
  readonly records: P2PRecord[];
  /** What could not be read among them. */
  readonly failures: readonly ReadFailure[];
}

/** The first records that a query gives. */
export async function takeSample(
  store: P2PDataTransferService,
  query: P2PQuery,
  size: number,
  signal: AbortSignal,
): Promise<Sample> {
  const limit = Math.min(size, query.limit ?? size);
  const records: P2PRecord[] = [];
  const failures: ReadFailure[] = [];
  for await (const batch of store.readFromSource({ ...query, limit }, { batchSize: Math.max(1, limit), signal })) {
    records.push(...batch.records);
    failures.push(...(batch.failures ?? []));
    if (records.length + failures.length >= limit) break;
  }
  return { records: records.slice(0, limit), failures };
}
