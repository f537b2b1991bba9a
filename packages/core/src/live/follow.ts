/** Following by change data capture: copies everything, then keeps the target up to date by what the source's feed names. */
import { hash, randomUUID } from "node:crypto";
import { EventEmitter } from "node:events";
import { hostname } from "node:os";
import { linkedController, unlessAborted } from "../async/abort.ts";
import { sleep } from "../async/sleep.ts";
import type { ConnectionConfig } from "../config.ts";
import { isConnectionError, isP2PError, P2PError, toP2PError } from "../errors.ts";
import { assertAskableById } from "../kit/look-up.ts";
import type { JsonValue } from "../model/json-value.ts";
import type { ChangeBatch, ChangeFeed } from "../storage/change-feed.ts";
import { assertRewritable, changesOf, countOf, deleteOf, lookUpOf } from "../storage/contract-checks.ts";
import { type EndpointInfo, endpointLabel } from "../storage/endpoint.ts";
import type { IdRef } from "../storage/id-ref.ts";
import { type P2PQuery, parseQuery } from "../storage/query.ts";
import { redactError, redactText, secretsOf } from "../storage/redact.ts";
import type { P2PTransferBridge } from "../transfer/bridge.ts";
import {
  assertResumable,
  CHECKPOINT_VERSION,
  type Checkpoint,
  changedParts,
  type FollowMark,
} from "../transfer/checkpoint/checkpoint.ts";
import { DEFAULT_STATE_FOLDER } from "../transfer/checkpoint/file-checkpoint.ts";
import { identityOf } from "../transfer/checkpoint/identity.ts";
import { replacement } from "../transfer/checkpoint/incarnation.ts";
import { claim } from "../transfer/durable/claim.ts";
import type { TransferEnd } from "../transfer/end.ts";
import { FailureBudget } from "../transfer/failure-budget.ts";
import { callListener, warnOfListener } from "../transfer/hooks.ts";
import { declaredSchema } from "../transfer/lane.ts";
import { type ResolvedTransfer, resolveTransfer, type TransferOptions } from "../transfer/options.ts";
import { backoff, RetryBudget } from "../transfer/retry.ts";
import { CollectedChanges } from "./collected-changes.ts";
import { exceededLimit, FEW_DELETES } from "./delete-limit.ts";
import {
  type FollowEvents,
  type FollowHandle,
  type FollowOptions,
  type FollowResult,
  type FollowStatus,
  type SplitFollow,
  splitFollow,
} from "./follow-options.ts";
import { FollowRounds, type RoundResult } from "./follow-round.ts";
import { FollowScheduler } from "./follow-scheduler.ts";
import { keepingIds } from "./keeping-ids.ts";
import { assertLooksUpBy } from "./look-up.ts";
import { mirrorWith, targetQueryOf } from "./mirror.ts";
import type { NotReconciled } from "./reconciler.ts";
import { TargetLease } from "./target-lease.ts";
import { WatchedTarget } from "./watched-target.ts";

/** A feed without changes gives an empty batch after so many ms. */
const FEED_WAIT_MS = 5000;
/** How often the position is looked at, and how often it is saved at least, in ms. */
const SAVE_MS = 1000;
const SAVE_IDLE_MS = 10_000;
/** How often it is made sure, while changes are applied, that both stores are those that they were, in ms. */
const LOOK_MS = 3000;
/** How long changes are gathered, in ms. */
const GATHER_MS = 25;
/** How long rounds under way may take when it is told to stop, in ms. */
const STOP_MS = 5000;
/** Ids reconciled in a round where `batchSize` is `"auto"`. */
const AUTO_BATCH = 500;
/** Rounds at a time at most. */
const MAX_ROUNDS = 4;
/** Ids that wait before the feed is read on: back-pressure. */
const MAX_WAITING = 50_000;
/** The shortest and the longest wait between mirrors that make up for lost changes, in ms. */
const MIRROR_AGAIN_MS = 1000;
const MIRROR_AGAIN_MOST_MS = 60_000;
/** Of a follow that has been live for so long what happened before is forgotten, in ms. */
const LASTING_MS = 60_000;

/** What a follow runs on. */
export interface FollowEnds {
  readonly source: TransferEnd;
  readonly target: TransferEnd;
  readonly bridge: P2PTransferBridge;
  /** Opens both ends anew, and gives up what was open. */
  readonly reopen: (signal: AbortSignal) => Promise<{ readonly source: TransferEnd; readonly target: TransferEnd }>;
  /** Aborts when the connection is closed. */
  readonly closed: AbortSignal;
  readonly deadLetters: TransferOptions["deadLetters"];
}

/** One follow: the handle that was given out, and what it does. */
export class FollowRun implements FollowHandle {
  readonly transferId: string;
  readonly events = new EventEmitter<FollowEvents>();
  readonly done: Promise<FollowResult>;
  readonly #settleDone: PromiseWithResolvers<FollowResult>;
  readonly #query: P2PQuery;
  readonly #own: SplitFollow["own"];
  readonly #rest: TransferOptions;
  readonly #defaults: ConnectionConfig;
  readonly #counts = { changes: 0, written: 0, deleted: 0, skipped: 0, failures: 0, mirrors: 0, batches: 0 };
  readonly #startedAt = performance.now();
  /** Ends it in good order. */
  readonly #easy = new AbortController();
  /** Ends it at once. */
  readonly #hard = new AbortController();
  /** What it does when it is not paused. */
  #work: FollowStatus = "copying";
  /** Why it is paused, each as long as it lasts. */
  readonly #pauses = new Set<Pause>();
  #toldStatus: FollowStatus = "copying";
  #error: P2PError | undefined;
  #lease: FollowHandle["lease"];
  /** This run has held the lease of the target. */
  #isLeased = false;
  #hasSaved = false;
  readonly #run = randomUUID();
  #lagMs: number | undefined;
  #position: JsonValue = null;
  #secrets: readonly string[] = [];
  #feedTroubled = false;

  constructor(
    query: P2PQuery,
    options: FollowOptions,
    defaults: ConnectionConfig,
    ends: { readonly source: EndpointInfo; readonly target: EndpointInfo },
  ) {
    const { own, rest } = splitFollow(options);
    const { orderBy: _, ...asked } = query;
    this.#query = asked;
    this.#own = own;
    this.#rest = rest;
    this.#defaults = { ...defaults, transferTimeout: 0 };
    this.#settleDone = Promise.withResolvers();
    this.done = this.#settleDone.promise;
    this.done.catch(() => {});
    this.transferId = rest.transferId ?? defaultId(ends, asked);
  }

  get status(): FollowStatus {
    return this.#work !== "stopped" && this.#pauses.size > 0 ? "paused" : this.#work;
  }

  get lagMs(): number | undefined {
    return this.#lagMs;
  }

  get counts(): FollowHandle["counts"] {
    return { ...this.#counts };
  }

  get position(): JsonValue {
    return this.#position;
  }

  get error(): P2PError | undefined {
    const [pause] = this.#pauses;
    return this.#error ?? pause?.error;
  }

  get lease(): FollowHandle["lease"] {
    return this.#lease;
  }

  /** Whether it goes on, and its feed can be read, as far as is known. */
  get isHealthy(): boolean {
    return !this.#feedTroubled && this.#work !== "stopped" && this.#pauses.size === 0;
  }

  resume(): void {
    for (const pause of this.#pauses) pause.goOn();
  }

  async stop(): Promise<FollowResult> {
    this.#easy.abort(stopped());
    return this.done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop().catch(() => {});
  }

  /** Ends with what went wrong before it could begin. */
  end(outcome: Promise<FollowResult>): void {
    outcome.then(
      (result) => this.#ended(undefined, () => this.#settleDone.resolve(result)),
      (error) => this.#ended(error as P2PError, () => this.#settleDone.reject(error)),
    );
  }

  #ended(error: P2PError | undefined, settle: () => void): void {
    this.#error = error;
    this.#go("stopped");
    this.#emit("stopped", { error });
    settle();
  }

  /** Follows until it is told to stop, or something happens that nothing can be done about. */
  async run(ends: FollowEnds): Promise<FollowResult> {
    const { signal } = this.#rest;
    this.#secrets = secretsOf(ends.source.endpoint, ends.target.endpoint);
    const easy = () => this.#easy.abort(stopped());
    const closed = () => {
      easy();
      this.#resetStop();
    };
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw new P2PError("INVALID_CONFIG", 'Invalid configuration: "signal" must be an AbortSignal');
    }
    if (signal?.aborted) easy();
    signal?.addEventListener("abort", easy);
    ends.closed.addEventListener("abort", closed);
    try {
      await this.#sessions(ends);
      return this.#result();
    } catch (thrown) {
      if (thrown === this.#easy.signal.reason) return this.#result();
      const { code, message, retryable } = toP2PError(thrown, "WRITE_FAILED", "The follow failed");
      throw redactError(new P2PError(code, message, { retryable, cause: thrown }), this.#secrets);
    } finally {
      signal?.removeEventListener("abort", easy);
      ends.closed.removeEventListener("abort", closed);
      this.#hard.abort(stopped());
    }
  }

  /** One session after the other, each from the checkpoint of the one before, for as long as something can be done about what ended it. */
  async #sessions(given: FollowEnds): Promise<void> {
    const options = this.#optionsOf(given);
    const easy = this.#easy.signal;
    const { config } = options.resolved;
    const unlock = await claim(options.resolved.checkpoints!, this.transferId, easy);
    let ends = given;
    let anew = false;
    let changes = 0;
    try {
      for (;;) {
        const since = performance.now();
        try {
          await this.#session(ends, options, anew);
          return;
        } catch (thrown) {
          easy.throwIfAborted();
          const error = toP2PError(thrown, "WRITE_FAILED", "The follow failed");
          if (performance.now() - since > LASTING_MS) changes = 0;
          if (error.code === "STORE_CHANGED") {
            // It is a new position and a mirror that make up for it, as for changes that nobody can tell any more.
            this.#emit("lost", { error: redactError(error, this.#secrets) as P2PError });
            this.#go("mirroring");
            if (changes++ > 0)
              await sleep(Math.min(MIRROR_AGAIN_MOST_MS, MIRROR_AGAIN_MS * 2 ** Math.min(10, changes)), easy);
            anew = true;
            ends = { ...ends, ...(await this.#reopened(ends, error, config, false)) };
          } else if (error.retryable && (config.autoReconnect || !isConnectionError(error))) {
            ends = { ...ends, ...(await this.#reopened(ends, error, config, true)) };
          } else throw error;
        }
      }
    } finally {
      await unlock().catch(() => {});
    }
  }

  async #session(ends: FollowEnds, { rest, resolved }: GivenOptions, anew: boolean): Promise<void> {
    const easy = linkedController(this.#easy.signal);
    const hard = linkedController(this.#hard.signal);
    try {
      await new FollowSession(this.#sessionOf(ends, rest, resolved, easy, hard, anew)).run();
    } finally {
      easy.forget();
      hard.forget();
    }
  }

  /**
   * Opens the ends anew, however long that takes: the follow is paused meanwhile.
   *
   * @param paused it is from the start, since an end has been away for long enough.
   */
  async #reopened(ends: FollowEnds, cause: P2PError, config: ConnectionConfig, paused: boolean) {
    const easy = this.#easy.signal;
    let pause = paused ? this.#pause(cause) : undefined;
    try {
      for (let attempt = 0; ; attempt++) {
        try {
          if (pause) {
            const delayMs = Math.max(Math.min(1000, config.maxRetryDelay), backoff(config, attempt));
            await unlessAborted(Promise.race([sleep(delayMs, easy), pause.resumed()]), easy);
          }
          return await unlessAborted(ends.reopen(easy), easy);
        } catch (thrown) {
          easy.throwIfAborted();
          const error = toP2PError(thrown, "CONNECTION_FAILED", "A store could not be opened");
          if (!error.retryable && !(isConnectionError(error) && !isP2PError(error, "AUTHENTICATION_FAILED")))
            throw error;
          if (!config.autoReconnect) throw error;
          pause ??= this.#pause(error);
        }
      }
    } finally {
      pause?.end();
    }
  }

  #resetStop(): void {
    setTimeout(() => this.#hard.abort(stopped()), STOP_MS).unref();
  }

  #optionsOf({ deadLetters }: FollowEnds): GivenOptions {
    const { onProgress: _, ...given } = this.#rest;
    const rest: SessionTerms["rest"] = {
      ...given,
      ...(deadLetters !== undefined && { deadLetters }),
      signal: undefined,
      checkpoint: this.#rest.checkpoint ?? DEFAULT_STATE_FOLDER,
    };
    return { rest, resolved: resolveTransfer({ ...rest, transferId: this.transferId }, this.#defaults) };
  }

  #sessionOf(
    ends: FollowEnds,
    rest: SessionTerms["rest"],
    options: ResolvedTransfer,
    easy: AbortController,
    hard: AbortController,
    anew: boolean,
  ): SessionTerms {
    return {
      ...{ ends, rest, options, hard, anew },
      query: this.#query,
      own: this.#own,
      defaults: this.#defaults,
      transferId: this.transferId,
      easy: easy.signal,
      secrets: this.#secrets,
      counts: this.#counts,
      run: this.#run,
      isLeased: () => this.#isLeased,
      hasSaved: () => this.#hasSaved,
      noteSaved: () => {
        this.#hasSaved = true;
      },
      noteLease: (lease) => {
        this.#isLeased ||= lease.place === "target";
        if (this.#lease?.place === lease.place) return;
        this.#lease = lease;
        this.#emit("lease", lease);
      },
      end: () => easy.abort(this.#easy.signal.aborted ? this.#easy.signal.reason : stopped()),
      go: (status) => this.#go(status),
      emit: (name, event) => this.#emit(name, event),
      pause: async (error) => {
        const pause = this.#pause(error);
        try {
          await unlessAborted(pause.resumed(), easy.signal);
        } finally {
          pause.end();
        }
      },
      noteLag: (lagMs) => {
        this.#lagMs = lagMs;
      },
      notePosition: (position) => {
        this.#position = position;
      },
      noteFeed: (troubled) => {
        this.#feedTroubled = troubled;
      },
    };
  }

  /** Begins a pause. It waits for `resume()`, or for whoever ends it. */
  #pause(thrown: P2PError): Pause {
    const error = redactError(new P2PError(thrown.code, thrown.message), this.#secrets) as P2PError;
    let goOn = Promise.withResolvers<void>();
    const pause: Pause = {
      error,
      goOn: () => goOn.resolve(),
      resumed: async () => {
        await goOn.promise;
        goOn = Promise.withResolvers();
      },
      end: () => {
        this.#pauses.delete(pause);
        this.#tellStatus();
      },
    };
    this.#pauses.add(pause);
    this.#tellStatus();
    this.#emit("paused", { error });
    return pause;
  }

  #go(to: FollowStatus): void {
    this.#work = to;
    this.#tellStatus();
  }

  #tellStatus(): void {
    const [from, to] = [this.#toldStatus, this.status];
    if (from === to) return;
    this.#toldStatus = to;
    this.#emit("status", { from, to });
  }

  readonly #warned = new Set<string>();

  #emit<K extends keyof FollowEvents>(name: K, event: FollowEvents[K][0]): void {
    for (const listener of this.events.rawListeners(name)) {
      callListener(
        () => Reflect.apply(listener, this.events, [event]) as unknown,
        (error) => {
          if (!this.#warned.has(name)) warnOfListener(`A listener of the event "${name}" of a follow`, error);
          this.#warned.add(name);
        },
      );
    }
  }

  #result(): FollowResult {
    return {
      transferId: this.transferId,
      counts: this.counts,
      durationMs: performance.now() - this.#startedAt,
      position: this.#position,
    };
  }
}

/** Why a follow is paused, for as long as it is. */
interface Pause {
  readonly error: P2PError;
  goOn(): void;
  /** Waits for the next `resume()`. */
  resumed(): Promise<void>;
  end(): void;
}

/** What the caller has told, for copies and mirrors, and as it is understood. */
interface GivenOptions {
  readonly rest: SessionTerms["rest"];
  readonly resolved: ResolvedTransfer;
}

/** What one session is about. */
interface SessionTerms {
  readonly ends: FollowEnds;
  readonly query: P2PQuery;
  readonly own: SplitFollow["own"];
  readonly rest: Omit<TransferOptions, "onProgress">;
  readonly defaults: ConnectionConfig;
  readonly options: ResolvedTransfer;
  readonly transferId: string;
  readonly easy: AbortSignal;
  readonly hard: AbortController;
  readonly secrets: readonly string[];
  readonly counts: { -readonly [K in keyof FollowHandle["counts"]]: number };
  /** A store was replaced: what the checkpoint says of positions is of no use. */
  readonly anew: boolean;
  /** Names the run, for leases. */
  readonly run: string;
  isLeased(): boolean;
  hasSaved(): boolean;
  noteSaved(): void;
  noteLease(lease: NonNullable<FollowHandle["lease"]>): void;
  /** Ends all that heeds `easy`. */
  end(): void;
  go(status: FollowStatus): void;
  emit<K extends keyof FollowEvents>(name: K, event: FollowEvents[K][0]): void;
  pause(error: P2PError): Promise<void>;
  noteLag(lagMs: number): void;
  notePosition(position: JsonValue): void;
  noteFeed(troubled: boolean): void;
}

/** From the claim of the follow to its last save. */
class FollowSession {
  readonly #terms: SessionTerms;
  readonly #budget: FailureBudget;
  readonly #windowOfDeletes: { readonly at: number; readonly deletes: number }[] = [];
  readonly #target: WatchedTarget;
  #lease: TargetLease | undefined;
  #owner: string = randomUUID();
  /** A write without a clear answer of which no scheduler knows. */
  #unsure = false;
  /** Rounds under way, those that failed until they have. */
  readonly #underWay = new Set<Promise<void>>();
  readonly #collected: CollectedChanges | undefined;
  #scheduler!: FollowScheduler;
  #rounds!: FollowRounds;
  #phase: FollowMark["phase"] = "copying";
  /** From which position on the feed tells what a copy or a mirror does not bring. */
  #start: JsonValue = null;
  #wasClean = true;
  #stores: Checkpoint["stores"];
  #letters: JsonValue = null;
  #lettersOpen = false;
  #committedAt: number | undefined;
  #lost = false;
  #mirrorsInARow = 0;
  #pausing: Promise<void> | undefined;
  #mayDelete = 0;
  #savedAt = Number.NEGATIVE_INFINITY;
  #saved: JsonValue | undefined;
  /** When it was made sure last that both stores are those that they were, and how many rounds there had been. */
  #lookedAt = performance.now();
  #lookedAfter = 0;
  #saving: Promise<void> = Promise.resolve();
  readonly #fatal = Promise.withResolvers<never>();
  #wake = Promise.withResolvers<void>();
  #applied = false;

  constructor(terms: SessionTerms) {
    const { ends, own, options, query, transferId } = terms;
    const transform = options.transform && keepingIds(options.transform, (error) => this.#fail(error));
    this.#terms = { ...terms, options: { ...options, transform } };
    this.#budget = new FailureBudget(options.config.maxFailures);
    this.#target = new WatchedTarget(ends.target, ends.source.service.rawSource, {
      before: async (signal) => this.#lease?.assertHeld(signal),
      unclear: (refs) => {
        if (this.#scheduler) this.#scheduler.unclear(refs);
        else this.#unsure = true;
      },
      lingerMs: STOP_MS,
    });
    this.#collected =
      options.stateFolder === undefined ? undefined : new CollectedChanges(options.stateFolder, transferId);
    this.#fatal.promise.catch(() => {});
    // Refused before anything is done.
    targetQueryOf(query, own, transform !== undefined);
  }

  async run(): Promise<void> {
    const { ends, own, query, options, easy } = this.#terms;
    assertAskableById(parseQuery(query));
    lookUpOf(ends.source);
    assertRewritable(ends.target);
    if (own.deletes !== "keep") {
      deleteOf(ends.target);
      lookUpOf(ends.target);
    }
    const feed = own.every === undefined ? changesOf(ends.source) : undefined;
    await assertLooksUpBy(ends.source, query, easy);
    let goesOn = false;
    try {
      if (feed) await this.#follow(feed);
      else await this.#mirrorEvery(own.every!);
    } catch (error) {
      goesOn = error !== easy.reason && isP2PError(error) && (error.retryable || error.code === "STORE_CHANGED");
      throw error;
    } finally {
      if (this.#lettersOpen) await options.deadLetters?.close().catch(() => {});
      await this.#collected?.close().catch(() => {});
      await this.#target.settled();
      // Of a lease that is not given back the next one must wait for the end: nothing lands any more then.
      await this.#lease?.end(!goesOn && !this.#unsure && this.#scheduler?.isClean !== false);
    }
  }

  /** Takes the lease in the target, unless it is not wanted, or cannot be had and need not. */
  async #takeLease(): Promise<void> {
    const { ends, own, transferId, easy, run, isLeased, noteLease } = this.#terms;
    if (own.lease === "state") {
      noteLease({ place: "state", reason: undefined });
      return;
    }
    const lease = new TargetLease(
      ends.target,
      {
        ...{ name: transferId, run, owner: this.#owner, landsWithin: own.landsWithin },
        holder: `process ${process.pid} on ${hostname()}`,
        onLost: (error) => this.#fail(error),
      },
      isLeased(),
    );
    try {
      await this.#patiently(easy, () => lease.take(easy));
    } catch (error) {
      // Whoever has held it may have lost it to another run meanwhile, and does not go on without.
      if (isLeased() || own.lease === "target" || !isP2PError(error, "LEASE_UNAVAILABLE")) throw error;
      noteLease({ place: "state", reason: redactText(error.message, this.#terms.secrets) });
      return;
    }
    this.#lease = lease;
    noteLease({ place: "target", reason: undefined });
  }

  /** Asks a store, and once more where it is away or busy. */
  async #patiently<T>(signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
    const { options, emit } = this.#terms;
    const budget = new RetryBudget(options.config, (error, delayMs) => emit("retry", { error, delayMs }));
    for (;;) {
      try {
        return await unlessAborted(ask(), signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!(await budget.again(error, signal))) throw error;
      }
    }
  }

  /** Without a feed: a mirror every so often. */
  async #mirrorEvery(every: number): Promise<void> {
    const { easy, emit, options, transferId } = this.#terms;
    const earlier = await options.checkpoints!.load(transferId).catch(() => undefined);
    this.#owner = earlier?.follow?.owner ?? this.#owner;
    await this.#takeLease();
    // For the next run, and for one that follows by a feed again: it begins with a mirror then.
    this.#phase = "mirroring";
    await this.#save(true);
    const mirroring = async (): Promise<never> => {
      for (;;) {
        await this.#mirror(false);
        this.#terms.go("live");
        emit("caughtUp", { lagMs: undefined });
        await sleep(every, easy);
      }
    };
    const work = mirroring();
    try {
      await Promise.race([work, this.#fatal.promise]);
    } finally {
      this.#terms.end();
      await work.catch(() => {});
    }
  }

  async #follow(feed: ChangeFeed): Promise<void> {
    const { easy, options, hard, ends, query, own } = this.#terms;
    const mark = await this.#earlier();
    // Before the source keeps anything by this id, which another may follow by.
    await this.#takeLease();
    const position = mark?.position ?? (await this.#now(feed));
    this.#phase = mark?.phase ?? "copying";
    this.#wasClean = mark?.clean ?? true;
    this.#terms.notePosition(position);
    this.#start = position;
    const isEmptyAtFirst = mark === undefined && (await this.#isTargetEmpty());
    if (mark === undefined && !isEmptyAtFirst) this.#phase = "mirroring";
    const { batchSize } = options.config;
    this.#scheduler = new FollowScheduler(
      {
        landsWithin: own.landsWithin,
        gather: GATHER_MS,
        batchSize: batchSize === "auto" ? AUTO_BATCH : batchSize,
        concurrency: Math.min(MAX_ROUNDS, ends.target.service.capabilities.writeConcurrency),
        position,
        clean: this.#wasClean,
        collecting: this.#phase !== "live",
      },
      {
        later: (ms, step) => void setTimeout(step, ms).unref(),
        reconcile: (refs, visible, done) => this.#begin(this.#round(feed, refs, visible), done),
        keptSettled: () => this.#clearKept(),
        moved: () => this.#moved(),
      },
    );
    const kept = (await this.#collected?.load()) ?? [];
    this.#rounds = new FollowRounds({
      ...{ source: ends.source, target: this.#target, query, options: this.#terms.options },
      targetQuery: targetQueryOf(query, own, options.transform !== undefined),
      deletes: own.deletes ?? "remove",
      schema: await this.#patiently(easy, () => declaredSchema(ends.source.service, query, options.transform, easy)),
      signal: hard.signal,
      onRetry: (error, delayMs) => this.#terms.emit("retry", { error, delayMs }),
      allow: (deletes) => this.#allow(deletes),
      assertSource: () => this.#assertStores("source"),
    });
    if (mark === undefined) await this.#collected?.clear();
    else this.#scheduler.restore(kept);
    this.#stores ??= await this.#storesNow();
    await this.#save(false);
    const saver = setInterval(() => this.#saveIfDue(feed), SAVE_MS);
    const reading = this.#read(feed, position);
    reading.catch((error) => this.#fail(error));
    try {
      await Promise.race([this.#phases(feed, mark === undefined), this.#fatal.promise]);
    } catch (error) {
      this.#scheduler.stop();
      if (error !== easy.reason) hard.abort(error);
      // The feed is read no more, whatever ended it.
      this.#terms.end();
      throw error;
    } finally {
      clearInterval(saver);
      // One that hangs is not waited for without end.
      await unlessAborted(Promise.allSettled(this.#underWay), AbortSignal.timeout(STOP_MS)).catch(() => {});
      hard.abort(easy.aborted ? easy.reason : stopped());
      await reading.catch(() => {});
      await this.#target.settled();
      await this.#saving;
      await this.#save(this.#scheduler.isClean).catch(() => {});
      await this.#acknowledge(feed, this.#scheduler.position, AbortSignal.timeout(STOP_MS)).catch(() => {});
    }
  }

  /** Copies or mirrors where that is due, and lives on what the feed tells between. */
  async #phases(feed: ChangeFeed, isFirst: boolean): Promise<void> {
    const { easy, own, go, emit } = this.#terms;
    let first = isFirst;
    for (;;) {
      if (this.#phase !== "live") {
        await this.#until(() => this.#scheduler.rounds === 0 && !this.#scheduler.isFencing, easy);
        do {
          this.#lost = false;
          // A position may be ahead of what reading sees: a change before it would be in neither.
          const start = this.#start;
          await this.#patiently(easy, async () => feed.visible?.(start, easy));
          if (this.#phase === "copying") {
            await this.#copy(first);
            // What the target holds from here on is ours.
            first = false;
          } else await this.#mirror(first);
          if (this.#lost) this.#phase = "mirroring";
        } while (this.#lost);
        first = false;
        this.#phase = "live";
        this.#stores = await this.#storesNow();
        await this.#save(false);
        this.#applied = true;
        this.#scheduler.complete();
      }
      go("live");
      if (this.#scheduler.isIdle) emit("caughtUp", { lagMs: undefined });
      this.#wake = Promise.withResolvers();
      if (!this.#lost) {
        const due = own.reconcileEvery === undefined ? undefined : sleep(own.reconcileEvery, easy);
        await unlessAborted(due ? Promise.race([this.#wake.promise, due]) : this.#wake.promise, easy);
      }
      if (this.#lost) await this.#waitBeforeMirror();
      else this.#scheduler.collect();
      this.#phase = "mirroring";
    }
  }

  /** A feed that breaks all the time is not made up for all the time. */
  async #waitBeforeMirror(): Promise<void> {
    const times = this.#mirrorsInARow++;
    if (times === 0) return;
    await sleep(Math.min(MIRROR_AGAIN_MOST_MS, MIRROR_AGAIN_MS * 2 ** Math.min(10, times)), this.#terms.easy);
  }

  async #copy(isFirst: boolean): Promise<void> {
    const { ends, query, rest, defaults, transferId, easy, counts, go } = this.#terms;
    go("copying");
    const result = await ends.bridge.transfer(
      ends.source,
      this.#target,
      query,
      { ...rest, transferId: `${transferId}.copy`, resume: !isFirst, signal: easy },
      defaults,
    );
    counts.written += result.successCount - (result.resumed?.successCount ?? 0);
    counts.failures += result.failureCount - (result.resumed?.failureCount ?? 0);
  }

  async #mirror(isFirst: boolean): Promise<void> {
    const { own, easy, options, counts, emit, go } = this.#terms;
    const budget = new RetryBudget(options.config, (error, delayMs) => emit("retry", { error, delayMs }));
    let allowed = false;
    let resume = true;
    for (;;) {
      go(isFirst && own.every === undefined ? "copying" : "mirroring");
      try {
        const result = await this.#mirrorOnce(isFirst, allowed, resume);
        counts.written += result.successCount;
        counts.deleted += result.deletedCount;
        counts.failures += result.failureCount;
        counts.mirrors++;
        emit("mirrored", { result });
        return;
      } catch (error) {
        easy.throwIfAborted();
        // None of its writes may come between those of the next try.
        await this.#target.settled();
        if (resume && (isP2PError(error, "CHECKPOINT_MISMATCH") || isP2PError(error, "CHECKPOINT_INVALID"))) {
          resume = false;
        } else if (isP2PError(error, "TOO_MANY_DELETES") || isP2PError(error, "EMPTY_SOURCE")) {
          await this.#terms.pause(error);
          allowed = true;
        } else if (!(await budget.again(error, easy))) throw error;
      }
    }
  }

  #mirrorOnce(isFirst: boolean, allowed: boolean, resume: boolean) {
    const { ends, own, query, rest, defaults, transferId, easy } = this.#terms;
    // What becomes of extras must be told where the target holds records before the first run.
    const deletes = own.deletes ?? (isFirst || own.every !== undefined ? undefined : "remove");
    const { targetQuery, maxDeletes, allowEmptySource } = own;
    return mirrorWith(
      ends.source,
      this.#target,
      query,
      {
        ...rest,
        transferId: `${transferId}.mirror`,
        signal: easy,
        ...{ resume, deletes, targetQuery },
        maxDeletes: allowed ? "all" : maxDeletes,
        allowEmptySource: allowed || allowEmptySource,
      },
      defaults,
    );
  }

  /** Reads the feed without end. */
  async #read(feed: ChangeFeed, start: JsonValue): Promise<void> {
    const { transferId, easy, options, emit, noteFeed } = this.#terms;
    const budget = new RetryBudget(options.config, (error, delayMs) => emit("retry", { error, delayMs }));
    let after = start;
    for (;;) {
      try {
        for await (const batch of feed.read({ follower: transferId, after, maxWaitMs: FEED_WAIT_MS, signal: easy })) {
          budget.succeeded();
          noteFeed(false);
          await this.#enter(batch);
          after = batch.cursor;
        }
        easy.throwIfAborted();
        throw new P2PError("READ_FAILED", "The feed of changes ended by itself", { retryable: true });
      } catch (error) {
        easy.throwIfAborted();
        noteFeed(true);
        if (isP2PError(error, "CHANGES_LOST")) {
          after = await this.#changesLost(feed, error);
          noteFeed(false);
        } else {
          const lasting = isConnectionError(error) && !error.retryable;
          if (lasting || !(await budget.again(error, easy))) {
            easy.throwIfAborted();
            throw error;
          }
        }
      }
    }
  }

  async #enter({ refs, cursor, committedAt }: ChangeBatch): Promise<void> {
    const isCollecting = this.#phase !== "live" && this.#collected !== undefined;
    if (isCollecting) await this.#collected?.add(refs);
    if (committedAt) this.#committedAt = committedAt.getTime();
    this.#terms.counts.changes += refs.length;
    if (refs.length > 0) this.#applied = true;
    this.#scheduler.told(refs, cursor, isCollecting);
    if (this.#phase === "live" && this.#scheduler.waiting > MAX_WAITING) {
      const { easy } = this.#terms;
      await this.#until(() => this.#scheduler.waiting <= MAX_WAITING || this.#phase !== "live", easy);
    }
  }

  /** A new position, and a mirror that stands for all before it. */
  async #changesLost(feed: ChangeFeed, error: P2PError): Promise<JsonValue> {
    this.#terms.emit("lost", { error: redactError(error, this.#terms.secrets) as P2PError });
    const position = await this.#now(feed);
    this.#start = position;
    this.#scheduler.collect(position);
    this.#lost = true;
    // In the checkpoint of a copy under way, too: the next run may not go on with a copy that missed changes of its first part.
    this.#phase = "mirroring";
    await this.#save(false);
    this.#wake.resolve();
    return position;
  }

  /** Takes a position; a store that is away is waited for. */
  #now(feed: ChangeFeed): Promise<JsonValue> {
    const { transferId, easy } = this.#terms;
    return this.#patiently(easy, () => feed.now(transferId, easy));
  }

  #begin(round: Promise<void>, done: () => void): void {
    const ended = round.then(done, (error) => this.#fail(error));
    this.#underWay.add(ended);
    void ended.finally(() => this.#underWay.delete(ended));
  }

  /** One round: an end that is away is waited for, and then all is looked up anew. */
  async #round(feed: ChangeFeed, refs: readonly IdRef[], visible: JsonValue | undefined): Promise<void> {
    const { hard, options, counts, emit, noteLag } = this.#terms;
    const committedAt = this.#committedAt;
    const budget = new RetryBudget(options.config, (error, delayMs) => emit("retry", { error, delayMs }));
    let result: RoundResult;
    for (;;) {
      try {
        if (visible !== undefined) await feed.visible?.(visible, hard.signal);
        result = await this.#rounds.reconcile(refs);
        break;
      } catch (error) {
        hard.signal.throwIfAborted();
        if (!(await budget.again(error, hard.signal))) throw error;
      }
    }
    counts.written += result.written;
    counts.deleted += result.deleted;
    counts.skipped += result.skipped;
    counts.batches++;
    this.#mirrorsInARow = 0;
    if (result.deleted > 0) this.#windowOfDeletes.push({ at: performance.now(), deletes: result.deleted });
    await this.#enterFailures(result.failures);
    const lagMs = committedAt === undefined ? undefined : Math.max(0, Date.now() - committedAt);
    if (lagMs !== undefined) noteLag(lagMs);
    emit("change", { written: result.written, deleted: result.deleted, lagMs });
  }

  #moved(): void {
    if (!this.#applied || !this.#scheduler.isIdle || this.#phase !== "live") return;
    this.#applied = false;
    const { emit } = this.#terms;
    emit("caughtUp", {
      lagMs: this.#committedAt === undefined ? undefined : Math.max(0, Date.now() - this.#committedAt),
    });
  }

  /** Holds deletes to `maxDeletes` in each window, and pauses before there are more. */
  async #allow(deletes: number): Promise<boolean> {
    const { own, ends, pause } = this.#terms;
    if (this.#pausing) {
      await this.#pausing;
      return true;
    }
    const since = performance.now() - own.deletesWindow;
    while (this.#windowOfDeletes.length > 0 && this.#windowOfDeletes[0]!.at < since) this.#windowOfDeletes.shift();
    const sum = this.#windowOfDeletes.reduce((all, one) => all + one.deletes, deletes) - this.#mayDelete;
    if (own.maxDeletes === undefined && sum <= FEW_DELETES) return false;
    const total = await this.#targetCount();
    // What was deleted within the window was there at its beginning.
    const before = total + sum - deletes;
    const limit = exceededLimit(sum, before, own.maxDeletes);
    if (limit === undefined) return false;
    const error = new P2PError(
      "TOO_MANY_DELETES",
      `${sum} records of ${endpointLabel(ends.target.endpoint)} would be deleted within ${own.deletesWindow} ms, since ${endpointLabel(ends.source.endpoint)} no longer has ` +
        `them, which is more than maxDeletes bears (${limit}): the follow pauses, and nothing more is deleted. See whether the source is whole; then ` +
        'go on by resume() or a larger maxDeletes, or keep them by deletes: "keep"',
    );
    this.#scheduler.hold();
    this.#pausing = pause(error);
    try {
      await this.#pausing;
    } finally {
      this.#pausing = undefined;
    }
    // What is at hand may go, and what was told until now.
    this.#mayDelete = sum + this.#scheduler.waiting + AUTO_BATCH * MAX_ROUNDS;
    setTimeout(() => {
      this.#mayDelete = 0;
    }, own.deletesWindow).unref();
    this.#scheduler.goOn();
    return true;
  }

  /** How many records the target holds, counted by reading where it does not tell. */
  async #targetCount(): Promise<number> {
    const { ends, hard } = this.#terms;
    const { service } = ends.target;
    const told = await countOf(service, {}, hard.signal);
    if (told !== undefined) return told;
    let count = 0;
    const reading = service.readFromSource({}, { batchSize: AUTO_BATCH, signal: hard.signal });
    for await (const { records, failures = [] } of reading) count += records.length + failures.length;
    return count;
  }

  /** @throws P2PError `SOURCE_NOT_FOUND` where the source is gone; one that was replaced is told as lost changes. */
  async #assertStores(which: "source" | "target"): Promise<void> {
    const { ends, hard } = this.#terms;
    const before = this.#stores?.[which].incarnation;
    if (before === undefined) return;
    const { incarnation } = await unlessAborted(ends[which].service.identity(hard.signal), hard.signal);
    if (incarnation === before) return;
    const label = endpointLabel(ends[which].endpoint);
    if (which === "source" && incarnation === undefined) {
      throw new P2PError("SOURCE_NOT_FOUND", `${label} is gone; nothing was deleted for it. See what happened to it`);
    }
    throw new P2PError(
      "STORE_CHANGED",
      `${label} was dropped, emptied or replaced while it was followed; see what happened to it, and follow anew: the next run mirrors first`,
    );
  }

  async #storesNow(): Promise<NonNullable<Checkpoint["stores"]>> {
    const { ends, easy } = this.#terms;
    const [source, target] = await Promise.all(
      [ends.source, ends.target].map(async ({ service }) => {
        const { incarnation } = await this.#patiently(easy, () => service.identity(easy));
        return incarnation === undefined ? {} : { incarnation };
      }),
    );
    return { source: source!, target: target! };
  }

  #isTargetEmpty(): Promise<boolean> {
    const { ends, easy, own, query, options } = this.#terms;
    const asked = targetQueryOf(query, own, options.transform !== undefined);
    return this.#patiently(easy, async () => {
      try {
        const reading = ends.target.service.readFromSource({ ...asked, limit: 1 }, { batchSize: 1, signal: easy });
        for await (const { records, failures = [] } of reading) if (records.length + failures.length > 0) return false;
      } catch (error) {
        if (!isP2PError(error, "SOURCE_NOT_FOUND")) throw error;
      }
      return true;
    });
  }

  /** Where the run before stood, as far as this one may go on from there. */
  async #earlier(): Promise<FollowMark | undefined> {
    const { own, options, transferId, anew, hasSaved } = this.#terms;
    // Told to begin anew, it still goes on by what it has saved itself, when it begins once more.
    const resumes = own.resume !== false || hasSaved();
    const checkpoint = await options.checkpoints!.load(transferId).catch((error) => {
      if (resumes) throw error;
    });
    if (!checkpoint?.follow) return undefined;
    this.#owner = checkpoint.follow.owner ?? this.#owner;
    if (!resumes) return undefined;
    const identity = this.#identity();
    // Another query is no other follow: a mirror makes up for it, and the position stays.
    const { query, transform } = identity;
    assertResumable({ ...checkpoint, identity: { ...checkpoint.identity, query, transform } }, transferId, identity);
    this.#letters = checkpoint.deadLetterPosition;
    const now = await this.#storesNow();
    const replaced = (["source", "target"] as const).filter((side) =>
      replacement(checkpoint.stores?.[side], now[side]),
    );
    const { follow } = checkpoint;
    const isOther = anew || replaced.length > 0 || changedParts(checkpoint, identity).length > 0;
    if (!isOther) return follow;
    // A position of the source before says nothing of this one, even where it can be read on from.
    const isSourceOther = anew || replaced.includes("source");
    return { ...follow, phase: "mirroring", ...(isSourceOther && { position: null }) };
  }

  #identity(): Checkpoint["identity"] {
    const { ends, query, options } = this.#terms;
    return { ...identityOf(ends.source, ends.target, query, options), mode: "follow" };
  }

  async #enterFailures(failures: readonly NotReconciled[]): Promise<void> {
    if (failures.length === 0) return;
    const { options, transferId, counts, secrets } = this.#terms;
    const at = new Date().toISOString();
    const letters = failures.map(({ id, phase, error, attempts }, place) => ({
      ...{ transferId, id, phase, attempts, at, code: error.code },
      reason: redactText(error.message, secrets),
      position: counts.failures + place,
    }));
    counts.failures += failures.length;
    if (options.deadLetters) {
      if (!this.#lettersOpen) await options.deadLetters.open(this.#letters);
      this.#lettersOpen = true;
      this.#letters = await options.deadLetters.write(letters);
    }
    const { written, failures: failureCount, skipped } = counts;
    this.#budget.assertBorne(
      {
        totalRecords: written + failureCount + skipped,
        successCount: written,
        failureCount,
        skippedCount: skipped,
        retryCount: 0,
      },
      letters.at(-1)?.reason,
    );
  }

  #clearKept(): void {
    if (!this.#collected?.holdsSome) return;
    this.#chain(async () => {
      if (this.#phase === "live" && this.#scheduler.isKeptSettled) await this.#collected?.clear();
    });
  }

  #saveIfDue(feed: ChangeFeed): void {
    const { position } = this.#scheduler;
    const now = performance.now();
    const isMoved = JSON.stringify(position) !== JSON.stringify(this.#saved);
    if (isMoved || now - this.#savedAt >= SAVE_IDLE_MS) {
      this.#chain(async () => {
        await this.#saveNow(false);
        // A store that is away is told the next time.
        await unlessRetryable(this.#acknowledge(feed, position, this.#terms.hard.signal));
      });
    }
    const due = now - this.#lookedAt >= (this.#lookedAfter !== this.#terms.counts.batches ? LOOK_MS : SAVE_IDLE_MS);
    if (!due || this.#phase !== "live") return;
    this.#lookedAt = now;
    this.#lookedAfter = this.#terms.counts.batches;
    this.#chain(async () => {
      for (const side of ["source", "target"] as const) {
        if (this.#phase === "live") await unlessRetryable(this.#assertStores(side));
      }
    });
  }

  async #acknowledge(feed: ChangeFeed, position: JsonValue, signal: AbortSignal): Promise<void> {
    const told = feed.acknowledge?.(this.#terms.transferId, position, signal);
    if (told) await unlessAborted(told, signal);
  }

  #chain(step: () => Promise<void>): void {
    this.#saving = this.#saving.then(step).catch((error) => this.#fail(error));
  }

  async #save(clean: boolean): Promise<void> {
    this.#saving = this.#saving.then(() => this.#saveNow(clean));
    const saved = this.#saving;
    this.#saving = saved.catch(() => {});
    await saved;
  }

  async #saveNow(clean: boolean): Promise<void> {
    const { options, transferId, counts, notePosition, noteSaved } = this.#terms;
    const position = this.#scheduler?.position ?? null;
    await this.#collected?.flush();
    if (this.#lettersOpen) await options.deadLetters?.flush?.();
    await options.checkpoints!.save({
      version: CHECKPOINT_VERSION,
      transferId,
      status: "running",
      identity: this.#identity(),
      cursor: null,
      recordsRead: 0,
      counts: {
        totalRecords: counts.written + counts.failures + counts.skipped,
        successCount: counts.written,
        failureCount: counts.failures,
        skippedCount: counts.skipped,
        retryCount: 0,
      },
      ...(this.#stores && { stores: this.#stores }),
      deadLetterPosition: this.#letters,
      follow: { phase: this.#phase, position, clean, owner: this.#owner },
      updatedAt: new Date().toISOString(),
    });
    await options.checkpoints!.flush?.(transferId);
    noteSaved();
    this.#saved = position;
    this.#savedAt = performance.now();
    notePosition(position);
  }

  #fail(error: unknown): void {
    this.#fatal.reject(error);
  }

  async #until(holds: () => boolean, signal: AbortSignal): Promise<void> {
    while (!holds()) await sleep(20, signal);
  }
}

/** Waits for what may be done another time. */
async function unlessRetryable(work: Promise<void>): Promise<void> {
  await work.catch((error) => {
    if (!isP2PError(error) || !error.retryable) throw error;
  });
}

function stopped(): P2PError {
  return new P2PError("ABORTED", "The follow was stopped");
}

function defaultId(ends: { readonly source: EndpointInfo; readonly target: EndpointInfo }, query: P2PQuery): string {
  const {
    source,
    target,
    query: asked,
  } = identityOf({ endpoint: ends.source }, { endpoint: ends.target }, query, {
    config: { mode: "upsert" },
    transformVersion: "none",
  });
  return `follow-${hash("sha256", JSON.stringify([source, target, asked])).slice(0, 24)}`;
}
