/** The term of a lease: for how long whoever was granted it may write, by their own clock alone. */

/** The longest and the shortest time that a lease is longer than writes may take to land, in ms. */
const MOST_SLACK_MS = 15_000;
const LEAST_SLACK_MS = 1000;

/**
 * A write is begun only while the lease holds for as long as it may take to land. So whoever takes an expired lease meets no write
 * of the holder before, also where that one was killed, or slept and knows of nothing.
 */
export class LeaseTerm {
  readonly #landsWithin: number;
  readonly ttlMs: number;
  /** In ms: of three renewals two may fail. */
  readonly renewEveryMs: number;
  #until = Number.NEGATIVE_INFINITY;

  /** @param landsWithin the longest time in which a write without an answer may still land, in ms. */
  constructor(landsWithin: number) {
    const slack = Math.max(LEAST_SLACK_MS, Math.min(MOST_SLACK_MS, landsWithin / 2));
    this.#landsWithin = landsWithin;
    this.ttlMs = landsWithin + slack;
    this.renewEveryMs = slack / 3;
  }

  /** @param askedAt when it was asked for, and not when the answer came. */
  granted(askedAt: number): void {
    this.#until = askedAt + this.ttlMs;
  }

  mayWrite(now: number): boolean {
    return now + this.#landsWithin <= this.#until;
  }
}
