/** Adaptive batch sizes, by the throughput that is seen; fixed ones where a number is given. */
import type { ConnectionConfig } from "../config.ts";
import { isP2PError } from "../errors.ts";

/** How much is written at a time. */
export interface Pace {
  /** Items to read in a page. */
  readonly page: number;
  /** Items that a batch should have before it is written; 0 when it is written as it was read. */
  readonly enough: number;
  /** Writes under way at most. */
  readonly width: number;
  /** How many of the items that are left of a batch go into one write. */
  portion(left: number): number;
  /** Tells that a batch was written, and whether the target refused any of it for the moment. */
  wrote(items: number, refused: boolean): void;
  /** Whether a write that failed as a whole, retries and all, may do in halves. */
  mayShrink(items: number, error: unknown): boolean;
}

/** @param writeConcurrency what the target can take at a time. */
export function paceOf(config: ConnectionConfig, writeConcurrency: number, now = () => performance.now()): Pace {
  const width = Math.min(config.concurrency, Math.max(1, writeConcurrency));
  if (config.batchSize === "auto") return new AdaptivePace(width, config.readAhead, now);
  const page = config.batchSize;
  return { page, enough: 0, width, portion: (left) => Math.min(left, page), wrote: () => {}, mayShrink: () => false };
}

/** Bounds of an adaptive batch, in items. The upper one keeps the work of one batch short enough for the event loop. */
export const LEAST_ITEMS = 50;
export const MOST_ITEMS = 4000;

const FIRST_ITEMS = 1000;

/** How long, in ms, and over how many rounds of writes a size is looked at before the next one is tried. */
const LOOK_MS = 100;
const LOOK_ROUNDS = 2;

/** By how much a larger batch must be faster to be worth its memory. */
const WORTHWHILE = 1.05;

/** Looks at a size that was found good before its neighbours are tried again. */
const HOLD = 20;

/**
 * Finds the batch size by trying, and the number of writes by what the target bears.
 *
 * The size doubles while that makes the transfer faster, and is halved when that does not make it slower, since small
 * batches take less memory and are sooner in the checkpoint. What the target refuses for the moment (busy, too many
 * requests, a timeout) halves the size and the writes under way; the writes come back one by one.
 */
class AdaptivePace implements Pace {
  readonly page = FIRST_ITEMS;
  readonly #most: number;
  readonly #readAhead: number;
  readonly #now: () => number;
  #size = FIRST_ITEMS;
  #width: number;
  /** The size before this one, and how many items a millisecond went over with it. */
  #before: { readonly size: number; readonly rate: number } | undefined;
  #growing = true;
  #hold = 0;
  /** Writes that still have the old size after a change, and so tell nothing: refused together, they are one refusal. */
  #unsettled = 0;
  #look = { since: 0, items: 0, writes: 0 };

  constructor(width: number, readAhead: number, now: () => number) {
    this.#most = width;
    this.#width = width;
    this.#readAhead = readAhead;
    this.#now = now;
    this.#look.since = now();
  }

  get enough(): number {
    return this.#size;
  }

  get width(): number {
    return this.#width;
  }

  /** A rest is not worth a write of its own. */
  portion(left: number): number {
    return left <= this.#size * 1.5 ? left : this.#size;
  }

  wrote(items: number, refused: boolean): void {
    if (this.#unsettled > 0) {
      if (--this.#unsettled === 0) this.#lookAnew();
    } else if (refused) {
      this.#backOff();
    } else {
      this.#look.items += items;
      this.#look.writes++;
      const elapsed = this.#now() - this.#look.since;
      if (elapsed < LOOK_MS || this.#look.writes < LOOK_ROUNDS * this.#width) return;
      const rate = this.#look.items / elapsed;
      if (this.#width < this.#most) this.#width++;
      else this.#judge(rate);
      this.#lookAnew();
    }
  }

  mayShrink(items: number, error: unknown): boolean {
    if (isP2PError(error, "RECORD_TOO_LARGE")) return items > 1;
    return items > LEAST_ITEMS && (isP2PError(error, "BUSY") || isP2PError(error, "TIMEOUT"));
  }

  /** Whether what was refused was refused for its size or for its frequency nobody knows, so both are halved. */
  #backOff(): void {
    this.#width = Math.max(1, this.#width >> 1);
    this.#before = undefined;
    this.#growing = false;
    this.#hold = HOLD;
    this.#resize(this.#size / 2);
  }

  #judge(rate: number): void {
    if (this.#hold > 0) {
      this.#hold--;
      return;
    }
    const before = this.#before;
    if (before === undefined) {
      this.#step(rate);
      return;
    }
    const [small, large] = this.#growing ? [before.rate, rate] : [rate, before.rate];
    const good = this.#growing ? large >= small * WORTHWHILE : large < small * WORTHWHILE;
    if (good) {
      this.#step(rate);
      return;
    }
    this.#before = undefined;
    this.#growing = !this.#growing;
    this.#hold = HOLD;
    this.#resize(before.size);
  }

  /** Goes on in the direction that has been good so far. */
  #step(rate: number): void {
    this.#before = { size: this.#size, rate };
    const size = this.#size;
    this.#resize(this.#growing ? size * 2 : size / 2);
    if (this.#size !== size) return;
    this.#before = undefined;
    this.#growing = !this.#growing;
    this.#hold = HOLD;
  }

  #resize(size: number): void {
    this.#size = Math.min(MOST_ITEMS, Math.max(LEAST_ITEMS, Math.round(size)));
    this.#unsettled = this.#most + this.#readAhead;
    this.#lookAnew();
  }

  #lookAnew(): void {
    this.#look = { since: this.#now(), items: 0, writes: 0 };
  }
}
