/** Lag by one clock: when each change was committed in the source, held against when a target acknowledged it. */

/** By this machine's clock, which all processes of the proof share. */
export class Commits {
  #at = new Float64Array(1 << 16);

  /** A change is sent; until it is committed, this is the latest moment that is known. */
  sent(change: number): void {
    if (change >= this.#at.length) {
      const longer = new Float64Array(this.#at.length * 2);
      longer.set(this.#at);
      this.#at = longer;
    }
    this.#at[change] = Date.now();
  }

  /** The store has acknowledged it to whoever made it. */
  committed(change: number): void {
    this.#at[change] = Date.now();
  }

  /** When a change was committed, in ms since 1970. */
  at(change: number): number {
    return this.#at[change] ?? 0;
  }
}

/** The lags of one follower from some moment on, in ms. */
export class Lags {
  readonly #commits: Commits;
  readonly #lags: number[] = [];
  #since = Number.POSITIVE_INFINITY;

  constructor(commits: Commits) {
    this.#commits = commits;
  }

  /** Changes that are committed from now on are measured. */
  begin(): void {
    this.#since = Date.now();
  }

  /** None is, until it is told to begin again. */
  suspend(): void {
    this.#since = Number.POSITIVE_INFINITY;
  }

  /** Whether it was told to begin. */
  get hasBegun(): boolean {
    return this.#since !== Number.POSITIVE_INFINITY;
  }

  acknowledged(changes: readonly number[], at: number): void {
    for (const change of changes) {
      const committed = this.#commits.at(change);
      if (committed >= this.#since) this.#lags.push(Math.max(0, at - committed));
    }
  }

  get values(): readonly number[] {
    return this.#lags;
  }
}

/** A quantile of some numbers, which need not be in order; `undefined` where there are none. */
export function quantile(values: readonly number[], share: number): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
