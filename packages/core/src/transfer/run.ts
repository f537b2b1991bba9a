/** The pipeline of a transfer: reads, transforms, writes concurrently and commits in order. */
import { unlessAborted } from "../async/abort.ts";
import { messageOf, P2PError, toP2PError } from "../errors.ts";
import { endpointLabel } from "../storage/endpoint.ts";
import type { P2PQuery } from "../storage/query.ts";
import { redactError, redactText, secretsOf } from "../storage/redact.ts";
import { type TransferBatch, transferBatches } from "./batches.ts";
import { assertResumable, type Checkpoint } from "./checkpoint/checkpoint.ts";
import { identityOf } from "./checkpoint/identity.ts";
import { IncarnationGuard } from "./checkpoint/incarnation.ts";
import { CollisionFinder, notesOf } from "./collisions.ts";
import { assertPlaceForLetters } from "./dead-letters/letter-place.ts";
import { publishBatch, publishRetry } from "./diagnostics.ts";
import { claim } from "./durable/claim.ts";
import type { TransferEnd } from "./end.ts";
import { FieldWatch } from "./field-watch.ts";
import { InFlight } from "./in-flight.ts";
import { type Lane, laneBetween } from "./lane.ts";
import { LastSteps } from "./last-steps.ts";
import { Ledger } from "./ledger.ts";
import type { ResolvedTransfer } from "./options.ts";
import { type Pace, paceOf } from "./pace.ts";
import { progressTeller } from "./progress.ts";
import { readAhead } from "./read-ahead.ts";
import { P2PTransferError, type TransferResult } from "./result.ts";
import { type BatchOutcome, type OnRetry, writeWithRetry } from "./retry.ts";
import { stopSignal } from "./stop.ts";

/** Batches that wait for an earlier one to be entered, for each that is being written, at most. */
const MAX_WAITING = 4;

/** What the parts of a transfer look out for together; what it found is told by whoever shares it. */
export interface SharedFindings {
  readonly collisions: CollisionFinder;
  readonly fields: FieldWatch;
}

/** One run of a transfer, from its checkpoint to its result. */
export class TransferRun {
  readonly #source: TransferEnd;
  readonly #target: TransferEnd;
  readonly #query: P2PQuery;
  readonly #options: ResolvedTransfer;
  readonly #collisions: CollisionFinder;
  readonly #fields: FieldWatch;
  readonly #isPart: boolean;
  #notes: readonly string[] = [];
  #lane: Lane;
  readonly #pace: Pace;
  readonly #secrets: readonly string[];
  readonly #startedAt = performance.now();
  readonly #own = new AbortController();
  readonly #signal: AbortSignal = this.#own.signal;
  readonly #last = new LastSteps(this.#signal);
  #bytesInFlight = 0;

  /** @param shared given where this is a part of a transfer. */
  constructor(
    source: TransferEnd,
    target: TransferEnd,
    query: P2PQuery,
    options: ResolvedTransfer,
    shared?: SharedFindings,
  ) {
    this.#source = source;
    this.#target = target;
    this.#query = query;
    this.#options = options;
    this.#collisions = shared?.collisions ?? new CollisionFinder();
    this.#fields = shared?.fields ?? new FieldWatch(query);
    this.#isPart = shared !== undefined;
    this.#lane = laneBetween(source.service, target.service, options.transform, options.transformTerms);
    this.#pace = paceOf(options.config, target.service.capabilities.writeConcurrency);
    this.#secrets = secretsOf(source.endpoint, target.endpoint);
  }

  async run(): Promise<TransferResult> {
    const { deadLetters, stateFolder } = this.#options;
    const ends = [this.#source.endpoint, this.#target.endpoint];
    assertPlaceForLetters(ends, deadLetters?.location, stateFolder);
    const { disarm } = stopSignal(this.#options, this.#own);
    try {
      return await this.#claimed();
    } finally {
      disarm();
    }
  }

  /** Runs with the lock of the transfer, where there are checkpoints. */
  async #claimed(): Promise<TransferResult> {
    const { checkpoints, transferId } = this.#options;
    let unlock: (() => Promise<void>) | undefined;
    let result: TransferResult;
    try {
      unlock = checkpoints && (await claim(checkpoints, transferId, this.#signal));
      result = await this.#run(await unlessAborted(this.#earlierCheckpoint(), this.#signal));
    } catch (error) {
      const ended = this.#signal.aborted && !(error instanceof P2PTransferError);
      const reason = ended
        ? this.#ending(
            error,
            this.#ledger(() => ({})),
          )
        : error;
      // What goes wrong now must not hide why the transfer ended.
      await this.#last.take(unlock?.().catch(() => {}));
      throw redactError(toP2PError(reason, "WRITE_FAILED", "The transfer failed"), this.#secrets);
    }
    const trouble = await this.#last.take(unlock?.().then(() => undefined, messageOf));
    return trouble === undefined ? result : { ...result, notes: [...(result.notes ?? []), trouble] };
  }

  async #run(earlier: Checkpoint | undefined): Promise<TransferResult> {
    const { checkpoints, transferId, deadLetters } = this.#options;
    const guard = new IncarnationGuard(this.#source, this.#target, this.#options, this.#signal, earlier);
    this.#lane = this.#fields.watch(guard.watch(this.#lane));
    const ledger = this.#ledger(() => guard.stores, earlier);
    this.#options.meter?.note(ledger.recordsRead, ledger.counts.failureCount);
    try {
      await guard.begin(this.#query);
      if (earlier?.status === "completed") return this.#result(ledger);
      if (deadLetters) await unlessAborted(deadLetters.open(earlier?.deadLetterPosition ?? null), this.#signal);
      await this.#begin(earlier);
      // One of an earlier run must not be taken for this one's, should this one end before its first.
      if (!earlier && checkpoints) await unlessAborted(checkpoints.remove(transferId), this.#signal);
      const result = await this.#transfer(ledger, guard);
      await this.#last.take(deadLetters?.close());
      return result;
    } catch (error) {
      await this.#last.take(deadLetters?.close().catch(() => {}));
      const ended = this.#signal.aborted && !(error instanceof P2PTransferError);
      throw ended ? this.#ending(error, ledger) : error;
    }
  }

  /**
   * Has a target that is written in one go begin, or go on after what was acknowledged.
   *
   * @throws P2PError `CHECKPOINT_MISMATCH` for one that gave no position of what was written: it would get the rest alone.
   */
  async #begin(earlier: Checkpoint | undefined): Promise<void> {
    const { sequential } = this.#target.service;
    if (!sequential) return;
    const { checkpoints, transferId } = this.#options;
    if (earlier && earlier.targetPosition === undefined && earlier.counts.successCount > 0) {
      throw new P2PError(
        "CHECKPOINT_MISMATCH",
        `The transfer "${transferId}" cannot be resumed: what was written to ${endpointLabel(this.#target.endpoint)} cannot be taken back or gone on with, as of a pipe. Start it anew without resume`,
      );
    }
    // What cannot be read will not be resumed either.
    const old = earlier ? undefined : await checkpoints?.load(transferId).catch(() => undefined);
    const options = {
      after: earlier?.targetPosition,
      abandoned: old?.targetPosition,
      resumable: checkpoints !== undefined && this.#source.service.capabilities.resumable,
      signal: this.#signal,
    };
    await unlessAborted(sequential.begin(options), this.#signal);
  }

  async #finish(guard: IncarnationGuard): Promise<void> {
    const { sequential } = this.#target.service;
    if (!sequential) return;
    await sequential.finish(this.#signal);
    await guard.finished();
  }

  #ledger(stores: () => Pick<Checkpoint, "stores">, earlier?: Checkpoint): Ledger {
    const { sequential } = this.#target.service;
    return new Ledger(
      identityOf(this.#source, this.#target, this.#query, this.#options),
      this.#options,
      (text) => redactText(text, this.#secrets),
      this.#lane.recordOf,
      stores,
      earlier,
      sequential && (() => sequential.flush()),
    );
  }

  async #earlierCheckpoint(): Promise<Checkpoint | undefined> {
    const { resume, checkpoints, transferId } = this.#options;
    if (!resume || !checkpoints) return undefined;
    const checkpoint = await checkpoints.load(transferId);
    if (checkpoint)
      assertResumable(checkpoint, transferId, identityOf(this.#source, this.#target, this.#query, this.#options));
    const usable = checkpoint?.status === "completed" || this.#source.service.capabilities.resumable;
    return usable ? checkpoint : undefined;
  }

  async #transfer(ledger: Ledger, guard: IncarnationGuard): Promise<TransferResult> {
    const { service } = this.#source;
    const progress = progressTeller(service, this.#query, this.#options, ledger.recordsRead, this.#signal);
    const tell = (last?: boolean) =>
      progress?.(ledger.recordsRead, ledger.counts.failureCount, last, ledger.start.cursor);
    try {
      this.#fields.met(ledger.recordsRead);
      await this.#pump(ledger, tell);
      await guard.end();
      await this.#finish(guard);
      await unlessAborted(ledger.complete(), this.#signal);
      tell(true);
      if (!this.#isPart) {
        this.#notes = [
          ...(await this.#fields.notes(service, this.#signal)),
          ...(this.#options.conversion?.notes() ?? []),
        ];
      }
      return this.#result(ledger);
    } catch (error) {
      // What was acknowledged is in the checkpoint; a checkpoint that cannot be saved must not hide the first error.
      await this.#last.take(ledger.interrupt().catch(() => {}));
      throw this.#ending(error, ledger);
    }
  }

  /** The error that ends the transfer, with what was done until then. */
  #ending(error: unknown, ledger: Ledger): P2PTransferError {
    const reason: unknown = this.#signal.aborted ? this.#signal.reason : error;
    const { code, message, retryable } = toP2PError(reason, "WRITE_FAILED", "The transfer failed");
    return new P2PTransferError(code, message, this.#result(ledger), { cause: error, retryable });
  }

  /** Reads, writes and settles until the source ends or something breaks. */
  async #pump(ledger: Ledger, onCommit: () => void): Promise<void> {
    const { config, checkpoints } = this.#options;
    const inFlight = new InFlight(this.#signal);
    let writing = 0;
    const mayWrite = () => {
      const { width } = this.#pace;
      // With checkpoints a batch holds its place until it is in one, so that a crash repeats no more batches than are
      // written at a time. Without, those that are done need not wait for an earlier one to make room for the next.
      return checkpoints ? inFlight.size < width : writing < width && inFlight.size < width * MAX_WAITING;
    };
    const fail = (error: unknown) => this.#own.abort(error);
    try {
      for await (const { batch, ticket } of readAhead(
        this.#ticketed(ledger),
        config.readAhead,
        () => this.#hasRoom(),
        this.#signal,
      )) {
        writing++;
        const task = this.#write(batch)
          .catch((error) => {
            ledger.fail(ticket, error);
            throw error;
          })
          .then((outcome) => {
            writing--;
            inFlight.changed();
            return ledger.settle(ticket, batch, outcome).then(() => this.#publish(batch, outcome));
          })
          .then(() => {
            this.#bytesInFlight -= batch.bytes;
            onCommit();
          })
          .catch(fail);
        inFlight.add(task);
        await inFlight.until(() => mayWrite() && (inFlight.size === 0 || this.#hasRoom()));
      }
      await inFlight.until(() => inFlight.size === 0);
    } catch (error) {
      fail(error);
      await inFlight.settle();
      throw error;
    }
  }

  /** Gives each batch its number, and counts its bytes from the moment it is read. */
  async *#ticketed(ledger: Ledger): AsyncGenerator<{ batch: TransferBatch; ticket: number }> {
    let ticket = 0;
    for await (const batch of transferBatches(
      this.#lane,
      this.#query,
      ledger.start,
      this.#pace,
      this.#options,
      this.#signal,
      this.#onRetry("source"),
    )) {
      this.#bytesInFlight += batch.bytes;
      yield { batch, ticket: ticket++ };
    }
  }

  #publish(batch: TransferBatch, { written, skipped, retries, bytes, failures }: BatchOutcome): void {
    publishBatch(() => ({
      ...this.#options.traced,
      records: batch.items.length,
      ...{ written, skipped, failed: failures.length, retries, bytes },
    }));
  }

  #onRetry(side: "source" | "target"): OnRetry {
    return ({ code, message }, delayMs) =>
      publishRetry(() => ({
        ...this.#options.traced,
        ...{ side, code, delayMs },
        reason: redactText(message, this.#secrets),
      }));
  }

  #hasRoom(): boolean {
    return this.#bytesInFlight < this.#options.config.maxBytesInFlight;
  }

  async #write(batch: TransferBatch): Promise<BatchOutcome> {
    const { config } = this.#options;
    const total: BatchOutcome = { written: 0, skipped: 0, bytes: 0, retries: 0, failures: [] };
    const write = this.#sizedWrite(batch);
    let most = Number.POSITIVE_INFINITY;
    for (let from = 0; from < batch.items.length; ) {
      const length = Math.min(most, this.#pace.portion(batch.items.length - from));
      const part = length === batch.items.length ? batch.items : batch.items.slice(from, from + length);
      try {
        const outcome = await writeWithRetry(write, part, config.mode, config, this.#signal, this.#onRetry("target"));
        total.written += outcome.written;
        total.skipped += outcome.skipped;
        total.bytes += outcome.bytes;
        total.retries += outcome.retries;
        if (outcome.position !== undefined) total.position = outcome.position;
        total.failures.push(...outcome.failures.map((failure) => ({ ...failure, index: failure.index + from })));
        this.#pace.wrote(length, outcome.retries > 0);
        from += length;
      } catch (error) {
        if (this.#signal.aborted || !this.#pace.mayShrink(length, error)) throw error;
        this.#pace.wrote(0, true);
        most = Math.ceil(length / 2);
      }
    }
    if (config.mode === "upsert" && !batch.distinct) this.#lookForCollisions(batch.items, total);
    return total;
  }

  /** With the other modes the target itself tells of an id that is there. */
  #lookForCollisions(items: readonly unknown[], { failures }: BatchOutcome): void {
    const failed = failures.length > 0 ? new Set(failures.map(({ index }) => index)) : undefined;
    for (let index = 0; index < items.length; index++) {
      if (failed?.has(index)) continue;
      const id = this.#lane.idOf(items[index]);
      if (id === undefined) return;
      this.#collisions.add(id.form, id.text);
    }
  }

  /** Writes, with the size of what was written: as the target counts it, else the batch's own size in proportion. */
  #sizedWrite({ items, bytes }: TransferBatch): Lane["write"] {
    const each = bytes / items.length;
    return async (part, options) => {
      const result = await this.#lane.write(part, options);
      return result.bytes === undefined ? { ...result, bytes: Math.round(each * result.written) } : result;
    };
  }

  #result(ledger: Ledger): TransferResult {
    const { deadLetters, transferId } = this.#options;
    return {
      transferId,
      ...ledger.counts,
      durationMs: performance.now() - this.#startedAt,
      bytes: ledger.bytes,
      errors: ledger.errors,
      ...(deadLetters &&
        ledger.counts.failureCount > 0 && { deadLetters: redactText(deadLetters.location, this.#secrets) }),
      checkpoint: ledger.checkpoint(),
      ...(ledger.resumed && { resumed: ledger.resumed }),
      ...notesOf([...(deadLetters?.notes ?? []), ...this.#notes], this.#collisions.found),
    };
  }
}
