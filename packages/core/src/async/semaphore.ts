/** Semaphore: a limit on how much is done at a time. */
import { onAbort } from "./abort.ts";

/** How long one waits for a permit, and with what error the waiting ends. */
export interface PermitDeadline {
  readonly ms: number;
  readonly late: () => unknown;
}

/** A semaphore: a limit on how many hold a permit at a time; who comes first is served first. With one permit, a mutex. */
export class Semaphore {
  readonly permits: number;
  /** Who waits for a permit. */
  readonly #waiters = new Set<() => void>();
  #taken = 0;

  constructor(permits: number) {
    this.permits = permits;
  }

  /**
   * Takes a permit, waiting for one if need be.
   *
   * @throws the signal's reason, or the error of the deadline.
   */
  async acquire(signal: AbortSignal, deadline?: PermitDeadline): Promise<void> {
    signal.throwIfAborted();
    if (this.tryAcquire()) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const leave = (reason: unknown) => {
      // One who was served just now has the permit.
      if (this.#waiters.delete(resolve)) reject(reason);
    };
    this.#waiters.add(resolve);
    const timer = deadline && setTimeout(() => leave(deadline.late()), deadline.ms);
    const forget = onAbort(signal, () => leave(signal.reason));
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      forget();
    }
  }

  /** Takes a permit if one is free. */
  tryAcquire(): boolean {
    if (this.#taken >= this.permits) return false;
    this.#taken++;
    return true;
  }

  /** Gives a permit back, to the one who has waited longest. */
  release(): void {
    const [first] = this.#waiters;
    if (first) {
      this.#waiters.delete(first);
      first();
    } else {
      this.#taken--;
    }
  }

  /** Does a piece of work that holds a permit meanwhile. */
  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.acquire(signal);
    try {
      return await work();
    } finally {
      this.release();
    }
  }
}
