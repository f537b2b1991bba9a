import { type FieldMapping, type P2PRecord, type StoreInspection, sampleFields } from "@omni/p2p-core/starter";
import { memoryStores } from "../client/store.ts";

/** The stores of this process. */
export function inspectMemory(): StoreInspection {
  const collections = memoryStores().map(({ name, size }) => ({ name, records: size, endpoint: { database: name } }));
  return { product: "Memory of this process", collections };
}

/** Every field stays what it is. */
export function describeMemoryMapping(sample: readonly P2PRecord[]): FieldMapping[] {
  return sampleFields(sample).map(({ field, types }) => ({ field, types, storedAs: "itself", lossless: true }));
}
