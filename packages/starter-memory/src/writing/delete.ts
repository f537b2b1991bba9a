import { type DeleteRef, type DeleteResult, idKey, recordDigest } from "@omni/p2p-core/starter";
import type { MemoryStore } from "../client/store.ts";

/** Deletes by id; where a digest is expected, by compare-and-delete, which nothing can come between in one process. */
export function deleteRecords(store: MemoryStore, refs: readonly DeleteRef[]): DeleteResult {
  const changed: number[] = [];
  let deleted = 0;
  for (const [index, { id, expected }] of refs.entries()) {
    const key = idKey(id);
    const record = store.find(key);
    if (record === undefined) continue;
    if (expected !== undefined && recordDigest(record) !== expected) changed.push(index);
    else if (store.remove(key)) deleted++;
  }
  return { deleted, absent: refs.length - deleted - changed.length, changed, failures: [] };
}
