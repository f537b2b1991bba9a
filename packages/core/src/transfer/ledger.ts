/** The ledger of a transfer: commits batches in the order of the source, to dead letters and checkpoint. */
import { P2PError } from "../errors.ts";
import type { JsonValue } from "../model/json-value.ts";
import { positionOf, type TransferBatch } from "./batches.ts";
import { CHECKPOINT_VERSION, type Checkpoint, type TransferIdentity } from "./checkpoint/checkpoint.ts";
import type { TransferCounts } from "./counts.ts";
import type { DeadLetter } from "./dead-letters/dead-letter.ts";
import { FailureBudget } from "./failure-budget.ts";
import type { Lane } from "./lane.ts";
import type { ResolvedTransfer } from "./options.ts";
import { MAX_LISTED_ERRORS, type TransferFailure } from "./result.ts";
import type { ReadStart } from "./resuming-read.ts";
import type { BatchOutcome } from "./retry.ts";
import { idText } from "./transform.ts";

/** A batch that has been written, waiting for those before it. */
interface Settled {
  readonly batch: TransferBatch;
  readonly outcome: BatchOutcome;
  readonly committed: PromiseWithResolvers<void>;
}

/** A batch that could not be written: nothing after it can be entered. */
interface Gap {
  readonly error: unknown;
}

/** How often a checkpoint is made to survive a loss of power, in ms. */
const FLUSH_MS = 1000;

/**
 * Keeps the books of a transfer: batches end in any order and are entered in the order of the source. An entry first
 * puts its failures into the dead letters and then moves the checkpoint, so that counts, letters and checkpoint agree.
 */
export class Ledger {
  readonly #identity: TransferIdentity;
  readonly #options: ResolvedTransfer;
  readonly #redact: (text: string) => string;
  readonly #recordOf: Lane["recordOf"];
  readonly #stores: () => Pick<Checkpoint, "stores">;
  readonly #flushTarget: (() => Promise<void>) | undefined;
  readonly #budget: FailureBudget;
  readonly #settled = new Map<number, Settled | Gap>();
  #next = 0;
  #committing = false;
  /** Why nothing more is entered. What comes later than a gap in the books would be lost on resuming. */
  #broken: { readonly reason: unknown } | undefined;
  #flushedAt = performance.now();
  #cursor: JsonValue = null;
  #deadLetterPosition: JsonValue = null;
  #targetPosition: JsonValue | undefined;
  #status: Checkpoint["status"] = "running";
  #counts = { totalRecords: 0, successCount: 0, failureCount: 0, skippedCount: 0, retryCount: 0 };
  recordsRead = 0;
  bytes = 0;
  readonly errors: TransferFailure[] = [];
  /** What the earlier runs had done. */
  readonly resumed: TransferCounts | undefined;

  /**
   * @param recordOf what an item of a batch is as a record.
   * @param stores what is known of the two stores by now.
   * @param earlier the checkpoint to go on from.
   * @param flushTarget makes what a sequential target was given survive a loss of power.
   */
  constructor(
    identity: TransferIdentity,
    options: ResolvedTransfer,
    redact: (text: string) => string,
    recordOf: Lane["recordOf"],
    stores: () => Pick<Checkpoint, "stores">,
    earlier?: Checkpoint,
    flushTarget?: () => Promise<void>,
  ) {
    this.#flushTarget = flushTarget;
    this.#identity = identity;
    this.#options = options;
    this.#redact = redact;
    this.#recordOf = recordOf;
    this.#stores = stores;
    this.#budget = new FailureBudget(options.config.maxFailures, earlier?.counts);
    if (!earlier) return;
    this.#cursor = earlier.cursor;
    this.#deadLetterPosition = earlier.deadLetterPosition;
    this.#targetPosition = earlier.targetPosition;
    this.#status = earlier.status;
    this.#counts = { ...earlier.counts };
    this.resumed = { ...earlier.counts };
    this.recordsRead = earlier.recordsRead;
  }

  get counts(): TransferCounts {
    return { ...this.#counts };
  }

  /** Where reading starts: after everything that is entered. */
  get start(): ReadStart {
    return { cursor: this.#cursor ?? undefined, recordsRead: this.recordsRead };
  }

  checkpoint(): Checkpoint {
    return {
      version: CHECKPOINT_VERSION,
      transferId: this.#options.transferId,
      status: this.#status,
      identity: this.#identity,
      cursor: this.#cursor,
      recordsRead: this.recordsRead,
      counts: this.counts,
      ...this.#stores(),
      deadLetterPosition: this.#deadLetterPosition,
      ...(this.#targetPosition !== undefined && { targetPosition: this.#targetPosition }),
      updatedAt: new Date().toISOString(),
    };
  }

  /** Takes the outcome of the batch with this number; resolves when it is entered and the checkpoint is saved. */
  settle(ticket: number, batch: TransferBatch, outcome: BatchOutcome): Promise<void> {
    const committed = Promise.withResolvers<void>();
    this.#settled.set(ticket, { batch, outcome, committed });
    if (!this.#committing) void this.#commit();
    return committed.promise;
  }

  /** Notes that the batch with this number could not be written, so that those after it do not wait for it. */
  fail(ticket: number, error: unknown): void {
    this.#settled.set(ticket, { error });
    if (!this.#committing) void this.#commit();
  }

  async #commit(): Promise<void> {
    this.#committing = true;
    for (let ready = this.#takeReady(); ready.length > 0; ready = this.#takeReady()) {
      try {
        if (this.#broken) throw this.#broken.reason;
        await this.#enter(ready);
        for (const { committed } of ready) committed.resolve();
      } catch (error) {
        this.#broken ??= { reason: error };
        for (const { committed } of ready) committed.reject(error);
      }
    }
    this.#committing = false;
  }

  #takeReady(): Settled[] {
    const ready: Settled[] = [];
    for (let entry = this.#settled.get(this.#next); entry; entry = this.#settled.get(this.#next)) {
      if ("error" in entry) {
        if (ready.length > 0) break;
        this.#broken ??= { reason: entry.error };
      } else {
        ready.push(entry);
      }
      this.#settled.delete(this.#next++);
    }
    return ready;
  }

  async #enter(entries: readonly Settled[]): Promise<void> {
    const letters = entries.flatMap(({ batch, outcome }) => this.#letters(batch, outcome));
    if (letters.length > 0 && this.#options.deadLetters) {
      const position = await this.#options.deadLetters.write(letters);
      // The run may have been given up meanwhile, and another one begun.
      if (this.#broken) throw this.#broken.reason;
      this.#deadLetterPosition = position;
    }
    for (const { batch, outcome } of entries) this.#count(batch, outcome);
    for (const { id, phase, code, reason, attempts } of letters) {
      if (this.errors.length < MAX_LISTED_ERRORS) this.errors.push({ id, phase, code, reason, attempts });
    }
    await this.#save();
    this.#budget.assertBorne(this.#counts, letters.at(-1)?.reason);
  }

  #letters(batch: TransferBatch, outcome: BatchOutcome): DeadLetter[] {
    if (batch.letters.length === 0 && outcome.failures.length === 0) return [];
    const refused = outcome.failures.map(({ index, id, error, attempts }) => {
      const record = this.#recordOf(batch.items[index]);
      const position = positionOf(batch, index);
      return {
        id: record ? idText(record) : idText({ id }),
        phase: "write" as const,
        code: error.code,
        reason: error.message,
        attempts,
        position,
        ...(record && { record }),
      };
    });
    const at = new Date().toISOString();
    return [...batch.letters, ...refused]
      .sort((a, b) => a.position - b.position)
      .map((letter) => ({ transferId: this.#options.transferId, ...letter, reason: this.#redact(letter.reason), at }));
  }

  #count(batch: TransferBatch, outcome: BatchOutcome): void {
    const counts = this.#counts;
    const failed = batch.letters.length + outcome.failures.length;
    counts.successCount += outcome.written;
    counts.failureCount += failed;
    counts.skippedCount += batch.dropped + outcome.skipped;
    counts.retryCount += outcome.retries;
    counts.totalRecords += outcome.written + failed + batch.dropped + outcome.skipped;
    this.recordsRead = batch.recordsRead;
    this.bytes += outcome.bytes;
    this.#cursor = batch.cursor;
    if (outcome.position !== undefined) this.#targetPosition = outcome.position;
  }

  async #save(): Promise<void> {
    const { checkpoints } = this.#options;
    if (!checkpoints) return;
    await checkpoints.save(this.checkpoint());
    if (performance.now() - this.#flushedAt < FLUSH_MS && this.#status === "running") return;
    this.#flushedAt = performance.now();
    await this.#flush();
  }

  /** Letters and target first: a checkpoint that knows of what is lost cannot be resumed. */
  async #flush(): Promise<void> {
    await this.#flushTarget?.();
    await this.#options.deadLetters?.flush?.();
    await this.#options.checkpoints?.flush?.(this.#options.transferId);
  }

  /** Marks the transfer as completed. */
  async complete(): Promise<void> {
    this.#status = "completed";
    await this.#save();
  }

  /** Makes what is entered safe when the transfer ends early. */
  async interrupt(): Promise<void> {
    this.#broken ??= { reason: new P2PError("CLOSED", "The transfer has ended") };
    if (this.recordsRead === 0) return;
    await this.#options.checkpoints?.save(this.checkpoint());
    await this.#flush();
  }
}
