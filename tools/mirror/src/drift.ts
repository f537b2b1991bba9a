/** Planted differences: what a target lacks, has otherwise and has beside its source. */
import type { P2PRecord } from "@omni/p2p-core";
import type { P2PDataTransferService } from "@omni/p2p-core/starter";

/** One in so many records was changed, another one added to the source, and another one deleted from it. */
const ONE_IN = 100;

/** Records sent at a time. */
const BATCH = 1000;

/** Small records, since all kinds of values are the matrix's affair: a text, numbers, a date, something nested. */
export function recordsOf(count: number): P2PRecord[] {
  return Array.from({ length: count }, (_, at) => ({
    id: `record-${String(at).padStart(8, "0")}`,
    title: `Title of the record ${at}`,
    position: at,
    share: at / 7,
    at: new Date(1_600_000_000_000 + at * 1000),
    nested: { odd: at % 2 === 1, list: [at, `${at}`] },
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

/**
 * Makes a store that equals the source one that the source has left behind.
 *
 * @param round other ids differ in each.
 */
export async function drift(store: P2PDataTransferService, records: number, round: number): Promise<void> {
  const all = recordsOf(records);
  const place = (at: number, kind: number) => (at * ONE_IN + round * 2 + kind) % records;
  const picked = Array.from({ length: differencesOf(records) }, (_, at) => at);
  const added = picked.map((at) => all[place(at, 0)]!);
  const changed = picked.map((at) => ({ ...all[place(at, 1)]!, title: "as it was before", position: -1 }));
  const deleted = picked.map((at) => ({ ...all[at]!, id: `left-behind-${round}-${at}` }));
  const signal = new AbortController().signal;
  for (const batch of inBatches(added)) {
    const { deleted: gone } = await store.deleteFromTarget!(
      batch.map(({ id }) => ({ id })),
      { signal },
    );
    if (gone !== batch.length) throw new Error(`Only ${gone} of ${batch.length} records could be taken out`);
  }
  for (const batch of inBatches([...changed, ...deleted])) await write(store, batch);
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
