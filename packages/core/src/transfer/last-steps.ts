/** Clean-up within a deadline, for a transfer that was told to end. */
import { unlessAborted } from "../async/abort.ts";
import { settleSoon } from "../async/deadline.ts";

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
