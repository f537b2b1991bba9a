import { availableParallelism } from "node:os";
import { type EventLoopUtilization, performance } from "node:perf_hooks";
import {
  type DeleteOptions,
  type DeleteRef,
  type DeleteResult,
  messageOf,
  P2PError,
  type P2PRecord,
  unlessAborted,
  type WriteOptions,
  type WriteResult,
} from "@omni/p2p-core/starter";
import type { SqliteStore } from "./client/store.ts";
import { type PackedRecords, packRecords } from "./values/packed-records.ts";
import { deleteRecords, hasDeletableRows } from "./writing/delete.ts";
import { TableWriter } from "./writing/table-writer.ts";
import { ThreadWriter } from "./writing/threaded-writer.ts";
import { TransactionQueue } from "./writing/transaction-queue.ts";

/** How long is written here before it is looked at what a thread would gain, in milliseconds. */
const TRIAL_MS = 100;
/** How busy the thread must be: one that waits for a server has room for the writing too. */
const LEAST_BUSY = 0.9;
/** How much of the time may go into writing: a thread gains what the rest takes, and costs a tenth or so. */
const MOST_WRITING = 0.8;

/** What is compared with when a trial is over. */
interface Trial {
  readonly start: number;
  readonly writtenMs: number;
  readonly load: EventLoopUtilization;
}

/**
 * The way in for writing a table: batches and deletes in the order they come, in this thread at first, and batches in a
 * worker thread of their own when this one has its hands full with reading and writing both.
 */
export class TargetWriter {
  readonly #store: SqliteStore;
  readonly #tableName: string;
  readonly #transactions: TransactionQueue;
  readonly #here: TableWriter;
  #mayBegin: boolean;
  #thread: ThreadWriter | undefined;
  #trial: Trial | undefined;
  /** Who was given the last batch. */
  #last: "here" | "thread" = "here";
  /** Resolves when the batches are written that came before the last change of writers. */
  #before: Promise<unknown> = Promise.resolve();
  /** Resolves when all batches that have come are written. */
  #settled: Promise<unknown> = Promise.resolve();

  constructor(store: SqliteStore, tableName: string) {
    const { thread } = store.endpoint.options;
    this.#store = store;
    this.#tableName = tableName;
    this.#transactions = new TransactionQueue(store);
    this.#here = new TableWriter(store, tableName, this.#transactions);
    this.#mayBegin = !store.readOnly && thread !== "never" && (thread === "always" || availableParallelism() > 1);
  }

  /**
   * Begins the thread that the option `thread` asks for before anything is written.
   *
   * @throws P2PError `CONNECTION_FAILED` when there can be none.
   */
  async open(): Promise<void> {
    const { label, options } = this.#store.endpoint;
    if (!this.#mayBegin || options.thread !== "always") return;
    try {
      await this.#beginThread();
    } catch (error) {
      throw new P2PError(
        "CONNECTION_FAILED",
        `${label}: no thread could be begun to write it: ${messageOf(error)}; the option thread "auto" does without`,
        { cause: error },
      );
    }
  }

  /** Writes a batch when those before it are done. */
  write(records: readonly P2PRecord[], options: WriteOptions): Promise<WriteResult> {
    // Where none can be had, writing goes on here as before.
    if (this.#mayBegin && this.#isWorthIt()) this.#beginThread().catch(() => {});
    const packed = this.#packForThread(records);
    if (packed === undefined) return this.#inOrder("here", () => this.#here.write(records, options));
    return this.#inOrder("thread", () => this.#thread!.write(packed, records, options));
  }

  /** Deletes records when the batches before are written. */
  delete(refs: readonly DeleteRef[], options: DeleteOptions): Promise<DeleteResult> {
    return this.#inOrder("here", () =>
      this.#transactions.enqueue(() => deleteRecords(this.#store, this.#tableName, this.#transactions, refs, options)),
    );
  }

  /** Whether records can be deleted from the table as it is: a target's may have been made in the form of one without a key. */
  get deletes(): boolean {
    try {
      const table = this.#store.table(this.#tableName);
      return table === undefined || hasDeletableRows(table);
    } catch {
      // It is locked, closed or damaged: who deletes from it is told then.
      return true;
    }
  }

  /** Does something in a transaction of its own, between batches and deletes. */
  apart<T>(signal: AbortSignal, work: () => T): Promise<T> {
    return this.#inOrder("here", () =>
      this.#transactions.enqueue(() => {
        this.#transactions.assertWritable();
        return this.#transactions.transaction(signal, () => this.#transactions.work(signal, work));
      }),
    );
  }

  #inOrder<T>(writer: "here" | "thread", work: () => Promise<T>): Promise<T> {
    if (writer !== this.#last) this.#before = this.#settled;
    this.#last = writer;
    const working = this.#before.then(work);
    // Without their values, which would hold on to those of all earlier batches.
    this.#settled = Promise.allSettled([this.#settled, working]).then(() => {});
    return working;
  }

  /**
   * Looks at the table between two transactions: what one has written on this connection and may yet take back is seen on
   * it, and neither there nor gone.
   */
  between<T>(signal: AbortSignal, look: () => Promise<T>): Promise<T> {
    return unlessAborted(this.#store.readOnly ? look() : this.#transactions.enqueue(look), signal);
  }

  /** Waits for what is under way, and ends the thread. */
  async close(): Promise<void> {
    await this.#settled;
    await this.#thread?.close();
  }

  async #beginThread(): Promise<void> {
    this.#mayBegin = false;
    const { endpoint, patienceMs, inode } = this.#store;
    this.#thread = new ThreadWriter({ endpoint, table: this.#tableName, patienceMs, inode });
    await this.#thread.ready;
  }

  /** Whether a thread would gain something, as far as a trial has shown. */
  #isWorthIt(): boolean {
    this.#trial ??= {
      start: performance.now(),
      writtenMs: this.#transactions.busyMs,
      load: performance.eventLoopUtilization(),
    };
    const writing = this.#transactions.busyMs - this.#trial.writtenMs;
    if (writing < TRIAL_MS) return false;
    const elapsed = performance.now() - this.#trial.start;
    const { utilization } = performance.eventLoopUtilization(this.#trial.load);
    this.#trial = undefined;
    return utilization >= LEAST_BUSY && writing <= elapsed * MOST_WRITING;
  }

  /** The records as the thread takes them; `undefined` when they are to be written here. */
  #packForThread(records: readonly P2PRecord[]): PackedRecords | undefined {
    if (!this.#thread?.takesBatches) return undefined;
    try {
      return packRecords(records);
    } catch {
      // What is wrong with a record is told of that record alone by the one who encodes it.
      return undefined;
    }
  }
}
