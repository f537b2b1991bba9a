/** The mirror: reconciles the target with the source's query, deletes included, by the digests of both. */
import { unlessAborted } from "../async/abort.ts";
import type { ConnectionConfig } from "../config.ts";
import { isP2PError, P2PError, toP2PError } from "../errors.ts";
import { assertAskableById } from "../kit/look-up.ts";
import { assertRewritable, deleteOf, lookUpOf } from "../storage/contract-checks.ts";
import { endpointLabel } from "../storage/endpoint.ts";
import { type P2PQuery, parseQuery } from "../storage/query.ts";
import { redactError, redactText, secretsOf } from "../storage/redact.ts";
import {
  assertResumable,
  CHECKPOINT_VERSION,
  type Checkpoint,
  changedParts,
  type MirrorMark,
} from "../transfer/checkpoint/checkpoint.ts";
import { identityOf } from "../transfer/checkpoint/identity.ts";
import { IncarnationGuard } from "../transfer/checkpoint/incarnation.ts";
import { assertPlaceForLetters } from "../transfer/dead-letters/letter-place.ts";
import { claim } from "../transfer/durable/claim.ts";
import type { TransferEnd } from "../transfer/end.ts";
import { FailureBudget } from "../transfer/failure-budget.ts";
import { guardedListener } from "../transfer/hooks.ts";
import { declaredSchema } from "../transfer/lane.ts";
import { type ResolvedTransfer, resolveTransfer } from "../transfer/options.ts";
import { MAX_LISTED_ERRORS, P2PTransferError, type TransferFailure } from "../transfer/result.ts";
import { stopSignal } from "../transfer/stop.ts";
import { type FoundDifferences, findDifferences, targetSideOf } from "../transfer/verify/verify.ts";
import { exceededLimit } from "./delete-limit.ts";
import { DifferenceFile, isExtra } from "./difference-file.ts";
import { keepingIds } from "./keeping-ids.ts";
import { assertLooksUpBy } from "./look-up.ts";
import {
  type MirrorOptions,
  type MirrorProgress,
  type MirrorResult,
  type SplitOptions,
  splitOptions,
} from "./options.ts";
import { type NotReconciled, Reconciler, type Written } from "./reconciler.ts";
import { SourceWitnesses } from "./source-witnesses.ts";

/** Ids reconciled at a time where `batchSize` is `"auto"`. */
const AUTO_BATCH = 500;

/** Differences of each kind told by a dry run. */
const SAMPLES = 10;

/**
 * Makes the target equal to what a query gives of the source: finds what differs by digests of both sides, writes what is missing or
 * different, and takes out or keeps what only the target has.
 *
 * @throws P2PTransferError with what was done until then; P2PError `INVALID_CONFIG`, `INVALID_QUERY`, `UNSUPPORTED_QUERY`,
 * `UNSUPPORTED_OPERATION` or `CHECKPOINT_…` before anything was.
 */
export async function mirrorWith(
  source: TransferEnd,
  target: TransferEnd,
  query: P2PQuery,
  options: MirrorOptions,
  defaults: ConnectionConfig,
): Promise<MirrorResult> {
  const { own, rest } = splitOptions(options);
  return new MirrorRun(source, target, query, resolveTransfer(rest, defaults), own).run();
}

/** One run of a mirror. */
class MirrorRun {
  readonly #source: TransferEnd;
  readonly #target: TransferEnd;
  readonly #query: P2PQuery;
  readonly #targetQuery: P2PQuery;
  readonly #options: ResolvedTransfer;
  readonly #own: SplitOptions["own"];
  readonly #secrets: readonly string[];
  readonly #listener: (progress: MirrorProgress) => void;
  readonly #startedAt = performance.now();
  readonly #stop = new AbortController();
  readonly #signal = this.#stop.signal;
  readonly #witnesses = new SourceWitnesses();
  readonly #budget: FailureBudget;
  readonly #counts = { totalRecords: 0, successCount: 0, failureCount: 0, skippedCount: 0, retryCount: 0 };
  readonly #errors: TransferFailure[] = [];
  readonly #notes: string[] = [];
  #guard: IncarnationGuard;
  #found: FoundDifferences | undefined;
  #deletes: "remove" | "keep" = "remove";
  #intended: readonly string[] = [];
  #deleted = 0;
  #kept = 0;
  #bytes = 0;
  #deadLetterPosition: Checkpoint["deadLetterPosition"] = null;
  #status: Checkpoint["status"] = "running";
  #refusal: P2PError | undefined;

  constructor(
    source: TransferEnd,
    target: TransferEnd,
    query: P2PQuery,
    options: ResolvedTransfer,
    own: SplitOptions["own"],
  ) {
    const { orderBy: _, ...asked } = query;
    this.#source = source;
    this.#target = target;
    this.#query = asked;
    this.#own = own;
    this.#listener = guardedListener("onProgress", own.onProgress);
    this.#options = options.transform
      ? { ...options, transform: keepingIds(options.transform, (error) => this.#stop.abort(error)) }
      : options;
    this.#targetQuery = targetQueryOf(asked, own, options.transform !== undefined);
    this.#secrets = secretsOf(source.endpoint, target.endpoint);
    this.#budget = new FailureBudget(options.config.maxFailures);
    this.#guard = new IncarnationGuard(source, target, options, this.#signal);
  }

  async run(): Promise<MirrorResult> {
    const { deadLetters, stateFolder, checkpoints, transferId } = this.#options;
    assertPlaceForLetters([this.#source.endpoint, this.#target.endpoint], deadLetters?.location, stateFolder);
    const { disarm } = stopSignal(this.#options, this.#stop);
    let unlock: (() => Promise<void>) | undefined;
    try {
      assertAskableById(parseQuery(this.#query));
      lookUpOf(this.#source);
      assertRewritable(this.#target);
      if (this.#own.deletes !== "keep") {
        deleteOf(this.#target);
        lookUpOf(this.#target);
      }
      unlock = checkpoints && !this.#own.dryRun ? await claim(checkpoints, transferId, this.#signal) : undefined;
      return await this.#claimed();
    } catch (thrown) {
      const reason: unknown = this.#signal.aborted ? this.#signal.reason : thrown;
      const error = toP2PError(reason, "WRITE_FAILED", "The mirror failed");
      const { code, message, retryable } = error;
      throw redactError(
        this.#found === undefined && !this.#signal.aborted
          ? error
          : new P2PTransferError(code, message, this.#result(), { cause: thrown, retryable }),
        this.#secrets,
      );
    } finally {
      await unlock?.().catch(() => {});
      disarm();
    }
  }

  async #claimed(): Promise<MirrorResult> {
    const { deadLetters } = this.#options;
    const earlier = await this.#earlierCheckpoint();
    const resumed = this.#options.resume && earlier?.status === "running" ? earlier : undefined;
    if (resumed) this.#guard = new IncarnationGuard(this.#source, this.#target, this.#options, this.#signal, resumed);
    await this.#guard.begin(this.#query);
    // A native query that cannot be asked by id is refused here, before both sides are read for it.
    await assertLooksUpBy(this.#source, this.#query, this.#signal);
    this.#deletes = await this.#whatBecomesOfExtras(earlier);
    // Also of one that is not resumed: what it had sent may land yet.
    const intended = earlier?.status === "running" ? (earlier.mirror?.intended ?? []) : [];
    this.#intended = intended;
    const file = await DifferenceFile.open(this.#target.service.idForm !== undefined);
    try {
      this.#found = await this.#compare(file);
      this.#refusal ??= this.#refusalOf(this.#found, file);
      if (this.#own.dryRun) return this.#result();
      if (this.#refusal) throw this.#refusal;
      if (deadLetters) await unlessAborted(deadLetters.open(resumed?.deadLetterPosition ?? null), this.#signal);
      try {
        await this.#reconcile(file, this.#found, intended);
      } finally {
        await deadLetters?.close();
      }
    } finally {
      await file.close();
    }
    return this.#result();
  }

  async #earlierCheckpoint(): Promise<Checkpoint | undefined> {
    const { checkpoints, transferId, resume } = this.#options;
    if (!checkpoints) return undefined;
    let checkpoint: Checkpoint | undefined;
    try {
      checkpoint = await unlessAborted(checkpoints.load(transferId), this.#signal);
    } catch (error) {
      // Who does not resume replaces it.
      if (resume || !isP2PError(error, "CHECKPOINT_INVALID")) throw error;
    }
    if (!checkpoint) return undefined;
    if (resume) assertResumable(checkpoint, transferId, this.#identity());
    return checkpoint.mirror ? checkpoint : undefined;
  }

  /** With the records of the target that are meant: those beside them were never spoken of. */
  #identity(): Checkpoint["identity"] {
    const { targetQuery } = this.#own;
    const meant = targetQuery ? { ...this.#query, targetQuery } : this.#query;
    return { ...identityOf(this.#source, this.#target, meant, this.#options), mode: "mirror" };
  }

  /** What an earlier mirror was told of extras, if it was one of the same records into the same target. */
  #remembered(earlier: Checkpoint | undefined): "remove" | "keep" | undefined {
    if (!earlier || changedParts(earlier, this.#identity()).some((part) => part !== "transform")) return undefined;
    const before = earlier.stores?.target.incarnation;
    const isReplaced = before !== undefined && before !== this.#guard.stores.stores?.target.incarnation;
    return isReplaced ? undefined : earlier.mirror?.deletes;
  }

  /** @throws P2PError `INVALID_CONFIG` at the first mirror onto a target that holds something, unless it was told. */
  async #whatBecomesOfExtras(earlier: Checkpoint | undefined): Promise<"remove" | "keep"> {
    const told = this.#own.deletes ?? this.#remembered(earlier);
    if (told !== undefined) return told;
    const reading = this.#target.service.readFromSource(
      { ...this.#targetQuery, limit: 1 },
      { batchSize: 1, signal: this.#signal },
    );
    try {
      for await (const { records, failures = [] } of reading) {
        if (records.length + failures.length === 0) continue;
        this.#refusal = new P2PError(
          "INVALID_CONFIG",
          `Invalid configuration: ${endpointLabel(this.#target.endpoint)} holds records already, and what becomes of those that the source ` +
            'does not have must be told: deletes: "remove" takes them out, deletes: "keep" leaves them',
        );
        // Who only wants to see it sees how many these are.
        if (!this.#own.dryRun) throw this.#refusal;
      }
    } catch (error) {
      if (!isP2PError(error, "SOURCE_NOT_FOUND")) throw error;
    }
    return "remove";
  }

  async #compare(file: DifferenceFile): Promise<FoundDifferences> {
    const { transform, transformTerms, config } = this.#options;
    this.#tell("comparing", 0, undefined);
    return findDifferences(
      this.#source,
      this.#target,
      this.#query,
      {
        transform,
        transformTimeout: transformTerms.timeoutMs,
        targetQuery: this.#own.targetQuery,
        extras: "differ",
        maxDifferences: this.#own.dryRun ? SAMPLES : 0,
        batchSize: config.batchSize === "auto" ? undefined : config.batchSize,
        signal: this.#signal,
        onProgress: this.#own.onProgress && ((records, total) => this.#tell("comparing", records, total)),
      },
      config,
      file,
      (records) => this.#witnesses.note(records),
    );
  }

  /** Why nothing may be changed, after all of both sides has been read. */
  #refusalOf(found: FoundDifferences, file: DifferenceFile): P2PError | undefined {
    const target = endpointLabel(this.#target.endpoint);
    const source = endpointLabel(this.#source.endpoint);
    if (file.ambiguous?.occurrences) {
      const { id, occurrences } = file.ambiguous;
      const where = occurrences.source > 1 ? source : target;
      return new P2PError(
        "AMBIGUOUS_ID",
        `${Math.max(occurrences.source, occurrences.target)} records of ${where} have the id "${id.slice(0, 80)}" (as text), so nobody can say which of ` +
          "them is meant; give each an id of its own, or leave the others out by the query",
      );
    }
    if (this.#deletes === "keep") return undefined;
    // (Where records of the source could not be read, nothing is deleted anyway.)
    if (found.sourceCount === 0 && found.sourceUnread === 0 && found.targetCount > 0 && !this.#own.allowEmptySource) {
      const borne = this.#options.transform ? " that the transform lets through" : "";
      return new P2PError(
        "EMPTY_SOURCE",
        `The query gives no record of ${source}${borne}, and ${target} holds ${found.targetCount}: nothing was changed. If all of them are to go, allow it ` +
          "by allowEmptySource",
      );
    }
    const { maxDeletes } = this.#own;
    const limit = exceededLimit(found.extra, found.targetCount, maxDeletes);
    // With `allowEmptySource` it was said that all of them may go.
    if (limit === undefined || (found.sourceCount === 0 && this.#own.allowEmptySource && maxDeletes === undefined))
      return undefined;
    return new P2PError(
      "TOO_MANY_DELETES",
      `${found.extra} of the ${found.targetCount} records of ${target} are not in ${source} and would be deleted, which is more than maxDeletes ` +
        `bears (${limit}): nothing was changed. See whether the source is whole; then allow more, or keep them by deletes: "keep"`,
    );
  }

  async #reconcile(file: DifferenceFile, found: FoundDifferences, intended: readonly string[]): Promise<void> {
    const { config, transform } = this.#options;
    const schema = await declaredSchema(this.#source.service, this.#query, transform, this.#signal);
    const reconciler: Reconciler = new Reconciler({
      source: this.#source,
      target: this.#target,
      query: this.#query,
      fields: parseQuery(this.#targetQuery).fields,
      options: this.#options,
      schema,
      contentOf: found.contentOf,
      signal: this.#signal,
      assertSource: () => this.#assertSource(reconciler),
    });
    const size = config.batchSize === "auto" ? AUTO_BATCH : config.batchSize;
    await this.#guard.end();
    await this.#save();
    // Deletes of the run that was cut off may have landed after both sides were read.
    for (const ids of inBatches(intended, size)) await this.#enterWritten(await reconciler.restore(ids));
    let done = 0;
    for await (const batch of file.batches(size, (difference) => !isExtra(difference))) {
      const missing = new Set(batch.flatMap(({ kind, id }) => (kind === "missing" ? [id] : [])));
      await this.#enterWritten(
        await reconciler.write(
          batch.map(({ id }) => id),
          (id) => missing.has(id),
        ),
      );
      done += batch.length;
      this.#tell("writing", done, file.counts.due);
    }
    await this.#removeExtras(file, found, reconciler, size);
    for (const ids of inBatches([...new Set([...intended, ...reconciler.unsure])], size)) {
      await this.#enterWritten(await reconciler.restore(ids));
    }
    await this.#guard.end();
    this.#intended = [];
    this.#status = "completed";
    await this.#save(true);
  }

  async #removeExtras(
    file: DifferenceFile,
    found: FoundDifferences,
    reconciler: Reconciler,
    size: number,
  ): Promise<void> {
    const { extra } = file.counts;
    if (extra === 0) return;
    if (this.#deletes === "keep" || found.sourceUnread > 0) {
      this.#kept += extra;
      if (this.#deletes === "remove") {
        this.#notes.push(
          `Nothing was deleted, since ${found.sourceUnread} of the source's records could not be read, and those that only the target has (${extra}) may be among them`,
        );
      }
      return;
    }
    const before = this.#intended;
    let done = 0;
    for await (const batch of file.batches(size, isExtra)) {
      this.#intended = [...before, ...reconciler.unsure, ...batch.map(({ id }) => id)];
      await this.#save(true);
      const outcome = await reconciler.remove(batch);
      this.#deleted += outcome.deleted;
      this.#kept += outcome.kept + outcome.failures.length;
      await this.#enterWritten(outcome.restored);
      await this.#enterFailures(outcome.failures);
      done += batch.length;
      this.#tell("deleting", done, extra);
    }
  }

  /** @throws P2PError `STORE_CHANGED` when the source was replaced, or has lost most of what was read of it. */
  async #assertSource(reconciler: Reconciler): Promise<void> {
    const { refs } = this.#witnesses;
    const outcomes = refs.length > 0 ? await reconciler.lookUp(this.#source, refs, this.#query) : [];
    const gone = outcomes.filter(({ state }) => state !== "wanted").length;
    // Last, since it tells whose word all of this was.
    await this.#guard.end();
    if (!this.#witnesses.areGone(gone)) return;
    throw new P2PError(
      "STORE_CHANGED",
      `The source ${endpointLabel(this.#source.endpoint)} no longer has ${gone} of ${refs.length} records that were read of it a moment ago: it was emptied, or ` +
        "cannot be read. Nothing more is deleted; see what happened to it, and mirror anew",
    );
  }

  async #enterWritten({ written, vanished, retries, bytes, failures }: Written): Promise<void> {
    this.#counts.successCount += written;
    this.#counts.skippedCount += vanished;
    this.#counts.retryCount += retries;
    this.#counts.totalRecords += written + vanished;
    this.#bytes += bytes;
    await this.#enterFailures(failures);
  }

  /** Letters of a mirror hold ids alone: what is to become of a record is told by the source at that time. */
  async #enterFailures(failures: readonly NotReconciled[]): Promise<void> {
    if (failures.length === 0) return;
    const { transferId, deadLetters } = this.#options;
    const at = new Date().toISOString();
    const letters = failures.map(({ id, phase, error, attempts }, place) => ({
      ...{ transferId, id, phase, attempts, at, code: error.code },
      reason: redactText(error.message, this.#secrets),
      position: this.#counts.failureCount + place,
    }));
    if (deadLetters) this.#deadLetterPosition = await deadLetters.write(letters);
    this.#counts.failureCount += failures.length;
    this.#counts.totalRecords += failures.length;
    for (const { id, phase, code, reason, attempts } of letters) {
      if (this.#errors.length < MAX_LISTED_ERRORS) this.#errors.push({ id, phase, code, reason, attempts });
    }
    this.#budget.assertBorne(this.#counts, letters.at(-1)?.reason);
  }

  /** @param lasting makes it survive a loss of power: an intent must, before its delete is sent. */
  async #save(lasting = false): Promise<void> {
    const { checkpoints, deadLetters, transferId } = this.#options;
    if (!checkpoints) return;
    await unlessAborted(checkpoints.save(this.#checkpoint()), this.#signal);
    if (!lasting) return;
    await deadLetters?.flush?.();
    await checkpoints.flush?.(transferId);
  }

  #checkpoint(): Checkpoint {
    const mirror: MirrorMark = { deletes: this.#deletes, intended: this.#intended };
    return {
      version: CHECKPOINT_VERSION,
      transferId: this.#options.transferId,
      status: this.#status,
      identity: this.#identity(),
      cursor: null,
      recordsRead: 0,
      counts: { ...this.#counts },
      ...this.#guard.stores,
      deadLetterPosition: this.#deadLetterPosition,
      mirror,
      updatedAt: new Date().toISOString(),
    };
  }

  #tell(phase: MirrorProgress["phase"], records: number, total: number | undefined): void {
    this.#listener({ phase, records, total });
  }

  #result(): MirrorResult {
    const { transferId, deadLetters, conversion } = this.#options;
    const found = this.#found;
    const notes = [
      ...(found?.notes ?? []),
      ...(deadLetters?.notes ?? []),
      ...(conversion?.notes() ?? []),
      ...this.#notes,
    ];
    const { missing = 0, different = 0, extra = 0, unreadable = 0, sourceCount = 0, targetCount = 0 } = found ?? {};
    return {
      transferId,
      ...this.#counts,
      deletedCount: this.#deleted,
      keptCount: this.#kept,
      ...{ sourceCount, targetCount, missing, different, extra, unreadable },
      deletes: this.#deletes,
      durationMs: performance.now() - this.#startedAt,
      bytes: this.#bytes,
      errors: this.#errors,
      ...(deadLetters &&
        this.#counts.failureCount > 0 && { deadLetters: redactText(deadLetters.location, this.#secrets) }),
      checkpoint: this.#checkpoint(),
      ...(this.#own.dryRun && { samples: found?.differences ?? [], ...(this.#refusal && { refusal: this.#refusal }) }),
      ...(notes.length > 0 && { notes }),
    };
  }
}

function* inBatches<T>(list: readonly T[], size: number): Generator<readonly T[]> {
  for (let from = 0; from < list.length; from += size) yield list.slice(from, from + size);
}

/**
 * What of the target is the source's query: where it cannot be asked for the same, records beside it would be taken for extras.
 *
 * @throws P2PError `INVALID_CONFIG` when `targetQuery` must be given.
 */
export function targetQueryOf(
  query: P2PQuery,
  own: Pick<SplitOptions["own"], "targetQuery" | "deletes">,
  transformed: boolean,
): P2PQuery {
  if (own.targetQuery) {
    assertAskableById(parseQuery(own.targetQuery));
    return own.targetQuery;
  }
  const { conditions, native } = parseQuery(query);
  const narrow = conditions.length > 0 || Object.keys(native).length > 0 || query.partition !== undefined;
  const same = targetSideOf(query, transformed);
  const asked = same.where !== undefined || same.type !== undefined;
  if (narrow && own.deletes !== "keep" && (!asked || query.partition !== undefined)) {
    const why =
      Object.keys(native).length > 0
        ? "a native query means nothing there"
        : transformed
          ? "the transform may change what the conditions are about"
          : query.partition !== undefined
            ? "a partition is one of the source"
            : "fields leaves out what the conditions are about";
    throw new P2PError(
      "INVALID_CONFIG",
      `Invalid configuration: the target cannot be asked for the records of this query, since ${why}; say by targetQuery which of its records are meant ` +
        '({} for all of them), or leave what only the target has by deletes: "keep"',
    );
  }
  return same;
}
