import type { P2PRecord } from "@omni/p2p-core";
import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { memoryStarter } from "@omni/p2p-starter-memory";

/** A record such as a shop has. */
function recordAt(at: number): P2PRecord {
  return {
    id: `r${String(at).padStart(9, "0")}`,
    type: at % 7 === 0 ? "knowledge" : "note",
    title: `Title ${at}`,
    body: `${at} `.repeat(20),
    amount: at / 8,
    made: new Date(1_700_000_000_000 + at * 1000),
  };
}

const BATCH = 1000;

/** Fills a place with so many records, by way of a memory store. */
export async function fill(url: string, count: number): Promise<void> {
  const database = `fill-${process.pid}-${Math.random().toString(36).slice(2)}`;
  const signal = new AbortController().signal;
  const endpoint = { endpointId: database, storageType: "memory", database };
  const store = await memoryStarter.open(endpoint, { role: "target", signal, connectTimeoutMs: 1000 });
  for (let from = 0; from < count; from += BATCH) {
    const records = Array.from({ length: Math.min(BATCH, count - from) }, (_, i) => recordAt(from + i));
    await store.writeToTarget(records, { mode: "upsert", signal });
  }
  await using manager = new DefaultP2PConnectionManager({ appRoot: import.meta.dirname });
  const { connectionId } = await manager.establish(endpoint, url, { batchSize: BATCH });
  const { successCount } = await manager.transferThroughConnection(connectionId, {}, { deadLetters: false });
  if (successCount !== count) throw new Error(`${successCount} of ${count} records could be made`);
  await store.close();
}

/** Compares two places record by record, apart from the engine. */
export async function sameRecords(source: string, target: string): Promise<string | undefined> {
  await using manager = new DefaultP2PConnectionManager({ appRoot: import.meta.dirname });
  const { connectionId } = await manager.establish(source, target);
  const { equal, missing, extra, different } = await manager.verify(connectionId, {}, { maxDifferences: 3 });
  return equal ? undefined : `${missing} missing, ${extra} too many, ${different} different`;
}
