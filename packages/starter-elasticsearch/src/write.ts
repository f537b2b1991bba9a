import type { P2PRecord, WriteOptions, WriteResult } from "@omni/p2p-core/starter";
import { addRecords } from "./writing/add-records.ts";
import { BulkRun, type WriteTarget } from "./writing/bulk-run.ts";

/** Writes the records in as few bulk requests as their size allows, one after the other. */
export async function writeRecords(
  target: WriteTarget,
  records: readonly P2PRecord[],
  options: WriteOptions,
): Promise<WriteResult> {
  options.signal.throwIfAborted();
  const run = new BulkRun(target, options);
  await addRecords(run, target, records, undefined, options.signal);
  return run.end();
}
