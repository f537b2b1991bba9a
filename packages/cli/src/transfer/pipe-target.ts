/** Pipes as targets: standard output, named pipes and devices, from which nothing is taken back and nothing is read. */
import { statSync } from "node:fs";
import type { Checkpoint } from "@omni/p2p-core/engine";
import type { TransferJob } from "./job.ts";

/** Whether the records go to standard output. */
export function isStdout({ target: { endpoint } }: Pick<TransferJob, "target">): boolean {
  return endpoint.storageType === "file" && endpoint.database === "-";
}

/** Whether the records go to standard output, a named pipe or a device. */
export function isPipe(job: Pick<TransferJob, "target">): boolean {
  const { storageType, database } = job.target.endpoint;
  if (storageType !== "file" || database === undefined) return false;
  if (isStdout(job)) return true;
  try {
    const found = statSync(database);
    return !found.isFile() && !found.isDirectory();
  } catch {
    // What is not there, or not to be looked at, is told by whoever opens it.
    return false;
  }
}

/** Whether a transfer that ended early can be resumed from this checkpoint. */
export function mayGoOn(job: Pick<TransferJob, "target">, { recordsRead, counts }: Checkpoint): boolean {
  return recordsRead > 0 && (counts.successCount === 0 || !isPipe(job));
}
