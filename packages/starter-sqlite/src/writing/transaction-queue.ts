import { P2PError } from "@omni/p2p-core/starter";
import { setPragmas } from "../client/schema.ts";
import type { SqliteStore } from "../client/store.ts";

/** A mutex for one connection's transactions: whoever writes or deletes waits for those who came before. */
export class TransactionQueue {
  readonly #store: SqliteStore;
  #last: Promise<unknown> = Promise.resolve();
  #isSetUp = false;
  #busyMs = 0;

  constructor(store: SqliteStore) {
    this.#store = store;
  }

  /** How long it has held the thread, in milliseconds. */
  get busyMs(): number {
    return this.#busyMs;
  }

  /** Does something when all that came before is done. */
  enqueue<T>(task: () => Promise<T>): Promise<T> {
    const running = this.#last.then(task);
    this.#last = running.catch(() => {});
    return running;
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    await this.#last;
  }

  /** @throws P2PError `TARGET_NOT_WRITABLE` where the file was opened for reading, `CONNECTION_LOST` where it is another by now. */
  assertWritable(): void {
    const { endpoint, readOnly } = this.#store;
    if (readOnly) {
      throw new P2PError("TARGET_NOT_WRITABLE", `${endpoint.label} was opened as a source, for reading alone`);
    }
    this.#store.assertSameFile();
  }

  /** Does something within a transaction of its own, which is taken back when it throws or is aborted. */
  async transaction<T>(signal: AbortSignal, body: () => Promise<T>): Promise<T> {
    const store = this.#store;
    if (!this.#isSetUp) {
      await this.work(signal, () => setPragmas(store));
      this.#isSetUp = true;
    }
    await this.work(signal, () => store.db.exec("BEGIN IMMEDIATE"));
    // Holds until the end of the transaction.
    if (store.endpoint.options.foreignKeys === "deferred") store.db.pragma("defer_foreign_keys = ON");
    try {
      const result = await body();
      await this.work(signal, () => store.db.exec("COMMIT"));
      return result;
    } catch (error) {
      if (store.db.inTransaction) store.db.exec("ROLLBACK");
      // A schema change that was rolled back takes the version back with it.
      store.forgetTable();
      throw error;
    }
  }

  /** Does something that may meet a lock, and takes the time. */
  work<T>(signal: AbortSignal, work: () => T): Promise<T> {
    return this.#store.patiently("written", signal, () => {
      const since = performance.now();
      try {
        return work();
      } finally {
        this.#busyMs += performance.now() - since;
      }
    });
  }
}
