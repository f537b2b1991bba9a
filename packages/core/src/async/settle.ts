import { setTimeout as sleep } from "node:timers/promises";
import { unlessAborted } from "./abort.ts";

/** How long what was aborted may take to end, in ms. An adapter that does not heed its signal is left behind then. */
const GRACE_MS = 2000;

/**
 * Waits until all have ended, well or not, but no longer than a while.
 *
 * @param since when they were told to end, on the clock of `performance.now()`.
 * @param graceMs how long they may take. Default {@link GRACE_MS}.
 */
export async function settleSoon(
  work: readonly unknown[],
  since: number = performance.now(),
  graceMs: number = GRACE_MS,
): Promise<void> {
  const over = new AbortController();
  const settled = Promise.allSettled(work).finally(() => over.abort());
  const left = Math.max(0, since + graceMs - performance.now());
  await Promise.race([settled, sleep(left, undefined, { signal: over.signal }).catch(() => {})]);
}

/** How long a transfer that was told to end may take to save, close and unlock what it has, all together, in ms. */
const LAST_MS = 3000;

/** What is left to do at the end of a transfer, for which a transfer that was told to end waits a little while only. */
export class LastSteps {
  readonly #signal: AbortSignal;
  #since: number | undefined;

  /** @param signal tells the transfer to end. */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Waits for a step. One that takes too long, once the transfer was told to end, is left behind. */
  async take<T>(step: Promise<T> | undefined): Promise<T | undefined> {
    if (step === undefined) return undefined;
    try {
      return await unlessAborted(step, this.#signal);
    } catch (error) {
      if (!this.#signal.aborted) throw error;
      this.#since ??= performance.now();
      await settleSoon([step], this.#since, LAST_MS);
      return undefined;
    }
  }
}
