/** Retries with exponential back-off and full jitter. */
import { sleep } from "../async/sleep.ts";
import { MAX_TIMER_MS } from "../config.ts";
import { isConnectionError, isP2PError, P2PError } from "../errors.ts";
import type { JsonValue } from "../model/json-value.ts";
import type { P2PId } from "../model/record.ts";
import type { WriteMode, WriteOptions, WriteResult } from "../storage/service.ts";

/** When something is tried again. */
export interface RetryPolicy {
  /** Tries after the first. */
  readonly maxRetries: number;
  /** Longest first wait, in ms. */
  readonly retryDelay: number;
  /** Longest wait, in ms. */
  readonly maxRetryDelay: number;
  /** Whether to wait for a store that went away. */
  readonly autoReconnect: boolean;
  /** How long, in ms, counted from the last success. */
  readonly reconnectTimeout: number;
}

/**
 * The wait before a retry, in ms: exponential backoff with full jitter, a random share of `retryDelay * 2^attempt`,
 * but never less than what the store asked for.
 *
 * Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 *
 * @param attempt 0 for the first retry.
 */
export function backoff(policy: RetryPolicy, attempt: number, retryAfterMs = 0, random = Math.random): number {
  const ceiling = Math.min(policy.maxRetryDelay, policy.retryDelay * 2 ** Math.min(attempt, 30));
  return Math.min(MAX_TIMER_MS, Math.max(retryAfterMs, Math.floor(random() * ceiling)));
}

/** Hears of a wait, in ms, before what ended with this error is tried again. */
export type OnRetry = (error: P2PError, delayMs: number) => void;

/**
 * Counts the tries of one operation and says whether there is to be another: up to `maxRetries` for what the store
 * refused for the moment; for a store that went away as long as `reconnectTimeout` lasts.
 */
export class RetryBudget {
  readonly #policy: RetryPolicy;
  readonly #onRetry: OnRetry | undefined;
  #refusals = 0;
  #losses = 0;
  #lostSince: number | undefined;

  /** @param onRetry told of each wait before it begins. */
  constructor(policy: RetryPolicy, onRetry?: OnRetry) {
    this.#policy = policy;
    this.#onRetry = onRetry;
  }

  /** Something worked: later troubles start with a fresh budget. */
  succeeded(): void {
    this.#refusals = 0;
    this.#found();
  }

  /** Waits until it is time for the next try; `false` when there is none. */
  async again(error: unknown, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted || !isP2PError(error) || !error.retryable) return false;
    const attempt = isConnectionError(error) ? this.#lost() : this.#refused();
    if (attempt === undefined) return false;
    const delay = backoff(this.#policy, attempt, error.retryAfterMs);
    this.#onRetry?.(error, delay);
    return sleep(delay, signal).then(
      () => true,
      () => false,
    );
  }

  #lost(): number | undefined {
    if (!this.#policy.autoReconnect) return undefined;
    this.#lostSince ??= performance.now();
    return performance.now() - this.#lostSince > this.#policy.reconnectTimeout ? undefined : this.#losses++;
  }

  /** A store that refuses is there again: a server that has just started is often busy first. */
  #refused(): number | undefined {
    this.#found();
    return this.#refusals >= this.#policy.maxRetries ? undefined : this.#refusals++;
  }

  #found(): void {
    this.#losses = 0;
    this.#lostSince = undefined;
  }
}

/** A record that was refused for good. */
export interface FinalFailure {
  /** Its place in the array that was to be written. */
  readonly index: number;
  readonly id: P2PId | undefined;
  readonly error: P2PError;
  /** How often it was sent. */
  readonly attempts: number;
}

/** What became of a batch after all tries. */
export interface BatchOutcome {
  written: number;
  skipped: number;
  bytes: number;
  /** Records that were sent again, each time counted. */
  retries: number;
  /** Where a target that is written in one go stands after the batch. */
  position?: JsonValue | undefined;
  readonly failures: FinalFailure[];
}

/**
 * Writes a batch; what the store refuses for the moment is sent again, and only that.
 *
 * @throws P2PError when the store failed as a whole and no try is left; what had been written stays written.
 */
export async function writeWithRetry<T>(
  write: (items: readonly T[], options: WriteOptions) => Promise<WriteResult>,
  items: readonly T[],
  mode: WriteMode,
  policy: RetryPolicy,
  signal: AbortSignal,
  onRetry?: OnRetry,
): Promise<BatchOutcome> {
  const outcome: BatchOutcome = { written: 0, skipped: 0, bytes: 0, retries: 0, failures: [] };
  const budget = new RetryBudget(policy, onRetry);
  /** The places in `items` of what is to be sent; `undefined` means all of them. */
  let places: readonly number[] | undefined;
  for (let attempts = 1; ; attempts++) {
    const batch = places?.map((place) => items[place]!) ?? items;
    try {
      const result = await write(batch, { mode, signal });
      assertAccounted(result, batch.length);
      outcome.written += result.written;
      outcome.skipped += result.skipped;
      outcome.bytes += result.bytes ?? 0;
      if (result.position !== undefined) outcome.position = result.position;
      const failures = result.failures.map(({ index, id, error }) => ({
        index: places?.[index] ?? index,
        id,
        error,
        attempts,
      }));
      const refused = failures.filter(({ error }) => error.retryable);
      outcome.failures.push(...failures.filter(({ error }) => !error.retryable));
      if (refused.length === 0) return outcome;
      const broken = refused.find(({ error }) => isConnectionError(error));
      if (!(await budget.again(broken?.error ?? slowest(refused), signal))) {
        signal.throwIfAborted();
        // No record is to blame when the way to the store is broken.
        if (broken) throw broken.error;
        outcome.failures.push(...refused);
        return outcome;
      }
      places = refused.map(({ index }) => index);
    } catch (error) {
      signal.throwIfAborted();
      if (await budget.again(error, signal)) continue;
      signal.throwIfAborted();
      throw error;
    } finally {
      outcome.retries += attempts > 1 ? batch.length : 0;
    }
  }
}

/** An adapter that loses count would lose records in silence. */
function assertAccounted({ written, skipped, failures }: WriteResult, sent: number): void {
  const places = new Set(failures.map(({ index }) => index));
  const whole =
    written + skipped + failures.length === sent &&
    places.size === failures.length &&
    failures.every(({ index }) => Number.isInteger(index) && index >= 0 && index < sent);
  if (whole) return;
  throw new P2PError(
    "WRITE_FAILED",
    `The target's adapter was given ${sent} records and accounts for ${written} written, ${skipped} skipped and ${places.size} failed ones; it breaks the contract, so report it to its authors`,
  );
}

/** Of several errors the one that asks for the longest wait. */
function slowest(failures: readonly FinalFailure[]): P2PError {
  return failures.reduce((a, b) => ((b.error.retryAfterMs ?? 0) > (a.error.retryAfterMs ?? 0) ? b : a)).error;
}
