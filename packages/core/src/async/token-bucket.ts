/** Token bucket: a limit on how much is done in a second, whoever does it. */
import { onAbort } from "./abort.ts";
import { sleep } from "./sleep.ts";

/** How much may be taken at once after a rest, in seconds of the rate. */
const BURST_S = 0.1;

/** Longest sleep at a time, in ms: a timer cannot be set to more. */
const LONGEST_MS = 60_000;

/**
 * A token bucket. Whoever takes more than is there is served at once and leaves a debt, for which the next one waits: so what is
 * taken in one piece may be of any size, and the rate is that over all of them. Who comes first is served first.
 */
export class TokenBucket {
  readonly perSecond: number;
  #tokens: number;
  #at = performance.now();
  #last: Promise<unknown> = Promise.resolve();

  constructor(perSecond: number) {
    this.perSecond = perSecond;
    this.#tokens = this.#most;
  }

  get #most(): number {
    return this.perSecond * BURST_S;
  }

  /**
   * Waits until no debt is left, and takes so many tokens.
   *
   * @throws the signal's reason; then nothing is taken.
   */
  async take(tokens: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const before = this.#last;
    const left = Promise.withResolvers<void>();
    const forget = onAbort(signal, left.resolve);
    const mine = Promise.race([before, left.promise])
      .then(() => this.#paid(signal))
      .then(() => {
        this.#tokens -= tokens;
      });
    // The next one waits for the one before this, too, where this one is called off.
    this.#last = Promise.allSettled([before, mine]);
    try {
      await mine;
    } finally {
      forget();
    }
  }

  async #paid(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const now = performance.now();
      this.#tokens = Math.min(this.#most, this.#tokens + ((now - this.#at) / 1000) * this.perSecond);
      this.#at = now;
      if (this.#tokens >= 0) return;
      await sleep(Math.min(LONGEST_MS, Math.ceil((-this.#tokens / this.perSecond) * 1000)), signal);
    }
  }
}
