/** The scheduler of a job over a database: several collections at a time, each after those that it refers to. */
import { hash } from "node:crypto";
import { EventEmitter } from "node:events";
import { join } from "node:path";
import type { ConnectionConfigInput } from "../../config.ts";
import { messageOf, P2PError, toP2PError } from "../../errors.ts";
import type { MirrorResult } from "../../live/options.ts";
import type { EndpointInfo } from "../../storage/endpoint.ts";
import { FileCheckpointStore, fileNameOf } from "../../transfer/checkpoint/file-checkpoint.ts";
import { LateCheckpointStore } from "../../transfer/checkpoint/late-checkpoint.ts";
import type { TransferCounts } from "../../transfer/counts.ts";
import { FileDeadLetterSink } from "../../transfer/dead-letters/file-dead-letters.ts";
import { callListener, warnOfListener } from "../../transfer/hooks.ts";
import { addCounts, NO_COUNTS } from "../../transfer/partitioned/add-up.ts";
import { DEFAULT_PROGRESS_INTERVAL_MS, ProgressMeter } from "../../transfer/progress.ts";
import { P2PTransferError, type TransferResult } from "../../transfer/result.ts";
import type { VerifyResult } from "../../transfer/verify/verify.ts";
import type { P2PConnection } from "../connection.ts";
import type { ManagedFollowOptions, ManagedMirrorOptions, ManagedTransferOptions } from "../options.ts";
import { JobState, type SavedCollection } from "./job-state.ts";
import type {
  CollectionResult,
  CollectionStatus,
  DatabaseEvents,
  DatabaseFollowOptions,
  DatabaseJob,
  DatabaseMirrorOptions,
  DatabasePlan,
  DatabaseProgress,
  DatabaseResult,
  DatabaseTransferOptions,
  PlannedCollection,
} from "./options.ts";

/** What is done with each collection, and its options. */
export type DatabaseWork =
  | { readonly verb: "transfer"; readonly options: DatabaseTransferOptions }
  | { readonly verb: "mirror"; readonly options: DatabaseMirrorOptions }
  | { readonly verb: "follow"; readonly options: DatabaseFollowOptions };

/** What a job needs of its manager. */
export interface DatabaseTerms {
  /** What the job is about, as text without secrets. */
  readonly about: string;
  /** The storage types of both ends, for the name of the job. */
  readonly types: string;
  plan(signal: AbortSignal): Promise<DatabasePlan>;
  establish(
    source: EndpointInfo,
    target: EndpointInfo,
    config: ConnectionConfigInput,
    signal: AbortSignal,
  ): Promise<P2PConnection>;
  /** Records of an unchecked collection of the target that name others which are not there. */
  violations(target: EndpointInfo, signal: AbortSignal): Promise<number>;
  /** Keeps open what the collections share; what it gives lets go of it. */
  hold(signal: AbortSignal): Promise<() => Promise<void>>;
  /** Takes secrets out of an error. */
  redact(error: unknown): unknown;
}

/** A job under way. */
export class DatabaseRun implements DatabaseJob {
  readonly events = new EventEmitter<DatabaseEvents>();
  readonly done: Promise<DatabaseResult>;
  readonly #work: DatabaseWork;
  readonly #terms: DatabaseTerms;
  readonly #transferId: string;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #meter: ProgressMeter;
  readonly #begunAt = performance.now();
  readonly #far = new Map<string, { readonly records: number; readonly failures: number }>();
  #records = 0;
  #failures = 0;
  readonly #results = new Map<string, CollectionResult>();
  #planned = 0;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(work: DatabaseWork, terms: DatabaseTerms, closing: AbortSignal) {
    this.#work = work;
    this.#terms = terms;
    const { transferId, signal } = work.options;
    this.#transferId = transferId ?? `${terms.types}-${work.verb}-${hash("sha256", terms.about).slice(0, 8)}`;
    this.#signal = AbortSignal.any([this.#stop.signal, closing, ...(signal ? [signal] : [])]);
    this.#meter = new ProgressMeter(this.#transferId);
    this.done = this.#run().catch((error: unknown) => {
      throw terms.redact(toP2PError(error, "WRITE_FAILED", "The job failed"));
    });
    // Whoever asks for it late is told all the same.
    this.done.catch(() => {});
  }

  progress(): DatabaseProgress {
    return {
      ...this.#meter.read(),
      collections: this.#planned,
      collectionsDone: this.#results.size,
    };
  }

  async stop(): Promise<DatabaseResult> {
    this.#stop.abort(new P2PError("ABORTED", "The job was stopped"));
    return this.done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop().catch(() => {});
  }

  async #run(): Promise<DatabaseResult> {
    const { verb, options } = this.#work;
    // Listeners that are added once the job is there hear all of it.
    await Promise.resolve();
    checkOptions(options, verb);
    const resume = options.resume ?? verb === "follow";
    const plan = await this.#terms.plan(this.#signal);
    const state = new JobState(options.checkpoint, this.#transferId, this.#terms.about);
    let letGo: (() => Promise<void>) | undefined;
    try {
      const resumed = await state.open(resume);
      this.#begin(plan);
      const notes = [...plan.notes, ...this.#comparedWith(plan, state, resumed)];
      this.#emit("planned", { plan, resumed });
      for (const trouble of plan.troubles) this.#fail(trouble.name, trouble.reason);
      const files = new FileCheckpointStore(options.checkpoint);
      if (!resume && verb === "transfer") {
        // A later resume must not find what a run before this one left.
        for (const { name } of plan.collections) await files.remove(this.#idOf(name));
      }
      for (const { name, targetName } of plan.collections) {
        if (state.get(name) === undefined || !resumed) await state.note(name, { targetName, status: "waiting" });
      }
      await state.save();
      letGo = await this.#terms.hold(this.#signal);
      await this.#schedule(plan, (collection, free) => this.#one(collection, state, files, resumed, free));
      await state.save();
      notes.push(...(await this.#afterwards(plan)));
      return this.#result(plan, notes);
    } finally {
      await letGo?.();
      this.#meter.end();
      await state.close();
    }
  }

  #begin({ collections, troubles }: DatabasePlan): void {
    this.#planned = collections.length + troubles.length;
    const sizes = collections.map(({ records }) => records);
    const total = sizes.every((size) => size !== undefined) ? sizes.reduce((sum, size) => sum + size, 0) : undefined;
    this.#meter.begin(0, async () => total);
    this.#meter.count();
  }

  /** What has come and gone since the job was planned first. */
  #comparedWith(plan: DatabasePlan, state: JobState, resumed: boolean): string[] {
    if (!resumed) return [];
    const now = new Set([...plan.collections, ...plan.troubles].map(({ name }) => name));
    const gone = state.names.filter((name) => !now.has(name));
    const come = plan.collections.filter(({ name }) => state.get(name) === undefined).map(({ name }) => name);
    for (const name of gone) {
      const saved = state.get(name)!;
      if (saved.status === "waiting" || saved.status === "failed") {
        this.#fail(name, "it is no longer in the source", "SOURCE_NOT_FOUND");
        this.#planned++;
      }
    }
    const finished = gone.filter((name) => !this.#results.has(name));
    return [
      ...(finished.length > 0 ? [`No longer in the source, and copied before: ${finished.join(", ")}`] : []),
      ...(come.length > 0 ? [`Came since the job began: ${come.join(", ")}`] : []),
    ];
  }

  /** Works on several at a time; the next is the first in order whose predecessors are done. */
  async #schedule(
    plan: DatabasePlan,
    work: (collection: PlannedCollection, free: () => void) => Promise<void>,
  ): Promise<void> {
    const { verb, options } = this.#work;
    const most = verb === "follow" ? Number.POSITIVE_INFINITY : (options.jobs ?? plan.jobs);
    const waiting = [...plan.collections];
    const settled = new Set<string>();
    const running = new Set<Promise<void>>();
    const ends: Promise<void>[] = [];
    while (waiting.length > 0 && !this.#signal.aborted) {
      const at = running.size < most ? waiting.findIndex(({ after }) => after.every((name) => settled.has(name))) : -1;
      if (at < 0) {
        await Promise.race(running);
        continue;
      }
      const [collection] = waiting.splice(at, 1);
      const { promise, resolve } = Promise.withResolvers<void>();
      running.add(promise);
      const free = () => {
        settled.add(collection!.name);
        running.delete(promise);
        resolve();
      };
      const end = work(collection!, free).finally(free);
      // Nobody waits for it yet. The others work under the lock of the job, and are brought to an end before it is let go.
      end.catch((error: unknown) => this.#stop.abort(error));
      ends.push(end);
    }
    const broken = (await Promise.allSettled(ends)).find((end) => end.status === "rejected");
    if (broken !== undefined) throw broken.reason;
    for (const { name, targetName } of waiting) {
      this.#results.set(name, { name, targetName, ...this.#unbegun(name, "interrupted") });
    }
  }

  /**
   * Works on one collection to its end.
   *
   * @param free lets the next begin before that: a follow goes on once its collection is copied.
   */
  async #one(
    collection: PlannedCollection,
    state: JobState,
    files: FileCheckpointStore,
    resumed: boolean,
    free: () => void,
  ): Promise<void> {
    const { name, targetName } = collection;
    const { verb, options } = this.#work;
    const transferId = this.#idOf(name);
    const begunAt = performance.now();
    this.#emit("started", { collection, transferId });
    const ended = (status: CollectionStatus, more: Partial<CollectionResult>): CollectionResult => ({
      ...{ name, targetName, transferId, status },
      ...{ counts: NO_COUNTS, durationMs: performance.now() - begunAt },
      ...more,
    });
    const failed = (thrown: unknown): CollectionResult => {
      const error = this.#terms.redact(toP2PError(thrown, "WRITE_FAILED", `"${name}" failed`)) as P2PError;
      const result = error instanceof P2PTransferError ? error.result : undefined;
      const status = this.#signal.aborted ? "interrupted" : "failed";
      return ended(status, {
        ...(status === "failed" && { error }),
        ...(result && { result, counts: countsOf(result) }),
      });
    };
    const run = {
      transferId,
      resume: options.resume ?? verb === "follow",
      deadLetters: this.#deadLetters(transferId, state),
    };
    let result: CollectionResult;
    try {
      const { source, target } = collection;
      const connection = await this.#terms.establish(source, target, options.config ?? {}, this.#signal);
      try {
        const told =
          this.#work.verb === "follow"
            ? await this.#follow(
                collection,
                connection,
                { ...this.#work.options.each, ...run, checkpoint: state.folder },
                free,
              )
            : await this.#carryOut(collection, connection, run, files, resumed ? state.get(name) : undefined);
        result = ended(...told);
      } finally {
        await connection.close();
      }
    } catch (error) {
      result = failed(error);
    }
    this.#results.set(name, result);
    const { status, counts, durationMs } = result;
    // A state that cannot be kept ends the job: it is no failure of this collection.
    if (status !== "interrupted" && status !== "finished") {
      await state.note(name, { targetName, status, counts, durationMs });
    }
    this.#emit("ended", { collection, result });
  }

  /**
   * Copies or mirrors, and compares where that is asked for.
   *
   * @param saved how an earlier run of the job left it.
   */
  async #carryOut(
    collection: PlannedCollection,
    connection: P2PConnection,
    run: Pick<ManagedTransferOptions, "transferId" | "resume" | "deadLetters">,
    files: FileCheckpointStore,
    saved: SavedCollection | undefined,
  ): Promise<[CollectionStatus, Partial<CollectionResult>]> {
    const { verb, options } = this.#work;
    const result =
      verb === "mirror"
        ? await this.#mirror(collection, connection, {
            ...(options.each as ManagedMirrorOptions),
            ...run,
            checkpoint: files.folder,
          })
        : await connection.transfer(
            {},
            {
              ...(options.each as ManagedTransferOptions),
              ...run,
              checkpoint: new LateCheckpointStore(files),
              signal: this.#signal,
              onProgress: ({ records, failures }) => this.#note(collection, records, failures),
            },
          );
    const unreadable = (result as Partial<MirrorResult>).unreadable ?? 0;
    const verified = options.verify ? await this.#verify(connection, result) : undefined;
    const isPartial = result.failureCount + unreadable > 0 || (verified?.unreadable ?? 0) > 0;
    this.#note(collection, result.totalRecords, result.failureCount, false);
    // The checkpoint has answered that both stores are those of then. A mirror has compared anew.
    const before = verb === "transfer" && result.resumed !== undefined ? saved?.status : undefined;
    const wasDone = before === "completed" || before === "partial" || before === "different";
    const status = isPartial
      ? "partial"
      : verified?.equal === false
        ? "different"
        : !wasDone
          ? "completed"
          : verified === undefined && before !== "completed"
            ? before
            : "finished";
    return [status, { result, counts: countsOf(result), ...(verified && { verified }) }];
  }

  #mirror(
    collection: PlannedCollection,
    connection: P2PConnection,
    options: ManagedMirrorOptions,
  ): Promise<MirrorResult> {
    return connection.mirror(
      {},
      {
        ...options,
        signal: this.#signal,
        onProgress: ({ phase, records }) => {
          if (phase !== "comparing") this.#note(collection, records, 0);
        },
      },
    );
  }

  /** Follows to the end; the next may begin when the collection is copied. */
  async #follow(
    collection: PlannedCollection,
    connection: P2PConnection,
    options: ManagedFollowOptions,
    free: () => void,
  ): Promise<[CollectionStatus, Partial<CollectionResult>]> {
    const follow = connection.follow({}, options);
    this.#emit("following", { collection, follow });
    const stop = () => void follow.stop().catch(() => {});
    this.#signal.addEventListener("abort", stop, { once: true });
    if (this.#signal.aborted) stop();
    // Nobody can tell one of many to go on, so that a pause that waits for that ends it with the error that caused it.
    let paused: P2PError | undefined;
    follow.events.on("paused", ({ error }) => {
      if (error.code !== "TOO_MANY_DELETES" && error.code !== "EMPTY_SOURCE") return;
      paused = error;
      stop();
    });
    follow.events.on("caughtUp", free);
    follow.events.on("status", ({ to }) => {
      if (to === "live") free();
    });
    follow.events.on("change", () => this.#note(collection, follow.counts.written, follow.counts.failures));
    try {
      await follow.done;
    } finally {
      this.#signal.removeEventListener("abort", stop);
    }
    const { written, failures, skipped } = follow.counts;
    const totalRecords = written + failures + skipped;
    const counts = { ...NO_COUNTS, totalRecords, successCount: written, failureCount: failures, skippedCount: skipped };
    if (paused !== undefined) return ["failed", { counts, error: paused }];
    return [failures > 0 ? "partial" : "completed", { counts }];
  }

  #verify(connection: P2PConnection, result: TransferResult | MirrorResult): Promise<VerifyResult> {
    const { transform, schema, transformTimeout, hookTimeout, as, recognise, misfits } = (this.#work.options.each ??
      {}) as ManagedTransferOptions;
    const keepsExtras = (result as Partial<MirrorResult>).deletes !== "remove";
    return connection.verify(
      {},
      {
        // The source is compared as what was made of it.
        ...{ transform, schema, transformTimeout, hookTimeout, as, recognise, misfits },
        ...(keepsExtras && { extras: "allow" as const }),
        ...(result.failureCount > 0 && { failed: result.errors.map(({ id }) => id) }),
        signal: this.#signal,
      },
    );
  }

  /** Looks at what was put off, and at what came meanwhile. */
  async #afterwards(plan: DatabasePlan): Promise<string[]> {
    if (this.#signal.aborted || this.#work.verb === "follow") return [];
    const notes: string[] = [];
    for (const { name, target, unchecked } of plan.collections) {
      const result = this.#results.get(name);
      if (!unchecked || result === undefined || result.status === "failed") continue;
      let error: P2PError;
      try {
        const count = await this.#terms.violations(target, this.#signal);
        if (count === 0) continue;
        const what = `${count} ${count === 1 ? "record of" : "records of"} "${name}" ${count === 1 ? "names another that is" : "name others that are"} not in the target`;
        notes.push(what);
        error = new P2PError("WRITE_FAILED", `${what}; copy what is missing, or delete them there`);
      } catch (thrown) {
        if (this.#signal.aborted) {
          this.#results.set(name, { ...result, status: "interrupted" });
          continue;
        }
        const cause = this.#terms.redact(thrown);
        const what = `The foreign keys of "${name}" could not be looked at: ${messageOf(cause)}`;
        notes.push(what);
        const advice = "all of it is written; see what is wrong there, and resume the job, which looks at them again";
        error = new P2PError("READ_FAILED", `${what}; ${advice}`, { cause });
      }
      this.#results.set(name, { ...result, status: "partial", error });
    }
    if (this.#signal.aborted) return notes;
    const now = await this.#terms.plan(this.#signal).catch(() => undefined);
    const known = new Set([...plan.collections, ...plan.troubles].map(({ name }) => name));
    const come = (now?.collections ?? []).filter(({ name }) => !known.has(name)).map(({ name }) => name);
    if (come.length > 0) notes.push(`Came while the job ran, and not copied: ${come.join(", ")}`);
    return notes;
  }

  #result(plan: DatabasePlan, notes: readonly string[]): DatabaseResult {
    const order = [...plan.collections, ...plan.troubles].map(({ name }) => name);
    const rest = [...this.#results.keys()].filter((name) => !order.includes(name));
    const collections = [...order, ...rest].map((name) => this.#results.get(name)!);
    const has = (status: CollectionStatus) => collections.some((one) => one.status === status);
    const status = has("interrupted")
      ? "interrupted"
      : collections.every((one) => one.status === "failed")
        ? "failed"
        : has("failed") || has("partial")
          ? "partial"
          : has("different")
            ? "different"
            : "completed";
    const counts = addCounts(collections.map((one) => one.counts));
    const durationMs = performance.now() - this.#begunAt;
    return { transferId: this.#transferId, status, collections, counts, durationMs, notes };
  }

  #fail(name: string, reason: string, code: "READ_FAILED" | "SOURCE_NOT_FOUND" = "READ_FAILED"): void {
    const error = new P2PError(code, `"${name}" was not copied: ${reason}`);
    this.#results.set(name, { name, targetName: name, ...this.#unbegun(name, "failed"), error });
  }

  #unbegun(name: string, status: CollectionStatus) {
    return { transferId: this.#idOf(name), status, counts: NO_COUNTS, durationMs: 0 };
  }

  #deadLetters(transferId: string, { folder }: JobState): FileDeadLetterSink | false {
    if (this.#work.options.deadLetters === false) return false;
    const { earlierDeadLetters: earlier = "keep" } = (this.#work.options.each ?? {}) as ManagedTransferOptions;
    return new FileDeadLetterSink(join(folder, `${fileNameOf(transferId)}.dead-letters.ndjson`), {
      earlier,
      followLinks: false,
    });
  }

  /** The id of one collection's transfer, which may stand in the name of a file and of a follower. */
  #idOf(name: string): string {
    const plain = name.replace(/[^A-Za-z0-9_-]+/g, "-").slice(0, 40);
    // Where files are not told apart by the case of letters, names would meet.
    const isPlain = plain === name && name === name.toLowerCase();
    return `${this.#transferId}.${isPlain ? name : `${plain}-${hash("sha256", name).slice(0, 8)}`}`;
  }

  #note(collection: PlannedCollection, records: number, failures: number, tell = true): void {
    // Not by adding all of them up: a follow says it for each change, and there may be thousands of collections.
    const before = this.#far.get(collection.name);
    this.#records += records - (before?.records ?? 0);
    this.#failures += failures - (before?.failures ?? 0);
    this.#far.set(collection.name, { records, failures });
    this.#meter.note(this.#records, this.#failures);
    const { progressInterval = DEFAULT_PROGRESS_INTERVAL_MS } = (this.#work.options.each ??
      {}) as ManagedTransferOptions;
    if (!tell || performance.now() - this.#toldAt < progressInterval) return;
    this.#toldAt = performance.now();
    this.#emit("progress", { progress: this.progress(), collection, records, failures });
  }

  #emit<K extends keyof DatabaseEvents>(name: K, event: DatabaseEvents[K][0]): void {
    for (const listener of this.events.rawListeners(name)) {
      callListener(
        () => Reflect.apply(listener, this.events, [event]) as unknown,
        (error) => warnOfListener(`A listener of the event "${name}"`, error),
      );
    }
  }
}

function countsOf({
  totalRecords,
  successCount,
  failureCount,
  skippedCount,
  retryCount,
}: TransferCounts): TransferCounts {
  return { totalRecords, successCount, failureCount, skippedCount, retryCount };
}

const KEYS = [
  "collections",
  "exclude",
  "rename",
  "jobs",
  "transferId",
  "resume",
  "checkpoint",
  "deadLetters",
  "verify",
  "config",
  "each",
  "signal",
];

/** @throws P2PError `INVALID_CONFIG`, naming the option. */
function checkOptions(options: DatabaseWork["options"], verb: DatabaseWork["verb"]): void {
  const invalid = (what: string) => new P2PError("INVALID_CONFIG", `Invalid configuration: ${what}`);
  for (const key of Object.keys(options))
    if (!KEYS.includes(key)) throw invalid(`unknown option "${key}"; there are ${KEYS.join(", ")}`);
  const { jobs, collections, exclude, rename, transferId, each = {}, deadLetters } = options;
  if (jobs !== undefined && !(Number.isSafeInteger(jobs) && jobs >= 1 && jobs <= 64)) {
    throw invalid('"jobs" must be a whole number from 1 to 64');
  }
  for (const [name, list] of Object.entries({ collections, exclude, rename })) {
    if (list !== undefined && !(Array.isArray(list) && list.every((one) => typeof one === "string"))) {
      throw invalid(`"${name}" must be a list of texts`);
    }
  }
  if (transferId !== undefined && !(typeof transferId === "string" && /^[A-Za-z0-9._-]{1,140}$/.test(transferId))) {
    throw invalid('"transferId" of a job must be 1 to 140 of A-Z, a-z, 0-9, ".", "_" and "-"');
  }
  if (deadLetters !== undefined && deadLetters !== false) {
    throw invalid('"deadLetters" of a job must be false, or left out for a file of each collection');
  }
  for (const own of ["transferId", "resume", "checkpoint", "deadLetters", "onProgress", "signal"]) {
    if (own in each) throw invalid(`"${own}" is the job's own, and cannot be given in "each"`);
  }
  if (verb === "follow" && options.verify === true) {
    throw invalid('"verify" has no meaning for a follow, which has no end at which to compare');
  }
}
