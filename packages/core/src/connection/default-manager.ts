import { EventEmitter } from "node:events";
import { Semaphore } from "../async/semaphore.ts";
import { type ConnectionConfigInput, MAX_TIMER_MS, parseConfig } from "../config.ts";
import { assertPlain } from "../described.ts";
import { P2PError } from "../errors.ts";
import type { FollowHandle } from "../live/follow-options.ts";
import type { MirrorResult } from "../live/options.ts";
import type { MutableRecord } from "../model/record.ts";
import type { CollectionList } from "../storage/collections.ts";
import { type EndpointInfo, type EndpointInput, parseEndpoint } from "../storage/endpoint.ts";
import { listCollections } from "../storage/list-collections.ts";
import type { P2PQuery } from "../storage/query.ts";
import { redactError, secretsOf } from "../storage/redact.ts";
import { StarterRegistry } from "../storage/registry.ts";
import type { P2PStarter } from "../storage/service.ts";
import { DefaultP2PTransferBridge, type P2PTransferBridge } from "../transfer/bridge.ts";
import { identify } from "../transfer/checkpoint/identity.ts";
import { deadLetterStarter } from "../transfer/dead-letters/dead-letter-source.ts";
import type { PartitionPlan } from "../transfer/partitioned/plan.ts";
import type { TransferResult } from "../transfer/result.ts";
import type { VerifyOptions, VerifyResult } from "../transfer/verify/verify.ts";
import { anySignal, cancelled, signalOf } from "./cancel.ts";
import type { P2PConnection, P2PConnectionEvents } from "./connection.ts";
import type {
  DatabaseFollowOptions,
  DatabaseJob,
  DatabaseMirrorOptions,
  DatabaseTransferOptions,
} from "./database/options.ts";
import { type DatabaseEnd, planDatabase } from "./database/plan.ts";
import { DatabaseRun, type DatabaseTerms, type DatabaseWork } from "./database/run.ts";
import { Drain } from "./drain.ts";
import { emitSafely } from "./emit-safely.ts";
import { type ConnectionListener, ManagedConnection } from "./managed-connection.ts";
import type { P2PConnectionManager } from "./manager.ts";
import type {
  Cancellable,
  CloseOptions,
  ManagedFollowOptions,
  ManagedMirrorOptions,
  ManagedTransferOptions,
} from "./options.ts";
import { ServicePool } from "./service-pool.ts";
import type { ConnectionStatistics } from "./statistics.ts";

/** How many connections there may be, and how long they last unused. */
export interface PoolOptions {
  /** Connections open at a time; `establish` waits for one to be closed. Default: no limit. */
  readonly maxConnections?: number | undefined;
  /** How long `establish` waits then, in ms. Default 10 000. */
  readonly acquireTimeout?: number | undefined;
  /** Closes a connection, and a store without connections, that was not used for so long, in ms. Default 0: a store closes with its last connection, a connection never. */
  readonly idleTtl?: number | undefined;
}

/** What {@link DefaultP2PConnectionManager} can be made with. */
export interface ManagerOptions {
  /** Default: a new {@link DefaultP2PTransferBridge}. */
  readonly bridge?: P2PTransferBridge | undefined;
  /** Settings for all connections; those given to `establish` go first. */
  readonly config?: ConnectionConfigInput | undefined;
  readonly pool?: PoolOptions | undefined;
  /** A folder of the application, whose `package.json` names the installed starters. Default: found. */
  readonly appRoot?: string | undefined;
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
  readonly events = new EventEmitter<P2PConnectionEvents>();
  readonly #options: ManagerOptions;
  readonly #bridge: P2PTransferBridge;
  readonly #registry: StarterRegistry;
  readonly #pool: ServicePool;
  readonly #slots: Semaphore;
  readonly #connections = new Map<string, ManagedConnection>();
  /** Closed, but their stores are not given back yet. */
  readonly #leaving = new Set<ManagedConnection>();
  readonly #opening = new Set<Promise<void>>();
  readonly #drain = new Drain();
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
      happened: (connection, what) => {
        if (what.name === "statusChanged" && what.event.to === "CLOSED") {
          this.#connections.delete(connection.connectionId);
          this.#leaving.add(connection);
        } else if (what.name === "closed") {
          this.#leaving.delete(connection);
          this.#slots.release();
        }
        emitSafely(this.events, what);
      },
      listensTo: (name) => this.events.listenerCount(name) > 0,
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
    options: Cancellable = {},
  ): Promise<P2PConnection> {
    this.#assertOpen();
    const signal = signalOf(options);
    const parts = {
      source: parseEndpoint(source),
      target: parseEndpoint(target),
      config: parseConfig(config, parseConfig(this.#options.config)),
      pool: this.#pool,
      slots: this.#slots,
      bridge: this.#bridge,
      listener: this.#listener,
      closing: this.#closing.signal,
    };
    const acquireTimeout = this.#options.pool?.acquireTimeout ?? 10_000;
    try {
      await this.#slots.acquire(anySignal(this.#closing.signal, signal), {
        ms: acquireTimeout,
        late: () => exhaustedError(this.#slots.permits, acquireTimeout),
      });
    } catch (error) {
      this.#assertOpen();
      throw signal?.aborted ? cancelled("Establishing the connection", signal) : error;
    }
    if (this.#closed) {
      this.#slots.release();
      throw closedError();
    }
    const connection = new ManagedConnection(parts);
    this.#connections.set(connection.connectionId, connection);
    const opening = connection.open(signal);
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

  transferThroughConnection<In extends object = MutableRecord>(
    connectionId: string,
    query: P2PQuery,
    options?: ManagedTransferOptions<In>,
  ): Promise<TransferResult>;
  transferThroughConnection(
    connectionId: string,
    query: P2PQuery,
    batchSize: number | "auto" | undefined,
  ): Promise<TransferResult>;
  async transferThroughConnection(
    connectionId: string,
    query: P2PQuery,
    given?: number | "auto" | ManagedTransferOptions,
  ): Promise<TransferResult> {
    return this.#find(connectionId, "transfer").transfer(query, asOptions(given));
  }

  async mirrorThroughConnection<In extends object = MutableRecord>(
    connectionId: string,
    query: P2PQuery,
    options?: ManagedMirrorOptions<In>,
  ): Promise<MirrorResult> {
    return this.#find(connectionId, "transfer").mirror(query, options);
  }

  followThroughConnection<In extends object = MutableRecord>(
    connectionId: string,
    query: P2PQuery,
    options?: ManagedFollowOptions<In>,
  ): FollowHandle {
    return this.#find(connectionId, "transfer").follow(query, options);
  }

  async verify<In extends object = MutableRecord>(
    connectionId: string,
    query: P2PQuery,
    options?: VerifyOptions<In>,
  ): Promise<VerifyResult> {
    return this.#find(connectionId, "transfer").verify(query, options);
  }

  async partitions(connectionId: string, query: P2PQuery, parts: number): Promise<PartitionPlan> {
    return this.#find(connectionId, "transfer").partitions(query, parts);
  }

  getConnectionStatistics(connectionId: string): ConnectionStatistics {
    return this.#find(connectionId, "statistics").statistics();
  }

  async isHealthy(connectionId: string, options?: Cancellable): Promise<boolean> {
    return (await this.#connections.get(connectionId)?.isHealthy(options)) ?? false;
  }

  async collections(endpoint: EndpointInput, options: Cancellable = {}): Promise<CollectionList> {
    this.#assertOpen();
    const signal = signalOf(options);
    const parsed = parseEndpoint(endpoint);
    try {
      const starter = await this.#registry.resolve(parsed.storageType);
      const { connectionTimeout } = parseConfig(this.#options.config);
      const limits = { timeoutMs: connectionTimeout, signal: anySignal(this.#closing.signal, signal) };
      return await listCollections(starter, parsed, limits);
    } catch (error) {
      throw redactError(signal?.aborted ? cancelled("Listing collections", signal) : error, secretsOf(parsed));
    }
  }

  transferDatabase(source: EndpointInput, target: EndpointInput, options: DatabaseTransferOptions = {}): DatabaseJob {
    return this.#database(source, target, { verb: "transfer", options });
  }

  mirrorDatabase(source: EndpointInput, target: EndpointInput, options: DatabaseMirrorOptions = {}): DatabaseJob {
    return this.#database(source, target, { verb: "mirror", options });
  }

  followDatabase(source: EndpointInput, target: EndpointInput, options: DatabaseFollowOptions = {}): DatabaseJob {
    return this.#database(source, target, { verb: "follow", options });
  }

  #database(source: EndpointInput, target: EndpointInput, work: DatabaseWork): DatabaseJob {
    this.#assertOpen();
    assertPlain("options", work.options);
    const { collections, exclude, rename, config } = work.options;
    const ends = [parseEndpoint(source), parseEndpoint(target)] as const;
    const [from, to] = ends;
    const { connectionTimeout: timeoutMs } = parseConfig(config ?? {}, parseConfig(this.#options.config));
    const endOf = async (endpoint: EndpointInfo): Promise<DatabaseEnd> => ({
      starter: await this.#registry.resolve(endpoint.storageType),
      endpoint,
    });
    const terms: DatabaseTerms = {
      about: JSON.stringify([work.verb, identify(from), identify(to), collections, exclude, rename]),
      types: `${from.storageType}-${to.storageType}`,
      plan: async (signal) =>
        planDatabase(await endOf(from), await endOf(to), { collections, exclude, rename }, { timeoutMs, signal }),
      establish: (one, other, settings, signal) => this.establish(one, other, settings, { signal }),
      violations: async (endpoint, signal) => {
        const { collections: catalogue } = (await endOf(endpoint)).starter;
        // It reads whole tables, which takes as long as it takes.
        return catalogue!.foreignKeys!.violations(endpoint, { role: "source", signal, connectTimeoutMs: timeoutMs });
      },
      redact: (error) => redactError(error, secretsOf(...ends)),
      hold: async (signal) => {
        const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
        const holds = await Promise.allSettled(
          (["source", "target"] as const).map(async (role) => {
            const { starter, endpoint } = await endOf(role === "source" ? from : to);
            return starter.collections?.hold?.(endpoint, { role, signal: limit, connectTimeoutMs: timeoutMs });
          }),
        );
        // Whatever is wrong with an end is told by the first collection that is opened there.
        const held = holds.flatMap((hold) => (hold.status === "fulfilled" && hold.value ? [hold.value] : []));
        return async () => void (await Promise.allSettled(held.map((letGo) => letGo())));
      },
    };
    return new DatabaseRun(work, terms, this.#closing.signal);
  }

  async warmUp(source: EndpointInput, target: EndpointInput, options: Cancellable = {}): Promise<void> {
    this.#assertOpen();
    const signal = signalOf(options);
    const { connectionTimeout } = parseConfig(this.#options.config);
    const ends = [
      { endpoint: parseEndpoint(source), role: "source" },
      { endpoint: parseEndpoint(target), role: "target" },
    ] as const;
    try {
      for (const { endpoint, role } of ends) {
        const lease = await this.#pool.acquire(endpoint, role, connectionTimeout, signal);
        await lease.release(false, this.#options.pool?.idleTtl || WARM_TTL);
      }
    } catch (thrown) {
      const error = signal?.aborted ? cancelled("The warm-up", signal) : thrown;
      throw redactError(error, secretsOf(...ends.map(({ endpoint }) => endpoint)));
    }
  }

  async close(options: CloseOptions = {}): Promise<void> {
    await this.#drain.during(options, 10_000, () => {
      this.#closed ??= this.#shutDown();
      return this.#closed;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #shutDown(): Promise<void> {
    clearInterval(this.#sweeper);
    this.#closing.abort(closedError());
    await Promise.all(
      [...this.#connections.values(), ...this.#leaving].map((connection) =>
        connection.close({ drainTimeout: MAX_TIMER_MS, signal: this.#drain.signal }),
      ),
    );
    await Promise.allSettled(this.#opening);
    await this.#pool.close();
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

/** The guide's form has a batch size where options are; whatever is no object is checked as one. */
function asOptions(given: number | "auto" | ManagedTransferOptions | undefined): ManagedTransferOptions | undefined {
  const isSize = (typeof given !== "object" && typeof given !== "function") || given === null;
  return isSize && given !== undefined ? { batchSize: given } : (given as ManagedTransferOptions | undefined);
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
