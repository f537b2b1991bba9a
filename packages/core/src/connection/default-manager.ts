import { EventEmitter } from "node:events";
import { Semaphore } from "../async/semaphore.ts";
import { type ConnectionConfigInput, MAX_TIMER_MS, parseConfig } from "../config.ts";
import { assertPlain } from "../described.ts";
import { P2PError, toP2PError } from "../errors.ts";
import { type EndpointInput, parseEndpoint } from "../storage/endpoint.ts";
import type { P2PQuery } from "../storage/query.ts";
import { parseQuery } from "../storage/query.ts";
import { redactError, secretsOf } from "../storage/redact.ts";
import { StarterRegistry } from "../storage/registry.ts";
import type { P2PStarter } from "../storage/service.ts";
import { DefaultP2PTransferBridge, type P2PTransferBridge } from "../transfer/bridge.ts";
import { deadLetterStarter } from "../transfer/dead-letters/dead-letter-source.ts";
import { callListener, warnOfListener } from "../transfer/hooks.ts";
import type { PartitionPlan } from "../transfer/partitioned/plan.ts";
import { P2PTransferError, type TransferResult } from "../transfer/result.ts";
import type { VerifyOptions, VerifyResult } from "../transfer/verify/verify.ts";
import type { P2PConnection } from "./connection.ts";
import { type ConnectionListener, ManagedConnection } from "./managed-connection.ts";
import type { CloseOptions, ManagedTransferOptions, P2PConnectionManager, P2PManagerEvents } from "./manager.ts";
import { ServicePool } from "./service-pool.ts";
import type { ConnectionStatistics } from "./statistics.ts";

/** How many connections there may be, and how long they last unused. */
export interface PoolOptions {
  /** Connections open at a time; `establish` waits for one to be closed. Default: no limit. */
  readonly maxConnections?: number;
  /** How long `establish` waits then, in ms. Default 10 000. */
  readonly acquireTimeout?: number;
  /** Closes a connection, and a store without connections, that was not used for so long, in ms. Default 0: a store closes with its last connection, a connection never. */
  readonly idleTtl?: number;
}

/** What {@link DefaultP2PConnectionManager} can be made with. */
export interface ManagerOptions {
  /** Default: a new {@link DefaultP2PTransferBridge}. */
  readonly bridge?: P2PTransferBridge;
  /** Settings for all connections; those given to `establish` go first. */
  readonly config?: ConnectionConfigInput;
  readonly pool?: PoolOptions;
  /** A folder of the application, whose `package.json` names the installed starters. Default: found. */
  readonly appRoot?: string;
}

/** Longest a warm-up keeps a store when the pool has no `idleTtl`, in ms. */
const WARM_TTL = 60_000;

/**
 * The manager: finds starters, establishes connections and keeps them.
 *
 * @example
 * ```ts
 * const manager = new DefaultP2PConnectionManager();
 * try {
 *   const connection = await manager.establish("sqlite:./knowledge.db?table=docs", "memory:scratch", { batch_size: 100 });
 *   const result = await manager.transferThroughConnection(connection.connectionId, { type: "knowledge" });
 *   console.log(`${result.successCount} records in ${result.durationMs} ms`);
 * } finally {
 *   await manager.close();
 * }
 * ```
 */
export class DefaultP2PConnectionManager implements P2PConnectionManager {
  readonly events = new EventEmitter<P2PManagerEvents>();
  readonly #options: ManagerOptions;
  readonly #bridge: P2PTransferBridge;
  readonly #registry: StarterRegistry;
  readonly #pool: ServicePool;
  readonly #slots: Semaphore;
  readonly #connections = new Map<string, ManagedConnection>();
  /** Closed, but their stores are not given back yet. */
  readonly #leaving = new Set<ManagedConnection>();
  readonly #opening = new Set<Promise<void>>();
  readonly #failedListeners = new WeakSet<object>();
  readonly #closing = new AbortController();
  readonly #listener: ConnectionListener;
  #sweeper: NodeJS.Timeout | undefined;
  #closed: Promise<void> | undefined;

  /** @param options a bridge of your own, or {@link ManagerOptions}. */
  constructor(options: P2PTransferBridge | ManagerOptions = {}) {
    this.#options = "transfer" in options ? { bridge: options } : options;
    const { bridge, appRoot, config, pool = {} } = this.#options;
    assertPlain("pool", pool);
    if (bridge === undefined) assertPlain("options of the manager", options);
    checkPool(pool);
    parseConfig(config);
    this.#bridge = bridge ?? new DefaultP2PTransferBridge();
    this.#registry = new StarterRegistry(appRoot);
    this.#registry.register(deadLetterStarter.storageType, deadLetterStarter);
    this.#pool = new ServicePool(this.#registry, pool.idleTtl ?? 0, this.#closing.signal);
    this.#slots = new Semaphore(pool.maxConnections ?? Number.POSITIVE_INFINITY);
    this.#listener = {
      statusChanged: (connection, from, to) => {
        if (to === "CLOSED") {
          this.#connections.delete(connection.connectionId);
          this.#leaving.add(connection);
        }
        this.#emit("statusChanged", { connection, from, to });
      },
      released: (connection) => {
        this.#leaving.delete(connection);
        this.#slots.release();
        this.#emit("closed", { connection });
      },
      reconnected: (connection) => this.#emit("reconnected", { connection }),
    };
    if (pool.idleTtl) this.#sweepEvery(pool.idleTtl);
  }

  registerService(storageType: string, starter: P2PStarter): void {
    this.#registry.register(storageType, starter);
  }

  async establish(
    source: EndpointInput,
    target: EndpointInput,
    config: ConnectionConfigInput = {},
  ): Promise<P2PConnection> {
    this.#assertOpen();
    const parts = {
      source: parseEndpoint(source),
      target: parseEndpoint(target),
      config: parseConfig(config, parseConfig(this.#options.config)),
      pool: this.#pool,
      slots: this.#slots,
      bridge: this.#bridge,
      listener: this.#listener,
    };
    const acquireTimeout = this.#options.pool?.acquireTimeout ?? 10_000;
    await this.#slots.acquire(this.#closing.signal, {
      ms: acquireTimeout,
      late: () => exhaustedError(this.#slots.permits, acquireTimeout),
    });
    if (this.#closed) {
      this.#slots.release();
      throw closedError();
    }
    const connection = new ManagedConnection(parts);
    this.#connections.set(connection.connectionId, connection);
    const opening = connection.open();
    this.#opening.add(opening);
    try {
      await opening;
    } catch (error) {
      await connection.close();
      throw error;
    } finally {
      this.#opening.delete(opening);
    }
    return connection;
  }

  getConnection(connectionId: string): P2PConnection | undefined {
    return this.#connections.get(connectionId);
  }

  getActiveConnections(): P2PConnection[] {
    return [...this.#connections.values()];
  }

  async closeConnection(connectionId: string): Promise<boolean> {
    const connection = this.#connections.get(connectionId);
    if (!connection) return false;
    await connection.close();
    return true;
  }

  async transferThroughConnection(
    connectionId: string,
    query: P2PQuery,
    batchSize: number | "auto" | ManagedTransferOptions = {},
  ): Promise<TransferResult> {
    const connection = this.#find(connectionId, "transfer");
    this.#assertOpen();
    // Whatever is no object is checked as a batch size.
    const isSize = (typeof batchSize !== "object" && typeof batchSize !== "function") || batchSize === null;
    const given = isSize ? { batchSize } : batchSize;
    assertPlain("transfer options", given);
    parseQuery(query);
    const options = this.#observed(connection, given);
    this.#emit("transferStarted", { connection, query });
    let result: TransferResult;
    try {
      result = await connection.transfer(query, options);
    } catch (thrown) {
      const error = toP2PError(thrown, "WRITE_FAILED", "The transfer failed");
      this.#emit("transferFailed", {
        connection,
        error,
        ...(error instanceof P2PTransferError && { result: error.result }),
      });
      throw error;
    }
    this.#emit("transferCompleted", { connection, result });
    return result;
  }

  /** Lets the events tell of progress too, where somebody listens: the source counts its records only then. */
  #observed(connection: ManagedConnection, options: ManagedTransferOptions): ManagedTransferOptions {
    if (this.events.listenerCount("progress") === 0) return options;
    const { onProgress } = options;
    if (onProgress !== undefined && typeof onProgress !== "function") return options;
    return {
      ...options,
      onProgress: (progress) => {
        this.#emit("progress", { connection, progress });
        return onProgress?.(progress);
      },
    };
  }

  async verify(connectionId: string, query: P2PQuery, options: VerifyOptions = {}): Promise<VerifyResult> {
    const connection = this.#find(connectionId, "transfer");
    this.#assertOpen();
    assertPlain("options", options);
    parseQuery(query);
    return connection.verify(query, options);
  }

  async partitions(connectionId: string, query: P2PQuery, parts: number): Promise<PartitionPlan> {
    const connection = this.#find(connectionId, "transfer");
    this.#assertOpen();
    parseQuery(query);
    return connection.partitions(query, parts);
  }

  getConnectionStatistics(connectionId: string): ConnectionStatistics {
    return this.#find(connectionId, "statistics").statistics();
  }

  async isHealthy(connectionId: string): Promise<boolean> {
    return (await this.#connections.get(connectionId)?.ping()) ?? false;
  }

  async warmUp(source: EndpointInput, target: EndpointInput): Promise<void> {
    this.#assertOpen();
    const { connectionTimeout } = parseConfig(this.#options.config);
    const ends = [
      { endpoint: parseEndpoint(source), role: "source" },
      { endpoint: parseEndpoint(target), role: "target" },
    ] as const;
    try {
      for (const { endpoint, role } of ends) {
        const lease = await this.#pool.acquire(endpoint, role, connectionTimeout);
        await lease.release(false, this.#options.pool?.idleTtl || WARM_TTL);
      }
    } catch (error) {
      throw redactError(error, secretsOf(...ends.map(({ endpoint }) => endpoint)));
    }
  }

  async close(options: CloseOptions = {}): Promise<void> {
    this.#closed ??= this.#shutDown(options.drainTimeout ?? 10_000);
    await this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #shutDown(drainTimeout: number): Promise<void> {
    clearInterval(this.#sweeper);
    this.#closing.abort(closedError());
    await Promise.all(
      [...this.#connections.values(), ...this.#leaving].map(async (connection) => {
        await connection.drain(drainTimeout);
        await connection.close();
      }),
    );
    await Promise.allSettled(this.#opening);
    await this.#pool.close();
  }

  /**
   * Every listener hears of it, whatever another one does. What one throws or rejects with is its own: it must neither end
   * the process nor leave a connection between two states, and is told once, as a warning.
   */
  #emit<K extends keyof P2PManagerEvents>(name: K, ...event: P2PManagerEvents[K]): void {
    // As they are registered: the wrapper of a `once` takes itself off.
    for (const listener of this.events.rawListeners(name)) {
      callListener(
        () => Reflect.apply(listener, this.events, event) as unknown,
        (error) => {
          if (!this.#failedListeners.has(listener)) warnOfListener(`A listener of the event "${name}"`, error);
          this.#failedListeners.add(listener);
        },
      );
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw closedError();
  }

  #find(connectionId: string, purpose: "transfer" | "statistics"): ManagedConnection {
    const connection = this.#connections.get(connectionId);
    if (connection) return connection;
    const what =
      purpose === "transfer"
        ? "Connection is not in a valid state for transfer: it"
        : `The connection "${connectionId}"`;
    throw new P2PError("INVALID_STATE", `${what} is CLOSED or was never established; establish it anew`);
  }

  /** Closes connections that were not used for `idleTtl`. */
  #sweepEvery(idleTtl: number): void {
    const sweep = () => {
      for (const connection of this.#connections.values()) {
        const still =
          connection.status === "ESTABLISHED" || connection.status === "IDLE" || connection.status === "ERROR";
        if (still && connection.idleFor >= idleTtl) void connection.close();
      }
    };
    this.#sweeper = setInterval(sweep, Math.max(10, Math.min(idleTtl / 2, 30_000)));
    this.#sweeper.unref();
  }
}

function closedError(): P2PError {
  return new P2PError("CLOSED", "The connection manager is closed; make a new one");
}

function exhaustedError(maxConnections: number, timeoutMs: number): P2PError {
  return new P2PError(
    "POOL_EXHAUSTED",
    `All ${maxConnections} connections are in use and none was closed within ${timeoutMs} ms; close connections that are done with, or raise maxConnections`,
    { retryable: true },
  );
}

function checkPool(pool: PoolOptions): void {
  const least: Record<keyof PoolOptions, number> = { maxConnections: 1, acquireTimeout: 0, idleTtl: 0 };
  for (const [key, value] of Object.entries(pool)) {
    const min = (least as Record<string, number>)[key];
    if (min === undefined) throw new P2PError("INVALID_CONFIG", `Invalid configuration: unknown pool option "${key}"`);
    if (value !== undefined && !(Number.isInteger(value) && value >= min && value <= MAX_TIMER_MS)) {
      throw new P2PError(
        "INVALID_CONFIG",
        `Invalid configuration: pool option "${key}" must be a whole number from ${min} to ${MAX_TIMER_MS}`,
      );
    }
  }
}
