import { setImmediate, setTimeout as sleep } from "node:timers/promises";

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

/** Longest stretch of work without a turn of the event loop, in ms. */
const STRETCH_MS = 8;

/** Lets timers and sockets have their turn in work that is synchronous underneath. */
export class Breather {
  #since = performance.now();

  /** A promise to wait for when a turn is due, else `undefined`. */
  due(): Promise<unknown> | undefined {
    if (performance.now() - this.#since < STRETCH_MS) return undefined;
    return setImmediate().then(() => {
      this.#since = performance.now();
    });
  }
}
