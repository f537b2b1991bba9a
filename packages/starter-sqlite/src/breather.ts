import { setImmediate } from "node:timers/promises";

/** How long the process may be held up in one go, in milliseconds. */
const SLICE_MS = 5;

/** Lets timers and sockets have their turn in long work, since SQLite works in the process's own thread. */
export class Breather {
  #since = performance.now();

  get isDue(): boolean {
    return performance.now() - this.#since >= SLICE_MS;
  }

  /** Waits for the others when it is time for that. */
  async due(): Promise<void> {
    if (!this.isDue) return;
    await setImmediate();
    this.#since = performance.now();
  }
}
