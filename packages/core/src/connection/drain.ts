/** Graceful shutdown: how long work under way may drain. */
import { onAbort } from "../async/abort.ts";
import { MAX_TIMER_MS } from "../config.ts";
import type { CloseOptions } from "./options.ts";

/** The grace of a graceful shutdown: how long work under way may go on. Of several calls the most impatient one decides. */
export class Drain {
  readonly #over = new AbortController();

  /** Aborts when nothing is waited for any more. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** Closes something, with one caller's patience. */
  async during(
    { drainTimeout, signal }: CloseOptions,
    defaultTimeout: number,
    close: () => Promise<void>,
  ): Promise<void> {
    const over = () => this.#over.abort();
    const timeout = drainTimeout ?? defaultTimeout;
    const given = signal instanceof AbortSignal ? signal : undefined;
    if (timeout <= 0) over();
    const timer = setTimeout(over, Math.min(timeout, MAX_TIMER_MS));
    const forget = onAbort(given, over);
    try {
      await close();
    } finally {
      clearTimeout(timer);
      forget();
    }
  }

  /** Waits for a piece of work to end, as long as there is patience. */
  async wait(ended: Promise<unknown>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const forget = onAbort(this.signal, resolve);
    await Promise.race([ended, promise]);
    forget();
  }
}
