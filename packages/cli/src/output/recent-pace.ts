/** The expected time, by the rate over a sliding window. */
import type { TransferProgress } from "@omni/p2p-core";

/** How long the past is that the expected time is reckoned from, in ms. */
const WINDOW_MS = 15_000;

/**
 * The expected time by the rate of the last seconds: a source that was slow to start, or a target that has become slow,
 * makes the mean of the whole time a poor guide.
 */
export class RecentPace {
  readonly #samples: { readonly at: number; readonly records: number }[] = [];

  /** The progress with the time that is expected from here. */
  reckon(progress: TransferProgress, now = performance.now()): TransferProgress {
    const { records, total } = progress;
    this.#samples.push({ at: now, records });
    while (this.#samples.length > 2 && now - this.#samples[0]!.at > WINDOW_MS) this.#samples.shift();
    const first = this.#samples[0]!;
    const rate = (records - first.records) / (now - first.at);
    if (total === undefined || !(rate > 0)) return progress;
    return { ...progress, etaMs: Math.max(0, total - records) / rate };
  }
}

/** The rate of the last seconds: that of what is for ever under way. */
export class RecentRate {
  readonly #samples: { readonly at: number; readonly count: number }[] = [];

  /** A second, from how much there is now. */
  of(count: number, now = performance.now()): number {
    this.#samples.push({ at: now, count });
    while (this.#samples.length > 2 && now - this.#samples[0]!.at > WINDOW_MS) this.#samples.shift();
    const first = this.#samples[0]!;
    return now > first.at ? ((count - first.count) * 1000) / (now - first.at) : 0;
  }
}
