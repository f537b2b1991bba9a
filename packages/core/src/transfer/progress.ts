/** Progress: rate over a sliding window, expected time, and how often it is told. */

import type { JsonValue } from "../model/json-value.ts";
import { countOf } from "../storage/contract-checks.ts";
import type { P2PQuery } from "../storage/query.ts";
import type { P2PDataTransferService } from "../storage/service.ts";
import { guardedListener } from "./hooks.ts";

/** How a transfer is getting on. */
export interface TransferProgress {
  readonly transferId: string;
  /** Records done with, whatever became of them, those of resumed runs included. */
  readonly records: number;
  readonly failures: number;
  /** Records that the source holds for this query, where it can count. */
  readonly total?: number;
  /** Bytes of the source that are done with, and all of them, where the source knows its size so and cannot count its records. */
  readonly bytes?: { readonly done: number; readonly total: number };
  /** Records per second over the last seconds. */
  readonly rate: number;
  /** Expected time to the end, in ms; where the total of records or bytes is known. */
  readonly etaMs?: number;
  readonly elapsedMs: number;
}

/** How often `onProgress` is called unless it is told otherwise, in ms. */
export const DEFAULT_PROGRESS_INTERVAL_MS = 250;

/** Span of time, in ms, over which the rate is taken. */
const WINDOW_MS = 5000;

/** Least time between two samples for the rate, in ms. */
const SAMPLE_MS = 10;

/** Tells whoever listens how far a transfer is: now and then, and always at the end. */
type ProgressTeller = (recordsRead: number, failures: number, last?: boolean, cursor?: JsonValue) => void;

/** Who wants to know of a transfer, and how often, in ms. */
interface Listener {
  readonly transferId: string;
  readonly onProgress: ((progress: TransferProgress) => unknown) | undefined;
  readonly progressInterval: number;
  readonly meter: ProgressMeter | undefined;
}

/**
 * Makes the teller of a transfer, which asks the source how much there is once somebody wants to know.
 *
 * @param initial records done by the runs that this one resumes.
 * @returns `undefined` when nobody can want to know.
 */
export function progressTeller(
  source: P2PDataTransferService,
  query: P2PQuery,
  { onProgress, progressInterval, transferId, meter: given }: Listener,
  initial: number,
  signal: AbortSignal,
): ProgressTeller | undefined {
  if (!onProgress && !given) return undefined;
  const meter = given ?? new ProgressMeter(transferId);
  meter.begin(initial, () => countOf(source, query, signal));
  const isHeard = () => onProgress !== undefined || meter.audience?.isThere() === true;
  if (isHeard()) meter.count();
  let toldAt = performance.now();
  const listener = guardedListener("onProgress", onProgress);
  const { extent } = source;
  const bytes = source.capabilities.countable ? undefined : extent?.total(query);
  return (recordsRead, failures, last = false, cursor = undefined) => {
    meter.note(recordsRead, failures);
    if (bytes !== undefined && cursor != null) meter.noteBytes(extent!.before(cursor), bytes);
    if ((!last && performance.now() - toldAt < progressInterval) || !isHeard()) return;
    toldAt = performance.now();
    const progress = meter.read();
    if (meter.audience?.isThere()) meter.audience.tell(progress);
    listener(progress);
  };
}

/** Those who listen to a transfer beside its own `onProgress`, and may come late. */
interface Audience {
  isThere(): boolean;
  tell(progress: TransferProgress): void;
}

/** Where a connection puts its meter among the options of a transfer; what copies the options takes it along. */
export const METER = Symbol("meter");

/** Options with a meter in them. */
export interface Metered {
  readonly [METER]?: ProgressMeter;
}

/** Keeps how far a transfer is, its rate and the expected time, for whoever asks at any time. */
export class ProgressMeter {
  readonly transferId: string;
  readonly audience: Audience | undefined;
  readonly #samples = [{ at: performance.now(), records: 0 }];
  #startedAt = performance.now();
  #endedAt: number | undefined;
  #records = 0;
  #failures = 0;
  #total: number | undefined;
  #bytes: { readonly done: number; readonly total: number; readonly began: number } | undefined;
  #ask: (() => Promise<number | undefined>) | undefined;
  #wanted = false;

  constructor(transferId: string, audience?: Audience) {
    this.transferId = transferId;
    this.audience = audience;
  }

  /**
   * The transfer begins to read.
   *
   * @param initial records done by the runs that this one resumes.
   * @param ask asks the source how many records there are.
   */
  begin(initial: number, ask: () => Promise<number | undefined>): void {
    this.#startedAt = performance.now();
    this.#samples.splice(0, this.#samples.length, { at: this.#startedAt, records: initial });
    this.#records = initial;
    this.#bytes = undefined;
    this.#ask = ask;
    if (this.#wanted) this.#askForTotal();
  }

  /** So far it is now. */
  note(records: number, failures: number): void {
    this.#records = records;
    this.#failures = failures;
  }

  /** So many bytes of the source are done with, of so many. */
  noteBytes(done: number, total: number): void {
    // The first that is heard of is where this run began, near enough.
    this.#bytes = { done: Math.min(done, total), total, began: this.#bytes?.began ?? done };
  }

  /** The transfer has ended: what it says from now on stays. */
  end(): void {
    this.#endedAt ??= performance.now();
    this.#ask = undefined;
  }

  /** Lets the source count, if it was not asked to already. */
  count(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#askForTotal();
  }

  #askForTotal(): void {
    this.#ask?.().then(
      (total) => {
        this.#total = total;
      },
      () => {},
    );
  }

  read(): TransferProgress {
    this.count();
    const now = this.#endedAt ?? performance.now();
    const records = this.#records;
    // However often it is asked, it remembers no more than it needs.
    if (now - this.#samples.at(-1)!.at >= SAMPLE_MS) this.#samples.push({ at: now, records });
    while (this.#samples.length > 2 && this.#samples[1]!.at <= now - WINDOW_MS) this.#samples.shift();
    const oldest = this.#samples[0]!;
    const rate = now > oldest.at ? ((records - oldest.records) * 1000) / (now - oldest.at) : 0;
    const total = this.#total;
    const bytes = total === undefined ? this.#bytes : undefined;
    const eta = bytes && bytesEta(bytes, now - this.#startedAt);
    return {
      transferId: this.transferId,
      records,
      failures: this.#failures,
      rate,
      elapsedMs: now - this.#startedAt,
      ...(total !== undefined && { total }),
      ...(bytes && { bytes: { done: bytes.done, total: bytes.total } }),
      ...(eta !== undefined && { etaMs: eta }),
      ...(total !== undefined && rate > 0 && { etaMs: (Math.max(0, total - records) * 1000) / rate }),
    };
  }
}

/** By the mean of this run, once there is something to go by. */
function bytesEta(
  { done, total, began }: { readonly done: number; readonly total: number; readonly began: number },
  elapsedMs: number,
): number | undefined {
  return done > began ? ((total - done) * elapsedMs) / (done - began) : undefined;
}
