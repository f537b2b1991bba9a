import type { P2PQuery } from "../storage/query.ts";
import type { P2PDataTransferService } from "../storage/service.ts";
import { callListener, warnOfListener } from "./hooks.ts";

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

/** How often `onProgress` is called unless it is told otherwise, in ms. */
export const DEFAULT_PROGRESS_INTERVAL_MS = 250;

/** Span of time, in ms, over which the rate is taken. */
const WINDOW_MS = 5000;

/** Tells the user's `onProgress` how far a transfer is: now and then, and always at the end. */
type ProgressTeller = (recordsRead: number, failures: number, last?: boolean) => void;

/** Who wants to know of a transfer, and how often, in ms. */
interface Listener {
  readonly transferId: string;
  readonly onProgress: ((progress: TransferProgress) => void) | undefined;
  readonly progressInterval: number;
}

/**
 * Makes the teller of a transfer, which asks the source how much there is.
 *
 * @param initial records done by the runs that this one resumes.
 * @returns `undefined` when nobody wants to know.
 */
export function progressTeller(
  source: P2PDataTransferService,
  query: P2PQuery,
  { onProgress, progressInterval, transferId }: Listener,
  initial: number,
  signal: AbortSignal,
): ProgressTeller | undefined {
  if (!onProgress) return undefined;
  const meter = new ProgressMeter(transferId, initial);
  const counting = async () => source.count(query, signal);
  counting().then(
    (total) => {
      meter.total = total;
    },
    () => {},
  );
  let toldAt = performance.now();
  let troubled = false;
  // A listener that fails is told of once, and ends nothing.
  const trouble = (error: unknown) => {
    if (!troubled) warnOfListener("onProgress", error);
    troubled = true;
  };
  return (recordsRead, failures, last = false) => {
    if (!last && performance.now() - toldAt < progressInterval) return;
    toldAt = performance.now();
    callListener(() => onProgress(meter.read(recordsRead, failures)), trouble);
  };
}

/** Keeps the rate and the expected time of a transfer. */
class ProgressMeter {
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
