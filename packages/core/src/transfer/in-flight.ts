/** The window of concurrent writes: waits until there is room or all are done. */
import { onAbort } from "../async/abort.ts";
import { settleSoon } from "../async/deadline.ts";

/** The writes under way, and a way to wait for them that ends with the signal even where the writes do not. */
export class InFlight {
  readonly #signal: AbortSignal;
  readonly #tasks = new Set<Promise<void>>();
  #abortedAt: number | undefined;
  /** Renewed with each change: racing against one lasting promise would keep something of every race. */
  #change = Promise.withResolvers<void>();

  /** @param signal one that lasts no longer than this does. */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
    onAbort(signal, () => {
      this.#abortedAt = performance.now();
      this.changed();
    });
  }

  get size(): number {
    return this.#tasks.size;
  }

  /** @param task must not reject. */
  add(task: Promise<void>): void {
    this.#tasks.add(task);
    void task.then(() => {
      this.#tasks.delete(task);
      this.changed();
    });
  }

  /** Waits until enough have ended; throws the signal's reason as soon as it aborts. */
  async until(isEnough: () => boolean): Promise<void> {
    while (!isEnough() && !this.#signal.aborted) await this.#change.promise;
    this.#signal.throwIfAborted();
  }

  /** After an abort: waits a little while for what may still end well. */
  async settle(): Promise<void> {
    await settleSoon([...this.#tasks], this.#abortedAt);
  }

  /** Lets {@link until} look again. */
  changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }
}
