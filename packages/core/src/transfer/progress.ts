/** How a transfer is getting on. */
export interface TransferProgress {
  readonly transferId: string;
  /** Records done with, whatever became of them, those of resumed runs included. */
  readonly records: number;
  readonly failures: number;
  /** Records that the source holds for this query, where it can count. */
  readonly total?: number;
  /** Records per second over the last seconds. */
  readonly rate: number;
  /** Expected time to the end, in ms; where the total is known. */
  readonly etaMs?: number;
  readonly elapsedMs: number;
}

/** Span of time, in ms, over which the rate is taken. */
const WINDOW_MS = 5000;

/** Keeps the rate and the expected time of a transfer. */
export class ProgressMeter {
  readonly #transferId: string;
  readonly #startedAt = performance.now();
  readonly #samples: { at: number; records: number }[];
  total: number | undefined;

  /** @param initial records done by the runs that this one resumes. */
  constructor(transferId: string, initial: number) {
    this.#transferId = transferId;
    this.#samples = [{ at: this.#startedAt, records: initial }];
  }

  read(records: number, failures: number): TransferProgress {
    const now = performance.now();
    this.#samples.push({ at: now, records });
    while (this.#samples.length > 2 && this.#samples[1]!.at <= now - WINDOW_MS) this.#samples.shift();
    const oldest = this.#samples[0]!;
    const rate = now > oldest.at ? ((records - oldest.records) * 1000) / (now - oldest.at) : 0;
    const { total } = this;
    return {
      transferId: this.#transferId,
      records,
      failures,
      rate,
      elapsedMs: now - this.#startedAt,
      ...(total !== undefined && { total }),
      ...(total !== undefined && rate > 0 && { etaMs: (Math.max(0, total - records) * 1000) / rate }),
    };
  }
}
