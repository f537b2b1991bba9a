import { unlessAborted } from "../../async/abort.ts";
import type { CheckpointStore } from "../checkpoint/checkpoint.ts";

/**
 * Claims a transfer for a run, unless that is told to end meanwhile. A lock that comes when nobody waits for it any more is
 * given back.
 */
export async function claim(
  checkpoints: CheckpointStore,
  transferId: string,
  signal: AbortSignal,
): Promise<() => Promise<void>> {
  const lock = checkpoints.lock(transferId);
  try {
    return await unlessAborted(lock, signal);
  } catch (error) {
    lock.then((unlock) => unlock()).catch(() => {});
    throw error;
  }
}
