/** A ring of changes: the newest ones of a store, by their numbers. */
import { randomUUID } from "node:crypto";
import { onAbort, type P2PId } from "@omni/p2p-core/starter";

/** Remembers which records of a store changed, from the moment on at which somebody asked for it. */
export class ChangeJournal {
  /** Tells this journal from that of another process or another store. */
  readonly token = randomUUID();
  #size: number;
  /** Changes in order, up to twice as many as are kept: the older half is cut off at once, which costs next to nothing for each. */
  #ids: P2PId[] = [];
  /** Changes that are no longer in {@link #ids}. */
  #gone = 0;
  #newestAt: number | undefined;
  readonly #waiters = new Set<() => void>();

  /** @param size changes that are kept. */
  constructor(size: number) {
    this.#size = size;
  }

  /** How many changes there have been: the position behind the newest. */
  get position(): number {
    return this.#gone + this.#ids.length;
  }

  /** When the newest change was made. */
  get newestAt(): Date | undefined {
    return this.#newestAt === undefined ? undefined : new Date(this.#newestAt);
  }

  /** Keeps so many changes from now on, unless it keeps more already. */
  grow(size: number): void {
    this.#size = Math.max(this.#size, size);
  }

  note(id: P2PId): void {
    if (this.#ids.length >= this.#size * 2) {
      this.#gone += this.#ids.length - this.#size;
      this.#ids = this.#ids.slice(-this.#size);
    }
    this.#ids.push(id);
    this.#newestAt = Date.now();
    if (this.#waiters.size > 0) this.wake();
  }

  /** Everything changed at one stroke: from no position until now can be read on. */
  forget(): void {
    this.#gone = this.position + 1;
    this.#ids = [];
    this.wake();
  }

  /** At most so many changes after a position, or `undefined` when some of these are forgotten. */
  after(position: number, most: number): readonly P2PId[] | undefined {
    const oldest = Math.max(this.#gone, this.position - this.#size);
    if (position < oldest) return undefined;
    return this.#ids.slice(position - this.#gone, position - this.#gone + most);
  }

  /** Lets whoever waits look again. */
  wake(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const go of waiters) go();
  }

  /** Waits for the next change, but no longer than so many ms. */
  async next(ms: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#waiters.add(resolve);
    const forget = onAbort(signal, resolve);
    try {
      await promise;
    } finally {
      forget();
      clearTimeout(timer);
      this.#waiters.delete(resolve);
    }
  }
}
