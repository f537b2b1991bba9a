import { randomUUID } from "node:crypto";
import { endsWithin, settleSoon, withDeadline } from "../async/deadline.ts";
import type { Semaphore } from "../async/semaphore.ts";
import type { ConnectionConfig } from "../config.ts";
import { isConnectionError, P2PError, toP2PError } from "../errors.ts";
import { type EndpointInfo, endpointLabel, parseEndpoint } from "../storage/endpoint.ts";
import type { P2PQuery } from "../storage/query.ts";
import { redactEndpoint, redactError, secretsOf } from "../storage/redact.ts";
import type { OpenContext } from "../storage/service.ts";
import type { P2PTransferBridge } from "../transfer/bridge.ts";
import { identify } from "../transfer/checkpoint/identity.ts";
import { EndpointDeadLetterSink } from "../transfer/dead-letters/endpoint-dead-letters.ts";
import type { AnotherService, TransferEnd } from "../transfer/end.ts";
import type { TransferOptions } from "../transfer/options.ts";
import { type PartitionPlan, planPartitions } from "../transfer/partitioned/plan.ts";
import { P2PTransferError, type TransferResult } from "../transfer/result.ts";
import { type VerifyOptions, type VerifyResult, verifyWith } from "../transfer/verify/verify.ts";
import type { P2PConnection } from "./connection.ts";
import type { ManagedTransferOptions } from "./manager.ts";
import type { ServiceLease, ServicePool } from "./service-pool.ts";
import { type ConnectionStatistics, StatisticsBook } from "./statistics.ts";
import { assertTransition, ConnectionStatus, invalidForTransfer } from "./status.ts";

/** How long a cancelled transfer may take to end before its connection is closed all the same, in ms. */
const CLOSE_MS = 10_000;

/** What a connection reports to its manager. */
export interface ConnectionListener {
  statusChanged(connection: ManagedConnection, from: ConnectionStatus, to: ConnectionStatus): void;
  reconnected(connection: ManagedConnection): void;
  /** Closed, and its stores are given back. */
  released(connection: ManagedConnection): void;
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
}

/** The connection of {@link DefaultP2PConnectionManager}: two leased stores, a state and the books. */
export class ManagedConnection implements P2PConnection {
  readonly connectionId = randomUUID();
  readonly sourceEndpoint: EndpointInfo;
  readonly description?: string;
  readonly #parts: ConnectionParts;
  /** The target's endpoint, with what it leaves open taken from the source. */
  #target: EndpointInfo;
  readonly #secrets: readonly string[];
  readonly #statistics = new StatisticsBook();
  #status: ConnectionStatus = ConnectionStatus.CONNECTING;
  #leases: { source: ServiceLease; target: ServiceLease } | undefined;
  #transfer: { cancel: AbortController; ended: Promise<unknown> } | undefined;
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

  /** How long nothing has been transferred, in ms; 0 during a transfer. */
  get idleFor(): number {
    return this.#transfer ? 0 : performance.now() - this.#usedAt;
  }

  isAlive(): boolean {
    return this.#status !== ConnectionStatus.ERROR && this.#status !== ConnectionStatus.CLOSED;
  }

  statistics(): ConnectionStatistics {
    return this.#statistics.read(this.connectionId);
  }

  /** Opens both ends. On failure the connection is in ERROR, and nothing stays open. */
  async open(): Promise<void> {
    const { source, config, pool } = this.#parts;
    const ends = await Promise.allSettled([
      pool.acquire(source, "source", config.connectionTimeout),
      this.#acquireTarget(),
    ]);
    const [from, to] = ends;
    if (from.status === "fulfilled" && to.status === "fulfilled" && this.#status === ConnectionStatus.CONNECTING) {
      this.#leases = { source: from.value, target: to.value };
      this.#go(ConnectionStatus.ESTABLISHED);
      return;
    }
    await Promise.allSettled(ends.map(async (end) => end.status === "fulfilled" && end.value.release()));
    const failed = ends.find((end) => end.status === "rejected");
    const reason = failed
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
  async #acquireTarget(): Promise<ServiceLease> {
    const { source, target, config, pool } = this.#parts;
    this.#target = await pool.completeTarget(target, source, config.connectionTimeout);
    return pool.acquire(this.#target, "target", config.connectionTimeout);
  }

  /** Runs a transfer, opening the stores anew first if they were lost and `auto_reconnect` is set. */
  async transfer(query: P2PQuery, options: ManagedTransferOptions): Promise<TransferResult> {
    return this.#occupied(async (source, target, cancelled) => {
      const { deadLetters, ...rest } = options;
      const { signal } = options;
      const sink = await this.#deadLetters(deadLetters);
      const both = signal instanceof AbortSignal ? AbortSignal.any([signal, cancelled]) : (signal ?? cancelled);
      try {
        const result = await this.#parts.bridge.transfer(
          source,
          target,
          query,
          { ...rest, signal: both, deadLetters: sink.deadLetters },
          this.#parts.config,
        );
        this.#statistics.enter(result);
        return result;
      } catch (error) {
        throw redactError(error, sink.secrets ?? []);
      } finally {
        await sink.release?.();
      }
    });
  }

  /** Compares the two ends. */
  async verify(query: P2PQuery, options: VerifyOptions): Promise<VerifyResult> {
    return this.#occupied(async (source, target, cancelled) => {
      const { signal } = options;
      const both = signal instanceof AbortSignal ? AbortSignal.any([signal, cancelled]) : (signal ?? cancelled);
      return verifyWith(source, target, query, { ...options, signal: both }, this.#parts.config);
    });
  }

  /** Asks the source for the parts of a query. */
  async partitions(query: P2PQuery, parts: number): Promise<PartitionPlan> {
    return this.#occupied(async ({ service }, _, cancelled) => planPartitions(service, query, parts, cancelled));
  }

  /** Does a piece of work with both ends, during which the connection is TRANSFERRING. */
  async #occupied<T>(
    work: (source: TransferEnd, target: TransferEnd, cancelled: AbortSignal) => Promise<T>,
  ): Promise<T> {
    await this.#reconnect();
    // Nothing may be awaited from here on: of two that come at once the second must see that the first is under way.
    if (this.#status !== ConnectionStatus.ESTABLISHED && this.#status !== ConnectionStatus.IDLE) {
      throw invalidForTransfer(this.#status);
    }
    const { source, target } = this.#ends();
    const cancel = new AbortController();
    this.#go(ConnectionStatus.TRANSFERRING);
    const run = work(source, target, cancel.signal);
    this.#transfer = { cancel, ended: run.catch(() => {}) };
    try {
      const result = await run;
      this.#leave(ConnectionStatus.IDLE);
      return result;
    } catch (thrown) {
      const error = redactError(toP2PError(thrown, "WRITE_FAILED", "The transfer failed"), this.#secrets) as P2PError;
      if (error instanceof P2PTransferError) this.#statistics.enter(error.result, error);
      else this.#statistics.noteError(error);
      this.#leave(isConnectionError(error) ? ConnectionStatus.ERROR : ConnectionStatus.IDLE);
      throw error;
    } finally {
      this.#transfer = undefined;
      this.#usedAt = performance.now();
    }
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
      return {
        deadLetters: new EndpointDeadLetterSink(lease.service, endpointLabel(endpoint)),
        secrets,
        release: lease.release,
      };
    } catch (error) {
      throw redactError(error, secrets);
    }
  }

  async #reconnect(): Promise<void> {
    if (this.#status !== ConnectionStatus.ERROR || !this.#parts.config.autoReconnect) return;
    this.#go(ConnectionStatus.CONNECTING);
    await this.#giveBack(true);
    await this.open();
    this.#statistics.reconnects++;
    this.#parts.listener.reconnected(this);
  }

  /** Asks both stores for a sign of life. A store that gives none puts the connection into ERROR. */
  async ping(): Promise<boolean> {
    if (!this.#leases || this.#status === ConnectionStatus.CLOSED) return false;
    // Its stores may be back, but nothing leads back for it.
    if (this.#status === ConnectionStatus.ERROR && !this.#parts.config.autoReconnect) return false;
    const { source, target } = this.#ends();
    const { connectionTimeout } = this.#parts.config;
    try {
      await Promise.all([source, target].map((end) => pingWithin(end, connectionTimeout)));
      return true;
    } catch (thrown) {
      this.#statistics.noteError(
        redactError(toP2PError(thrown, "CONNECTION_LOST", "A store cannot be reached"), this.#secrets) as P2PError,
      );
      // A transfer finds out by itself, and may yet get over it.
      if (this.#status === ConnectionStatus.ESTABLISHED || this.#status === ConnectionStatus.IDLE)
        this.#go(ConnectionStatus.ERROR);
      return false;
    }
  }

  /** Waits for a transfer under way to end, `timeoutMs` at most. */
  async drain(timeoutMs: number): Promise<void> {
    if (!this.#transfer || timeoutMs === 0) return;
    await endsWithin(this.#transfer.ended, timeoutMs);
  }

  close(): Promise<void> {
    this.#closed ??= this.#shutDown();
    return this.#closed;
  }

  async #shutDown(): Promise<void> {
    const transfer = this.#transfer;
    this.#go(ConnectionStatus.CLOSED);
    if (transfer) {
      transfer.cancel.abort(new P2PError("ABORTED", "The transfer was cancelled, since its connection was closed"));
      // A bridge of the application's may not heed it.
      await settleSoon([transfer.ended], performance.now(), CLOSE_MS);
    }
    await this.#giveBack(false);
    this.#parts.listener.released(this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #giveBack(broken: boolean): Promise<void> {
    const leases = this.#leases;
    this.#leases = undefined;
    await Promise.allSettled([leases?.source.release(broken), leases?.target.release(broken)]);
  }

  /** Ends a transfer's state, unless the connection was closed meanwhile. */
  #leave(to: ConnectionStatus): void {
    if (this.#status === ConnectionStatus.TRANSFERRING) this.#go(to);
  }

  #go(to: ConnectionStatus): void {
    const from = this.#status;
    assertTransition(from, to);
    this.#status = to;
    this.#parts.listener.statusChanged(this, from, to);
  }
}

async function pingWithin({ service, endpoint }: TransferEnd, timeoutMs: number): Promise<void> {
  const late = () => new P2PError("TIMEOUT", `${endpointLabel(endpoint)} does not answer`);
  await withDeadline(timeoutMs, undefined, late, async (signal) => service.ping(signal));
}
