import { P2PError } from "../errors.ts";

/** One who waits for a slot. */
interface Waiter {
  readonly admit: () => void;
}

/** A limit on how many may hold a slot at a time; who comes first is served first. */
export class Slots {
  readonly #limit: number;
  readonly #waiters = new Set<Waiter>();
  #taken = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * Takes a slot, waiting for one if need be.
   *
   * @throws P2PError `POOL_EXHAUSTED` after `timeoutMs`, or the signal's reason.
   */
  async take(timeoutMs: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#taken < this.#limit) {
      this.#taken++;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { admit: resolve };
    const leave = (reason: unknown) => {
      this.#waiters.delete(waiter);
      reject(reason);
    };
    const abort = () => leave(signal.reason);
    const timer = setTimeout(() => leave(this.#exhausted(timeoutMs)), timeoutMs);
    signal.addEventListener("abort", abort, { once: true });
    this.#waiters.add(waiter);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    }
  }

  /** Takes a slot if one is free. */
  tryTake(): boolean {
    if (this.#taken >= this.#limit) return false;
    this.#taken++;
    return true;
  }

  /** Gives a slot back, to the one who has waited longest. */
  give(): void {
    const [first] = this.#waiters;
    if (first) {
      this.#waiters.delete(first);
      first.admit();
    } else {
      this.#taken--;
    }
  }

  #exhausted(timeoutMs: number): P2PError {
    return new P2PError(
      "POOL_EXHAUSTED",
      `All ${this.#limit} connections are in use and none was closed within ${timeoutMs} ms; close connections that are done with, or raise maxConnections`,
      { retryable: true },
    );
  }
}
