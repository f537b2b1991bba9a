/** The connection as a state machine: one piece of work at a time, reconnects, events and statistics. */
import { randomUUID } from "node:crypto";
import { EventEmitter } from "node:events";
import { settleSoon, withDeadline } from "../async/deadline.ts";
import type { Semaphore } from "../async/semaphore.ts";
import { type ConnectionConfig, parseConfig } from "../config.ts";
import { assertPlain } from "../described.ts";
import { isConnectionError, P2PError, toP2PError } from "../errors.ts";
import { FollowRun } from "../live/follow.ts";
import type { FollowHandle } from "../live/follow-options.ts";
import { mirrorWith } from "../live/mirror.ts";
import type { MirrorResult } from "../live/options.ts";
import { verifyAs } from "../live/verify.ts";
import type { JsonValue } from "../model/json-value.ts";
import type { MutableRecord } from "../model/record.ts";
import { type EndpointInfo, endpointLabel, parseEndpoint } from "../storage/endpoint.ts";
import { type P2PQuery, parseQuery } from "../storage/query.ts";
import { redactEndpoint, redactError, secretsOf } from "../storage/redact.ts";
import type { OpenContext } from "../storage/service.ts";
import type { P2PTransferBridge } from "../transfer/bridge.ts";
import { identify } from "../transfer/checkpoint/identity.ts";
import { EndpointDeadLetterSink } from "../transfer/dead-letters/endpoint-dead-letters.ts";
import type { AnotherService, TransferEnd } from "../transfer/end.ts";
import { isTimeout, SCHEMA_WORDS, TIMEOUT_WORDS, type TransferOptions } from "../transfer/options.ts";
import { type PartitionPlan, planPartitions } from "../transfer/partitioned/plan.ts";
import { METER, ProgressMeter } from "../transfer/progress.ts";
import { type ReadBatch, readBatches } from "../transfer/read-batches.ts";
import { P2PTransferError, type TransferResult } from "../transfer/result.ts";
import { isSchema } from "../transfer/schema.ts";
import type { StandardSchemaV1 } from "../transfer/standard-schema.ts";
import type { VerifyOptions, VerifyResult } from "../transfer/verify/verify.ts";
import { anySignal, cancelled, signalOf, withCallers } from "./cancel.ts";
import type { P2PConnection, P2PConnectionEvents } from "./connection.ts";
import { followTrace, mirrorTrace, openTrace, publishState, transferTrace, verifyTrace } from "./diagnostics.ts";
import { Drain } from "./drain.ts";
import { emitSafely, type HappenedEvent } from "./emit-safely.ts";
import type {
  Cancellable,
  CloseOptions,
  ManagedFollowOptions,
  ManagedMirrorOptions,
  ManagedTransferOptions,
  P2PReadOptions,
} from "./options.ts";
import { ReadSession, type ReadTurn } from "./read-session.ts";
import { type RunningTransfer, runningTransfer } from "./running-transfer.ts";
import type { ServiceLease, ServicePool } from "./service-pool.ts";
import { type ConnectionStatistics, StatisticsBook } from "./statistics.ts";
import { assertTransition, ConnectionStatus, invalidForTransfer } from "./status.ts";

/** How long a cancelled transfer may take to end before its connection is closed all the same, in ms. */
const CLOSE_MS = 10_000;

/** Records of a batch where `batch_size` is `"auto"`: nothing is written, by which a size could be found. */
const AUTO_READ = 1000;

/** What a connection reports to its manager. */
export interface ConnectionListener {
  /** Before the connection's own listeners hear of it. */
  happened(connection: ManagedConnection, what: HappenedEvent): void;
  /** Whether somebody listens there to an event of this name. */
  listensTo(name: keyof P2PConnectionEvents): boolean;
}

/** What a connection needs to live. */
export interface ConnectionParts {
  readonly source: EndpointInfo;
  readonly target: EndpointInfo;
  readonly config: ConnectionConfig;
  readonly pool: ServicePool;
  /** Where a store that is opened once more, for parts side by side, takes its place. */
  readonly slots: Semaphore;
  readonly bridge: P2PTransferBridge;
  readonly listener: ConnectionListener;
  /** Aborts when the manager is closed: nothing is begun any more. */
  readonly closing: AbortSignal;
}

/** What a connection does, while it can do nothing else. */
interface Work {
  readonly cancel: AbortController;
  /** Resolves when it has ended, well or not. */
  readonly ended: Promise<void>;
}

/** What the options of all that moves records have in common. */
type Managed = Pick<ManagedTransferOptions, "deadLetters" | "signal">;

/** The connection, taken for a piece of work. */
interface Turn {
  readonly source: TransferEnd;
  readonly target: TransferEnd;
  /** Aborts when the connection is closed. */
  readonly cancelled: AbortSignal;
  /** Gives the connection back. */
  leave(): void;
  /** Gives it back after something was thrown, and tells the error for it. */
  fail(thrown: unknown): P2PError;
}

/** The connection of {@link DefaultP2PConnectionManager}: two leased stores, a state and the books. */
export class ManagedConnection implements P2PConnection {
  readonly connectionId = randomUUID();
  readonly sourceEndpoint: EndpointInfo;
  readonly description?: string;
  readonly events = new EventEmitter<P2PConnectionEvents>();
  readonly #parts: ConnectionParts;
  /** The target's endpoint, with what it leaves open taken from the source. */
  #target: EndpointInfo;
  readonly #secrets: readonly string[];
  readonly #statistics = new StatisticsBook();
  #status: ConnectionStatus = ConnectionStatus.CONNECTING;
  #leases: { source: ServiceLease; target: ServiceLease } | undefined;
  #work: Work | undefined;
  #active: RunningTransfer | undefined;
  #following: FollowRun | undefined;
  readonly #drain = new Drain();
  #closed: Promise<void> | undefined;
  #usedAt = performance.now();

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.#secrets = secretsOf(parts.source, parts.target);
    this.sourceEndpoint = redactEndpoint(parts.source);
    this.#target = parts.target;
    if (parts.config.description !== undefined) this.description = parts.config.description;
  }

  get targetEndpoint(): EndpointInfo {
    return redactEndpoint(this.#target);
  }

  get status(): ConnectionStatus {
    return this.#status;
  }

  get activeTransfer(): RunningTransfer | undefined {
    return this.#active;
  }

  /** How long nothing has been transferred, in ms; 0 during a transfer. */
  get idleFor(): number {
    return this.#work ? 0 : performance.now() - this.#usedAt;
  }

  isAlive(): boolean {
    return this.#status !== ConnectionStatus.ERROR && this.#status !== ConnectionStatus.CLOSED;
  }

  statistics(): ConnectionStatistics {
    return this.#statistics.read(this.connectionId, this.#following);
  }

  /** Opens both ends. On failure the connection is in ERROR, and nothing stays open. */
  async open(signal?: AbortSignal): Promise<void> {
    await openTrace.run(
      () => this.#open(signal),
      () => this.#traced,
    );
  }

  async #open(signal: AbortSignal | undefined): Promise<void> {
    const { source, config, pool } = this.#parts;
    const ends = await Promise.allSettled([
      pool.acquire(source, "source", config.connectionTimeout, signal),
      this.#acquireTarget(signal),
    ]);
    const [from, to] = ends;
    if (from.status === "fulfilled" && to.status === "fulfilled" && this.#status === ConnectionStatus.CONNECTING) {
      this.#leases = { source: from.value, target: to.value };
      this.#go(ConnectionStatus.ESTABLISHED);
      return;
    }
    await Promise.allSettled(ends.map(async (end) => end.status === "fulfilled" && end.value.release()));
    const failed = ends.find((end) => end.status === "rejected");
    const reason = signal?.aborted
      ? cancelled("Establishing the connection", signal)
      : failed
        ? failed.reason
        : new P2PError("CLOSED", "The connection was closed while it was being opened");
    const error = redactError(
      toP2PError(reason, "CONNECTION_FAILED", "Failed to establish connection"),
      this.#secrets,
    ) as P2PError;
    this.#statistics.noteError(error);
    if (this.#status === ConnectionStatus.CONNECTING) this.#go(ConnectionStatus.ERROR);
    throw error;
  }

  /** Opens the target, with what its endpoint leaves open taken from the source. */
  async #acquireTarget(signal: AbortSignal | undefined): Promise<ServiceLease> {
    const { source, target, config, pool } = this.#parts;
    this.#target = await pool.completeTarget(target, source, config.connectionTimeout, signal);
    return pool.acquire(this.#target, "target", config.connectionTimeout, signal);
  }

  transfer<In extends object = MutableRecord>(
    query: P2PQuery = {},
    options: ManagedTransferOptions<In> = {},
  ): RunningTransfer {
    // What a record of the source is only the application knows.
    const given = options as ManagedTransferOptions;
    const { promise, resolve, reject } = Promise.withResolvers<TransferResult>();
    const meter = this.#meter(given);
    const running = runningTransfer(promise, meter);
    this.#transfer(running, query, given, meter)
      .finally(() => meter.end())
      .then(resolve, reject);
    return running;
  }

  /** Knows the id of a transfer before it begins, and lets the events tell of progress while somebody listens. */
  #meter(options: Pick<ManagedTransferOptions, "transferId"> | null | undefined): ProgressMeter {
    const { transferId } = options ?? {};
    const meter = new ProgressMeter(typeof transferId === "string" ? transferId : randomUUID(), {
      isThere: () => this.events.listenerCount("progress") > 0 || this.#parts.listener.listensTo("progress"),
      tell: (progress) =>
        this.#tell({ name: "progress", event: { connection: this, transferId: meter.transferId, progress } }),
    });
    return meter;
  }

  /** Runs a transfer, opening the stores anew first if they were lost and `auto_reconnect` is set. */
  async #transfer(
    running: RunningTransfer,
    query: P2PQuery,
    options: ManagedTransferOptions,
    meter: ProgressMeter,
  ): Promise<TransferResult> {
    this.#parts.closing.throwIfAborted();
    assertPlain("transfer options", options);
    parseQuery(query);
    const { transferId } = running;
    const move = () =>
      this.#moving(
        options,
        meter,
        ({ source, target }, given) => this.#parts.bridge.transfer(source, target, query, given, this.#parts.config),
        running,
      );
    return this.#telling("The transfer failed", transferId, query, () =>
      transferTrace.run(move, () => ({ ...this.#traced, transferId, query })),
    );
  }

  async mirror<In extends object = MutableRecord>(
    query: P2PQuery = {},
    options: ManagedMirrorOptions<In> = {},
  ): Promise<MirrorResult> {
    this.#parts.closing.throwIfAborted();
    assertPlain("mirror options", options);
    parseQuery(query);
    const meter = this.#meter(options as ManagedMirrorOptions);
    const { transferId } = meter;
    const move = () =>
      this.#moving(options as ManagedMirrorOptions, meter, ({ source, target }, given) =>
        mirrorWith(source, target, query, given, this.#parts.config),
      );
    return this.#telling("The mirror failed", transferId, query, () =>
      mirrorTrace.run(move, () => ({ ...this.#traced, transferId, query })),
    );
  }

  follow<In extends object = MutableRecord>(
    query: P2PQuery = {},
    options: ManagedFollowOptions<In> = {},
  ): FollowHandle {
    this.#parts.closing.throwIfAborted();
    assertPlain("follow options", options);
    parseQuery(query);
    const { deadLetters, ...rest } = options as ManagedFollowOptions;
    const ends = { source: this.#parts.source, target: this.#target };
    const run = new FollowRun(query, rest, this.#parts.config, ends);
    const work = async ({ source, target, cancelled: closed }: Turn) => {
      const sink = await this.#deadLetters(deadLetters);
      this.#following = run;
      try {
        const reopen = (signal: AbortSignal) => this.#reopen(signal);
        const { bridge } = this.#parts;
        return await run.run({ source, target, closed, bridge, reopen, deadLetters: sink.deadLetters });
      } catch (error) {
        throw redactError(error, sink.secrets ?? []);
      } finally {
        this.#statistics.followed(run.counts, run.lagMs);
        this.#following = undefined;
        await sink.release?.();
      }
    };
    run.end(
      followTrace.run(
        () => this.#occupied(work),
        () => ({ ...this.#traced, transferId: run.transferId, query }),
      ),
    );
    return run;
  }

  /** Tells the beginning and the end of what moves records to those who listen. */
  async #telling<R extends TransferResult>(
    failed: string,
    transferId: string,
    query: P2PQuery,
    work: () => Promise<R>,
  ): Promise<R> {
    const told = { connection: this, transferId };
    this.#tell({ name: "transferStarted", event: { ...told, query } });
    let result: R;
    try {
      result = await work();
    } catch (thrown) {
      const error = toP2PError(thrown, "WRITE_FAILED", failed);
      const until = error instanceof P2PTransferError && { result: error.result };
      this.#tell({ name: "transferFailed", event: { ...told, error, ...until } });
      throw error;
    }
    this.#tell({ name: "transferCompleted", event: { ...told, result } });
    return result;
  }

  /** Moves records with both ends, and with the store that was named for the dead letters, if one was. */
  async #moving<O extends Managed, R extends TransferResult>(
    { deadLetters, ...rest }: O,
    meter: ProgressMeter,
    work: (ends: Turn, options: Omit<O, "deadLetters"> & Pick<TransferOptions, "deadLetters">) => Promise<R>,
    running?: RunningTransfer,
  ): Promise<R> {
    const { signal } = rest;
    return this.#occupied(
      async (turn) => {
        const sink = await this.#deadLetters(deadLetters);
        try {
          const result = await work(turn, {
            ...rest,
            signal: withCallers(turn.cancelled, signal),
            deadLetters: sink.deadLetters,
            [METER]: meter,
          });
          this.#statistics.enter(result);
          return result;
        } catch (error) {
          throw redactError(error, sink.secrets ?? []);
        } finally {
          await sink.release?.();
        }
      },
      signal,
      running,
    );
  }

  async verify<In extends object = MutableRecord>(
    query: P2PQuery = {},
    options: VerifyOptions<In> = {},
  ): Promise<VerifyResult> {
    this.#parts.closing.throwIfAborted();
    assertPlain("options", options);
    parseQuery(query);
    const given = options as unknown as VerifyOptions;
    const compare = async ({ source, target, cancelled: closed }: Turn) =>
      verifyAs(source, target, query, { ...given, signal: withCallers(closed, given.signal) }, this.#parts.config);
    return verifyTrace.run(
      () => this.#occupied(compare, given.signal),
      () => ({ ...this.#traced, query }),
    );
  }

  read<Doc extends object = MutableRecord>(
    query: P2PQuery = {},
    options: P2PReadOptions<Doc> = {},
  ): AsyncGenerator<ReadBatch<Doc>, void, undefined> {
    return new ReadSession(() => this.#beginReading(query, options as P2PReadOptions)) as AsyncGenerator<
      ReadBatch<Doc>,
      void,
      undefined
    >;
  }

  async #beginReading(query: P2PQuery, options: P2PReadOptions): Promise<ReadTurn<ReadBatch>> {
    this.#parts.closing.throwIfAborted();
    const { signal, ...reading } = checkedReading(options, this.#parts.config);
    parseQuery(query);
    if (signal?.aborted) throw cancelled("Reading", signal);
    const turn = await this.#enter(signal);
    const both = anySignal(turn.cancelled, signal);
    return {
      batches: readBatches(turn.source, query, { ...reading, config: this.#parts.config }, both),
      signal: both,
      leave: turn.leave,
      fail: (thrown) => turn.fail(signal?.aborted && !turn.cancelled.aborted ? cancelled("Reading", signal) : thrown),
    };
  }

  async partitions(query: P2PQuery, parts: number): Promise<PartitionPlan> {
    this.#parts.closing.throwIfAborted();
    parseQuery(query);
    return this.#occupied(async ({ source, cancelled: closed }) =>
      planPartitions(source.service, query, parts, closed),
    );
  }

  /** Does a piece of work with both ends, during which the connection is TRANSFERRING. */
  async #occupied<T>(work: (turn: Turn) => Promise<T>, signal?: AbortSignal, running?: RunningTransfer): Promise<T> {
    const turn = await this.#enter(signal, running);
    let result: T;
    try {
      result = await work(turn);
    } catch (thrown) {
      throw turn.fail(thrown);
    }
    turn.leave();
    return result;
  }

  /** Takes the connection for a piece of work, during which it is TRANSFERRING. */
  async #enter(signal?: AbortSignal, running?: RunningTransfer): Promise<Turn> {
    // Without it the connection is taken at once, so that whoever looks next sees it.
    const isLost = this.#status === ConnectionStatus.ERROR && this.#parts.config.autoReconnect && !this.#closed;
    if (isLost) await this.#reconnect(signal, running);
    // Nothing may be awaited from here on: of two that come at once the second must see that the first is under way.
    if (this.#closed) throw invalidForTransfer(ConnectionStatus.CLOSED);
    if (this.#status !== ConnectionStatus.ESTABLISHED && this.#status !== ConnectionStatus.IDLE) {
      throw invalidForTransfer(this.#status);
    }
    const ends = this.#ends();
    const cancel = new AbortController();
    const ended = Promise.withResolvers<void>();
    this.#work = { cancel, ended: ended.promise };
    this.#active = running;
    this.#go(ConnectionStatus.TRANSFERRING);
    const leave = (to: ConnectionStatus) => {
      // It may have been closed meanwhile.
      if (this.#status === ConnectionStatus.TRANSFERRING) this.#go(to);
      this.#work = undefined;
      this.#active = undefined;
      this.#usedAt = performance.now();
      ended.resolve();
    };
    return {
      ...ends,
      cancelled: cancel.signal,
      leave: () => leave(ConnectionStatus.IDLE),
      fail: (thrown) => {
        const error = redactError(toP2PError(thrown, "WRITE_FAILED", "The transfer failed"), this.#secrets) as P2PError;
        if (error instanceof P2PTransferError) this.#statistics.enter(error.result, error);
        else this.#statistics.noteError(error);
        leave(isConnectionError(error) ? ConnectionStatus.ERROR : ConnectionStatus.IDLE);
        return error;
      },
    };
  }

  #ends(): { source: TransferEnd; target: TransferEnd } {
    const { source } = this.#parts;
    const target = this.#target;
    const leases = this.#leases!;
    return {
      source: { service: leases.source.service, endpoint: source, another: () => this.#another(source, "source") },
      target: { service: leases.target.service, endpoint: target, another: () => this.#another(target, "target") },
    };
  }

  /** One more store for parts that run side by side: it counts as a connection, and nobody waits for it. */
  async #another(endpoint: EndpointInfo, role: OpenContext["role"]): Promise<AnotherService | undefined> {
    const { pool, slots, config } = this.#parts;
    if (!slots.tryAcquire()) return undefined;
    try {
      const lease = await pool.acquire(endpoint, role, config.connectionTimeout);
      const release = async () => {
        await lease.release();
        slots.release();
      };
      return { service: lease.service, release };
    } catch (error) {
      slots.release();
      throw error;
    }
  }

  /** Opens the store that was named for the dead letters, if one was. */
  async #deadLetters(given: ManagedTransferOptions["deadLetters"]): Promise<{
    deadLetters: TransferOptions["deadLetters"];
    secrets?: readonly string[];
    release?: () => Promise<void>;
  }> {
    if (typeof given !== "object" || given === null || !("endpoint" in given)) return { deadLetters: given };
    const endpoint = parseEndpoint(given.endpoint);
    const ends = [this.#parts.source, this.#parts.target];
    if (ends.some((end) => identify(end) === identify(endpoint))) {
      throw new P2PError(
        "INVALID_CONFIG",
        `Invalid configuration: dead letters cannot go into ${endpointLabel(endpoint)}, which the transfer itself reads or writes; name another place`,
      );
    }
    const secrets = secretsOf(endpoint);
    const { pool, config } = this.#parts;
    try {
      const lease = await pool.acquire(endpoint, "target", config.connectionTimeout);
      if (lease.service.sequential) {
        await lease.release();
        throw new P2PError(
          "INVALID_CONFIG",
          `Invalid configuration: dead letters cannot be added to ${endpointLabel(endpoint)}, which is written in one go; give the path of a file in place of an endpoint, such as "./failed.ndjson"`,
        );
      }
      return {
        deadLetters: new EndpointDeadLetterSink(lease.service, endpointLabel(endpoint)),
        secrets,
        release: lease.release,
      };
    } catch (error) {
      throw redactError(error, secrets);
    }
  }

  async #reconnect(signal: AbortSignal | undefined, running: RunningTransfer | undefined): Promise<void> {
    this.#active = running;
    try {
      this.#go(ConnectionStatus.CONNECTING);
      await this.#giveBack(true);
      await this.open(signal instanceof AbortSignal ? signal : undefined);
    } catch (error) {
      this.#active = undefined;
      throw error;
    }
    this.#statistics.reconnects++;
    this.#tell({ name: "reconnected", event: { connection: this, ...this.#toldTransfer } });
  }

  /** Opens both stores anew in the middle of a piece of work. */
  async #reopen(signal: AbortSignal): Promise<{ source: TransferEnd; target: TransferEnd }> {
    const { source, config, pool } = this.#parts;
    await this.#giveBack(true);
    const ends = await Promise.allSettled([
      pool.acquire(source, "source", config.connectionTimeout, signal),
      this.#acquireTarget(signal),
    ]);
    const [from, to] = ends;
    if (from.status === "fulfilled" && to.status === "fulfilled") {
      this.#leases = { source: from.value, target: to.value };
      if (this.#status === ConnectionStatus.TRANSFERRING) {
        this.#statistics.reconnects++;
        this.#tell({ name: "reconnected", event: { connection: this, ...this.#toldTransfer } });
        return this.#ends();
      }
      // It was closed meanwhile.
      await this.#giveBack(false);
      throw new P2PError("CLOSED", "The connection was closed while its stores were opened anew");
    }
    await Promise.allSettled(ends.map(async (end) => end.status === "fulfilled" && end.value.release()));
    throw ends.find((end) => end.status === "rejected")!.reason;
  }

  /** A store that gives no sign of life puts the connection into ERROR. */
  async isHealthy(options: Cancellable = {}): Promise<boolean> {
    const signal = signalOf(options);
    const stopped = (aborted: AbortSignal) => cancelled("Asking for the health of the connection", aborted);
    if (signal?.aborted) throw stopped(signal);
    if (!this.#leases || this.#status === ConnectionStatus.CLOSED) return false;
    // Its stores may be back, but nothing leads back for it.
    if (this.#status === ConnectionStatus.ERROR && !this.#parts.config.autoReconnect) return false;
    if (this.#following?.isHealthy === false) return false;
    const { source, target } = this.#ends();
    const { connectionTimeout } = this.#parts.config;
    try {
      await Promise.all([source, target].map((end) => pingWithin(end, connectionTimeout, signal)));
      return true;
    } catch (thrown) {
      if (signal?.aborted) throw stopped(signal);
      this.#statistics.noteError(
        redactError(toP2PError(thrown, "CONNECTION_LOST", "A store cannot be reached"), this.#secrets) as P2PError,
      );
      // A transfer finds out by itself, and may yet get over it.
      if (this.#status === ConnectionStatus.ESTABLISHED || this.#status === ConnectionStatus.IDLE)
        this.#go(ConnectionStatus.ERROR);
      return false;
    }
  }

  close(options: CloseOptions = {}): Promise<void> {
    return this.#drain.during(options, 0, () => {
      this.#closed ??= this.#shutDown();
      return this.#closed;
    });
  }

  async #shutDown(): Promise<void> {
    // It ends in good order by itself, and would not otherwise.
    this.#following?.stop().catch(() => {});
    if (this.#work && !this.#drain.signal.aborted) await this.#drain.wait(this.#work.ended);
    const work = this.#work;
    this.#go(ConnectionStatus.CLOSED);
    if (work) {
      work.cancel.abort(new P2PError("ABORTED", "The transfer was cancelled, since its connection was closed"));
      // A bridge of the application's may not heed it.
      await settleSoon([work.ended], performance.now(), CLOSE_MS);
    }
    await this.#giveBack(false);
    this.#tell({ name: "closed", event: { connection: this } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #giveBack(broken: boolean): Promise<void> {
    const leases = this.#leases;
    this.#leases = undefined;
    await Promise.allSettled([leases?.source.release(broken), leases?.target.release(broken)]);
  }

  #go(to: ConnectionStatus): void {
    const from = this.#status;
    assertTransition(from, to);
    this.#status = to;
    publishState(() => ({ ...this.#traced, ...this.#toldTransfer, from, to }));
    this.#tell({ name: "statusChanged", event: { connection: this, ...this.#toldTransfer, from, to } });
  }

  get #toldTransfer(): { readonly transferId?: string } {
    return this.#active ? { transferId: this.#active.transferId } : {};
  }

  get #traced() {
    const { connectionId, sourceEndpoint, targetEndpoint } = this;
    return { connectionId, source: sourceEndpoint, target: targetEndpoint };
  }

  #tell(what: HappenedEvent): void {
    this.#parts.listener.happened(this, what);
    emitSafely(this.events, what);
  }
}

/** How a read is wanted, checked and completed. */
interface CheckedReading {
  readonly batchSize: number;
  readonly after: JsonValue | undefined;
  readonly schema: StandardSchemaV1<unknown, MutableRecord> | undefined;
  readonly hookTimeout: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** @throws P2PError `INVALID_CONFIG`, naming the option. */
function checkedReading(options: P2PReadOptions, config: ConnectionConfig): CheckedReading {
  const signal = signalOf(options);
  const { after, schema, hookTimeout, batchSize, ...rest } = options;
  const [unknown] = Object.keys(rest).filter((key) => key !== "signal");
  const wrong =
    unknown !== undefined
      ? `unknown option "${unknown}" of a read`
      : schema !== undefined && !isSchema(schema)
        ? `"schema" must be ${SCHEMA_WORDS}`
        : hookTimeout !== undefined && !isTimeout(hookTimeout)
          ? `"hookTimeout" must be ${TIMEOUT_WORDS}`
          : undefined;
  if (wrong !== undefined) throw new P2PError("INVALID_CONFIG", `Invalid configuration: ${wrong}`);
  const size = parseConfig({ batchSize }, config).batchSize;
  return { after, schema, hookTimeout, signal, batchSize: size === "auto" ? AUTO_READ : size };
}

async function pingWithin(
  { service, endpoint }: TransferEnd,
  timeoutMs: number,
  given: AbortSignal | undefined,
): Promise<void> {
  const late = () => new P2PError("TIMEOUT", `${endpointLabel(endpoint)} does not answer`);
  await withDeadline(timeoutMs, given, late, async (signal) => service.ping(signal));
}
