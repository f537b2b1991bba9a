import type { P2PRecord, WriteOptions, WriteResult } from "@omni/p2p-core/starter";
import type { Keyspace } from "./client/keyspace.ts";
import { packRecord } from "./writing/packed-record.ts";
import { writeItems } from "./writing/write-items.ts";

/** Writes the records as the mode says. */
export function writeRecords(
  target: Keyspace,
  records: readonly P2PRecord[],
  options: WriteOptions,
): Promise<WriteResult> {
  return writeItems(target, records, packRecord, ({ id }) => id, options);
}
