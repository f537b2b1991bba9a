import { type P2PDataTransferService, type P2PQuery, type P2PRecord, parseEndpoint } from "@omni/p2p-core/starter";
import { dropMemoryStore, memoryStarter, memoryStore } from "../src/index.ts";

/** A signal that never aborts. */
export const signal: AbortSignal = new AbortController().signal;

/** A fresh store of this name with these records, and a service that reads and writes it. */
export async function openStore(name: string, records: readonly P2PRecord[]): Promise<P2PDataTransferService> {
  dropMemoryStore(name);
  for (const record of records) memoryStore(name).put(record);
  return memoryStarter.open(parseEndpoint(`memory:${name}`), { role: "target", signal, connectTimeoutMs: 1000 });
}

/** All that a query gives. */
export async function readAll(service: P2PDataTransferService, query: P2PQuery): Promise<P2PRecord[]> {
  const records: P2PRecord[] = [];
  for await (const batch of service.readFromSource(query, { batchSize: 100, signal })) records.push(...batch.records);
  return records;
}
