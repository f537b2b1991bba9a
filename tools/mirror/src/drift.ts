/** Planted differences: what a target lacks, has otherwise and has beside its source. */
import type { P2PRecord } from "@omni/p2p-core";
import type { P2PDataTransferService } from "@omni/p2p-core/starter";

/** One in so many records was changed, another one added to the source, and another one deleted from it. */
const ONE_IN = 100;

/** Records sent at a time. */
const BATCH = 1000;

/** Small records, since all kinds of values are the matrix's affair. */
export function recordsOf(count: number): P2PRecord[] {
  return Array.from({ length: count }, (_, at) => ({
    id: `record-${String(at).padStart(8, "0")}`,
    title: `Title ${at}`,
    at: new Date(1_600_000_000_000 + at * 1000),
  }));
}

/** What a mirror has to bring over, of each kind. */
export function differencesOf(records: number): number {
  return Math.floor(records / ONE_IN);
}

/** Writes the content of the source. */
export async function fill(store: P2PDataTransferService, records: number): Promise<void> {
  for (const batch of inBatches(recordsOf(records))) await write(store, batch);
}

/** Records that only the target has. */
export function leftBehind(records: number, round: number): P2PRecord[] {
  return recordsOf(differencesOf(records)).map((record, at) => ({ ...record, id: `left-behind-${round}-${at}` }));
}

/** Ids that the target lacks, since they were added to the source. */
export function addedIds(records: number, round: number): string[] {
  return picked(records, round, 0).map(({ id }) => String(id));
}

function picked(records: number, round: number, kind: number): P2PRecord[] {
  const all = recordsOf(records);
  return Array.from({ length: differencesOf(records) }, (_, at) => all[(at * ONE_IN + round * 2 + kind) % records]!);
}

/**
 * Makes a store that equals the source one that the source has left behind.
 *
 * @param round other ids differ in each.
 */
export async function drift(store: P2PDataTransferService, records: number, round: number): Promise<void> {
  const changed = picked(records, round, 1).map((record) => ({ ...record, title: "as it was before" }));
  const signal = new AbortController().signal;
  for (const batch of inBatches(addedIds(records, round))) {
    const refs = batch.map((id) => ({ id }));
    const { deleted } = await store.deleteFromTarget!(refs, { signal });
    if (deleted !== batch.length) throw new Error(`Only ${deleted} of ${batch.length} records could be taken out`);
  }
  for (const batch of inBatches([...changed, ...leftBehind(records, round)])) await write(store, batch);
}

async function write(store: P2PDataTransferService, records: readonly P2PRecord[]): Promise<void> {
  const { failures } = await store.writeToTarget(records, { mode: "upsert", signal: new AbortController().signal });
  const [first] = failures;
  if (first)
    throw new Error(`${failures.length} records could not be written, the first one with: ${first.error.message}`);
}

function* inBatches<T>(list: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < list.length; from += BATCH) yield list.slice(from, from + BATCH);
}
