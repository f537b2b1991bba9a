import { unlessAborted } from "../../async/abort.ts";
import { messageOf, toP2PError } from "../../errors.ts";
import type { P2PQuery } from "../../storage/query.ts";
import { redactError, redactText, secretsOf } from "../../storage/redact.ts";
import { assertResumable, CHECKPOINT_VERSION, type Checkpoint } from "../checkpoint/checkpoint.ts";
import { identityOf } from "../checkpoint/identity.ts";
import { IncarnationGuard } from "../checkpoint/incarnation.ts";
import { CollisionFinder, notesOf } from "../collisions.ts";
import { assertPlaceForLetters } from "../dead-letters/letter-place.ts";
import { claim } from "../durable/claim.ts";
import type { TransferEnd } from "../end.ts";
import { FailureBudget } from "../failure-budget.ts";
import { FieldWatch } from "../field-watch.ts";
import { LastSteps } from "../last-steps.ts";
import type { ResolvedTransfer } from "../options.ts";
import { progressTeller } from "../progress.ts";
import { P2PTransferError, type TransferResult } from "../result.ts";
import { type SharedFindings, TransferRun } from "../run.ts";
import { stopSignal } from "../stop.ts";
import { addUp, type PartOutcome } from "./add-up.ts";
import { openLanes, type PartLane } from "./lanes.ts";
import { PartBooks, partId } from "./part-books.ts";
import { decodePlan, encodePlan, type PartitionPlan, planPartitions } from "./plan.ts";
import { SharedLetters } from "./shared-letters.ts";

/** One run of a transfer in parts: each part is an ordinary transfer, and all of them together are one. */
export class PartitionedRun {
  readonly #source: TransferEnd;
  readonly #target: TransferEnd;
  readonly #query: P2PQuery;
  readonly #options: ResolvedTransfer;
  readonly #shared: SharedFindings;
  #notes: readonly string[] = [];
  readonly #secrets: readonly string[];
  readonly #startedAt = performance.now();
  #parentSave: Promise<void> = Promise.resolve();
  /** Watches the stores of all parts together: a part that begins late must find what the first one found. */
  #guard: IncarnationGuard | undefined;

  constructor(source: TransferEnd, target: TransferEnd, query: P2PQuery, options: ResolvedTransfer) {
    this.#source = source;
    this.#target = target;
    this.#query = query;
    this.#options = options;
    this.#shared = { collisions: new CollisionFinder(), fields: new FieldWatch(query) };
    this.#secrets = secretsOf(source.endpoint, target.endpoint);
  }

  /** @param earlier the checkpoint to go on from, with the plan that it began with. */
  async run(earlier?: Checkpoint): Promise<TransferResult> {
    const { transferId, checkpoints, deadLetters, stateFolder } = this.#options;
    const stop = stopSignal(this.#options);
    try {
      if (earlier) assertResumable(earlier, transferId, this.#identity());
      this.#guard = new IncarnationGuard(this.#source, this.#target, this.#options, stop.signal, earlier);
      await this.#guard.begin(this.#query);
      if (earlier) this.#options.meter?.note(earlier.recordsRead, earlier.counts.failureCount);
      if (earlier?.status === "completed") return this.#result(earlier, outcomeBefore(earlier));
      const ends = [this.#source.endpoint, this.#target.endpoint];
      assertPlaceForLetters(ends, deadLetters?.location, stateFolder);
      const plan = earlier?.parts
        ? decodePlan(earlier.parts)
        : await unlessAborted(this.#plan(stop.signal), stop.signal);
      if (plan.queries.length === 1 && !earlier) return await this.#whole(plan);
      const last = new LastSteps(stop.signal);
      const unlock = checkpoints && (await claim(checkpoints, transferId, stop.signal));
      let result: TransferResult;
      try {
        result = await this.#inParts(plan, earlier !== undefined, stop.controller, last);
      } catch (error) {
        // What goes wrong now must not hide why the transfer ended.
        await last.take(unlock?.().catch(() => {}));
        throw error;
      }
      const trouble = await last.take(unlock?.().then(() => undefined, messageOf));
      return trouble === undefined ? result : { ...result, notes: [...(result.notes ?? []), trouble] };
    } catch (error) {
      if (error instanceof P2PTransferError) throw error;
      const reason: unknown = stop.signal.aborted ? stop.signal.reason : error;
      throw redactError(toP2PError(reason, "WRITE_FAILED", "The transfer failed"), this.#secrets);
    } finally {
      stop.disarm();
    }
  }

  async #plan(signal: AbortSignal): Promise<PartitionPlan> {
    if (this.#target.service.sequential) {
      return {
        queries: [this.#query],
        note: "It ran as one part: the target is written from its beginning to its end",
      };
    }
    return planPartitions(this.#source.service, this.#query, this.#options.config.partitions, signal);
  }

  async #whole({ note }: PartitionPlan): Promise<TransferResult> {
    const result = await new TransferRun(this.#source, this.#target, this.#query, this.#options).run();
    const notes = [...(note === undefined ? [] : [note]), ...(result.notes ?? [])];
    return { ...result, partitions: 1, ...(notes.length > 0 && { notes }) };
  }

  async #inParts(
    plan: PartitionPlan,
    resumed: boolean,
    stop: AbortController,
    last: LastSteps,
  ): Promise<TransferResult> {
    const { transferId, checkpoints, deadLetters } = this.#options;
    const loads = plan.queries.map((_, part) => (resumed ? checkpoints?.load(partId(transferId, part)) : undefined));
    const earlier = await unlessAborted(Promise.all(loads), stop.signal);
    const letters =
      deadLetters &&
      new SharedLetters(
        deadLetters,
        transferId,
        earlier.flatMap((checkpoint) => checkpoint ?? []),
      );
    // Before an earlier run's checkpoints go: whoever is refused here can still go on with that.
    const opening = letters?.open();
    try {
      if (opening) await unlessAborted(opening, stop.signal);
      if (!resumed) await unlessAborted(this.#forget(plan), stop.signal);
      const result = await this.#move(plan, earlier, letters, resumed, stop, last);
      await last.take(letters?.close());
      return result;
    } catch (error) {
      await last.take(letters?.close().catch(() => {}));
      throw error;
    }
  }

  async #move(
    plan: PartitionPlan,
    earlier: readonly (Checkpoint | undefined)[],
    letters: SharedLetters | undefined,
    resumed: boolean,
    stop: AbortController,
    last: LastSteps,
  ): Promise<TransferResult> {
    const { transferId, config, checkpoints } = this.#options;
    const before = addUp(earlier.flatMap((checkpoint) => (checkpoint ? [outcomeBefore(checkpoint)] : [])));
    const progress = progressTeller(this.#source.service, this.#query, this.#options, before.recordsRead, stop.signal);
    const tell = ({ recordsRead, counts }: PartOutcome, last?: boolean) =>
      progress?.(recordsRead, counts.failureCount, last);
    const budget = new FailureBudget(config.maxFailures, resumed ? before.counts : undefined);
    const books = new PartBooks(transferId, checkpoints, earlier, budget, tell);
    await unlessAborted(this.#saveParent(this.#checkpoint(plan, "running", books.sum)), stop.signal);
    const wanted = config.partitions > 1 ? config.partitions : plan.queries.length;
    const { lanes, release } = await openLanes(this.#source, this.#target, Math.min(wanted, plan.queries.length));
    try {
      const waiting = plan.queries.entries();
      const work = lanes.map(async (lane) => {
        for (const [part, query] of waiting) {
          stop.signal.throwIfAborted();
          await this.#part(part, query, lane, { books, letters, stop, resumed, width: lanes.length }).catch((error) => {
            stop.abort(error);
            throw error;
          });
          await unlessAborted(this.#saveParent(this.#checkpoint(plan, "running", books.sum)), stop.signal);
        }
      });
      const ends = await Promise.allSettled(work);
      if (ends.some(({ status }) => status === "rejected")) throw stop.signal.reason;
      await this.#guard?.end();
      await unlessAborted(this.#completeParent(plan, books), stop.signal);
      tell(books.sum, true);
      const ofFields = await this.#shared.fields.notes(this.#source.service, stop.signal);
      this.#notes = [...ofFields, ...(this.#options.conversion?.notes() ?? [])];
      const done = this.#result(this.#checkpoint(plan, "completed", books.sum), books.sum);
      return plan.note === undefined ? done : { ...done, notes: [plan.note, ...(done.notes ?? [])] };
    } catch (error) {
      const reason: unknown = stop.signal.aborted ? stop.signal.reason : error;
      const { code, message, retryable } = toP2PError(reason, "WRITE_FAILED", "The transfer failed");
      const checkpoint = this.#checkpoint(plan, "running", books.sum);
      await last.take(this.#saveParent(checkpoint).catch(() => {}));
      const result = this.#result(checkpoint, books.sum);
      throw redactError(new P2PTransferError(code, message, result, { cause: error, retryable }), this.#secrets);
    } finally {
      await last.take(release());
    }
  }

  /** What is left of an earlier run that is not resumed goes away. */
  async #forget(plan: PartitionPlan): Promise<void> {
    const { checkpoints, transferId } = this.#options;
    const old = await checkpoints?.load(transferId).catch(() => undefined);
    const parts = Math.max(plan.queries.length, old?.parts?.length ?? 0);
    // The parent first: without it nobody takes the rest for parts.
    await checkpoints?.remove(transferId);
    for (let part = 0; part < parts; part++) await checkpoints?.remove(partId(transferId, part));
  }

  async #part(
    part: number,
    query: P2PQuery,
    lane: PartLane,
    run: {
      readonly books: PartBooks;
      readonly letters: SharedLetters | undefined;
      readonly stop: AbortController;
      readonly resumed: boolean;
      readonly width: number;
    },
  ): Promise<void> {
    const { config, checkpoints } = this.#options;
    const letters = run.letters?.forPart(checkpoints !== undefined);
    const options: ResolvedTransfer = {
      ...this.#options,
      transferId: partId(this.#options.transferId, part),
      resume: run.resumed,
      signal: run.stop.signal,
      onProgress: undefined,
      meter: undefined,
      traced: { transferId: this.#options.transferId, part },
      checkpoints: run.books.storeFor(part, letters),
      deadLetters: letters,
      config: {
        ...config,
        // The whole is held to these, not each part.
        maxFailures: "all",
        transferTimeout: 0,
        maxBytesInFlight: Math.max(1024, Math.floor(config.maxBytesInFlight / run.width)),
      },
    };
    try {
      const result = await new TransferRun(lane.source, lane.target, query, options, this.#shared).run();
      run.books.enter(part, result);
      this.#guard?.agree(result.checkpoint);
    } catch (error) {
      if (error instanceof P2PTransferError) run.books.enter(part, error.result);
      throw error;
    }
  }

  /** One save after the other, so that an older one never comes last. */
  async #saveParent(checkpoint: Checkpoint): Promise<void> {
    const save = async () => this.#options.checkpoints?.save(checkpoint);
    this.#parentSave = this.#parentSave.then(save, save);
    await this.#parentSave;
  }

  async #completeParent(plan: PartitionPlan, books: PartBooks): Promise<void> {
    const { transferId, checkpoints } = this.#options;
    await this.#saveParent(this.#checkpoint(plan, "completed", books.sum));
    await checkpoints?.flush?.(transferId);
    for (const part of plan.queries.keys()) await checkpoints?.remove(partId(transferId, part));
  }

  #identity() {
    return identityOf(this.#source, this.#target, this.#query, this.#options);
  }

  #checkpoint(plan: PartitionPlan, status: Checkpoint["status"], { counts, recordsRead }: PartOutcome): Checkpoint {
    return {
      version: CHECKPOINT_VERSION,
      transferId: this.#options.transferId,
      status,
      identity: this.#identity(),
      cursor: null,
      recordsRead,
      counts,
      deadLetterPosition: null,
      parts: encodePlan(plan),
      ...this.#guard?.stores,
      updatedAt: new Date().toISOString(),
    };
  }

  #result(checkpoint: Checkpoint, { counts, bytes, errors, resumed }: PartOutcome): TransferResult {
    const { deadLetters, transferId } = this.#options;
    return {
      transferId,
      ...counts,
      durationMs: performance.now() - this.#startedAt,
      bytes,
      errors,
      partitions: checkpoint.parts?.length ?? 1,
      ...(deadLetters && counts.failureCount > 0 && { deadLetters: redactText(deadLetters.location, this.#secrets) }),
      checkpoint,
      ...(resumed && { resumed }),
      ...notesOf([...(deadLetters?.notes ?? []), ...this.#notes], this.#shared.collisions.found),
    };
  }
}

/** What a run that is resumed had done. */
function outcomeBefore({ counts, recordsRead }: Checkpoint): PartOutcome {
  return { counts, recordsRead, bytes: 0, errors: [], resumed: counts };
}
