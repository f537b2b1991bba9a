import { setTimeout as sleep } from "node:timers/promises";

/** How long what was aborted may take to end, in ms. An adapter that does not heed its signal is left behind then. */
const GRACE_MS = 2000;

/**
 * Waits until all have ended, well or not, but no longer than {@link GRACE_MS}.
 *
 * @param since when they were told to end, on the clock of `performance.now()`.
 */
export async function settleSoon(work: readonly unknown[], since = performance.now()): Promise<void> {
  const over = new AbortController();
  const settled = Promise.allSettled(work).finally(() => over.abort());
  const left = Math.max(0, since + GRACE_MS - performance.now());
  await Promise.race([settled, sleep(left, undefined, { signal: over.signal }).catch(() => {})]);
}
