import {
  idKey,
  P2PError,
  type P2PRecord,
  type WriteFailure,
  type WriteMode,
  type WriteResult,
} from "@omni/p2p-core/starter";
import type { MemoryStore } from "./client/store.ts";

/** Puts the records into the store as the mode says. */
export function writeRecords(store: MemoryStore, records: readonly P2PRecord[], mode: WriteMode): WriteResult {
  const failures: WriteFailure[] = [];
  let skipped = 0;
  for (let index = 0; index < records.length; index++) {
    const record = records[index]!;
    const key = idKey(record.id);
    if (mode === "upsert" || !store.holds(key)) store.keep(record, key);
    else if (mode === "skip") skipped++;
    else {
      const error = new P2PError("DUPLICATE_ID", `The id ${key} is in the store already`);
      failures.push({ index, id: record.id, error });
    }
  }
  return { written: records.length - skipped - failures.length, skipped, failures };
}
