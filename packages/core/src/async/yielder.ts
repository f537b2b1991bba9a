/** Yielding to the event loop in long synchronous work. */
import { setImmediate } from "node:timers/promises";

/** Longest stretch of work without a turn of the event loop, in ms. */
const STRETCH_MS = 5;

/**
 * Yields to the event loop now and then: lets timers and sockets have their turn in long work that is synchronous
 * underneath, such as that of an embedded store.
 *
 * @example
 * ```ts
 * const yielder = new Yielder();
 * let sum = 0;
 * for (let number = 0; number < 1e5; number++) {
 *   sum += Math.sqrt(number);
 *   await yielder.yieldIfDue();
 * }
 * ```
 */
export class Yielder {
  #since = performance.now();

  /** Whether the others have waited for 5 ms. */
  get isDue(): boolean {
    return performance.now() - this.#since >= STRETCH_MS;
  }

  /** A promise to wait for when a turn is due, else `undefined`. */
  yieldIfDue(): Promise<void> | undefined {
    return this.isDue ? this.#yield() : undefined;
  }

  async #yield(): Promise<void> {
    await setImmediate();
    this.#since = performance.now();
  }
}
