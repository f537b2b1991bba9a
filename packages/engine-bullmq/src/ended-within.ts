import { setTimeout as sleep } from "node:timers/promises";

/**
 * Waits until something has ended, well or not, but no longer than so many ms. No timer is left behind: one that is
 * keeps the process alive after everything else has let go.
 *
 * @returns whether it ended in time.
 */
export async function endedWithin(ms: number, work: Promise<unknown>): Promise<boolean> {
  const over = new AbortController();
  const ended = work.then(
    () => true,
    () => true,
  );
  const late = sleep(ms, false, { signal: over.signal }).catch(() => false);
  try {
    return await Promise.race([ended, late]);
  } finally {
    over.abort();
  }
}
