import {
  type FieldMapping,
  type P2PRecord,
  type StoreInspection,
  type ValueType,
  valueType,
} from "@omni/p2p-core/starter";
import { memoryStores } from "./store.ts";

/** The stores of this process. */
export function inspectMemory(): StoreInspection {
  const collections = memoryStores().map(({ name, size }) => ({ name, records: size, endpoint: { database: name } }));
  return { product: "Memory of this process", collections };
}

/** Every field stays what it is. */
export function describeMemoryMapping(sample: readonly P2PRecord[]): FieldMapping[] {
  const fields = new Map<string, Set<ValueType>>();
  for (const record of sample) {
    for (const [field, value] of Object.entries(record)) {
      if (value === undefined) continue;
      if (!fields.has(field)) fields.set(field, new Set());
      fields.get(field)!.add(valueType(value));
    }
  }
  return Array.from(fields, ([field, types]) => ({ field, types: [...types], storedAs: "itself", lossless: true }));
}
