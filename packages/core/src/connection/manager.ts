import type { EventEmitter } from "node:events";
import type { ConnectionConfigInput } from "../config.ts";
import type { FollowHandle } from "../live/follow-options.ts";
import type { MirrorResult } from "../live/options.ts";
import type { MutableRecord } from "../model/record.ts";
import type { CollectionList } from "../storage/collections.ts";
import type { EndpointInput } from "../storage/endpoint.ts";
import type { P2PQuery } from "../storage/query.ts";
import type { P2PStarter } from "../storage/service.ts";
import type { PartitionPlan } from "../transfer/partitioned/plan.ts";
import type { TransferResult } from "../transfer/result.ts";
import type { VerifyOptions, VerifyResult } from "../transfer/verify/verify.ts";
import type { P2PConnection, P2PConnectionEvents } from "./connection.ts";
import type {
  DatabaseFollowOptions,
  DatabaseJob,
  DatabaseMirrorOptions,
  DatabaseTransferOptions,
} from "./database/options.ts";
import type {
  Cancellable,
  CloseOptions,
  ManagedFollowOptions,
  ManagedMirrorOptions,
  ManagedTransferOptions,
} from "./options.ts";
import type { ConnectionStatistics } from "./statistics.ts";

/** What a manager tells of its connections: what each of them tells. */
export type P2PManagerEvents = P2PConnectionEvents;

/**
 * Keeps connections: establishes, watches, uses and closes them. What takes a `connectionId` is short for the same on
 * the connection: `manager.verify(id, …)` for `connection.verify(…)`.
 */
export interface P2PConnectionManager extends AsyncDisposable {
  /** What happens on all connections. Subscribe with `manager.events.on("progress", …)`. */
  readonly events: EventEmitter<P2PConnectionEvents>;
  /**
   * Opens both ends and makes sure that they answer.
   *
   * @param config settings of this connection, as `batchSize` or `batch_size`.
   * @param options a signal that gives it up: nothing stays open then.
   * @throws P2PError `SERVICE_NOT_FOUND`, `INVALID_ENDPOINT`, `INVALID_CONFIG`, `SOURCE_NOT_FOUND`,
   * `TARGET_NOT_WRITABLE`, `CONNECTION_FAILED`, `AUTHENTICATION_FAILED`, `TIMEOUT`, `POOL_EXHAUSTED` or `ABORTED`.
   */
  establish(
    source: EndpointInput,
    target: EndpointInput,
    config?: ConnectionConfigInput,
    options?: Cancellable,
  ): Promise<P2PConnection>;
  /** The connection with this id, unless it is closed. */
  getConnection(connectionId: string): P2PConnection | undefined;
  /** All connections that are not closed. */
  getActiveConnections(): P2PConnection[];
  /** Cancels a transfer under way and closes the connection; `false` when there is no such connection. */
  closeConnection(connectionId: string): Promise<boolean>;
  /**
   * Moves the records of a query through a connection; the same as {@link P2PConnection.transfer}.
   *
   * @param options Default: the connection's settings.
   * @throws P2PTransferError with the result until then; P2PError `INVALID_STATE` when the connection cannot transfer.
   */
  transferThroughConnection<In extends object = MutableRecord>(
    connectionId: string,
    query: P2PQuery,
    options?: ManagedTransferOptions<In>,
  ): Promise<TransferResult>;
  /**
   * The same in the form of the guide, with a batch size in place of options.
   *
   * @param batchSize records in a batch, or `"auto"`.
   */
  transferThroughConnection(
    connectionId: string,
    query: P2PQuery,
    batchSize: number | "auto" | undefined,
  ): Promise<TransferResult>;
  /** The same as {@link P2PConnection.mirror}. */
  mirrorThroughConnection<In extends object = MutableRecord>(
    connectionId: string,
    query: P2PQuery,
    options?: ManagedMirrorOptions<In>,
  ): Promise<MirrorResult>;
  /**
   * The same as {@link P2PConnection.follow}.
   *
   * @throws P2PError `INVALID_STATE` when there is no such connection.
   */
  followThroughConnection<In extends object = MutableRecord>(
    connectionId: string,
    query: P2PQuery,
    options?: ManagedFollowOptions<In>,
  ): FollowHandle;
  /** The same as {@link P2PConnection.verify}. */
  verify<In extends object = MutableRecord>(
    connectionId: string,
    query: P2PQuery,
    options?: VerifyOptions<In>,
  ): Promise<VerifyResult>;
  /** The same as {@link P2PConnection.partitions}. */
  partitions(connectionId: string, query: P2PQuery, parts: number): Promise<PartitionPlan>;
  /**
   * The same as {@link P2PConnection.statistics}.
   *
   * @throws P2PError `INVALID_STATE` when there is no such connection.
   */
  getConnectionStatistics(connectionId: string): ConnectionStatistics;
  /** The same as {@link P2PConnection.isHealthy}; `false` when there is no such connection. */
  isHealthy(connectionId: string, options?: Cancellable): Promise<boolean>;
  /** Registers a starter with this manager, before those that are installed. */
  registerService(storageType: string, starter: P2PStarter): void;
  /**
   * Lists the collections (tables, views, collections, indices, prefixes of keys) of a database, without reading records.
   *
   * @param endpoint names the database alone: `sqlite:./app.db`, `postgresql://localhost/app`.
   * @throws P2PError `UNSUPPORTED_OPERATION` where the starter lists none; else as {@link establish} does.
   * @example
   * ```ts
   * const { collections } = await manager.collections("sqlite:./app.db");
   * for (const { kind, name, records } of collections) console.log(kind, name, records);
   * ```
   */
  collections(endpoint: EndpointInput, options?: Cancellable): Promise<CollectionList>;
  /**
   * Copies the collections of a database into another, several at a time and in an order that foreign keys allow.
   *
   * @param source names the database alone, as `target` does.
   * @returns at once; whatever is wrong is told by `done`.
   */
  transferDatabase(source: EndpointInput, target: EndpointInput, options?: DatabaseTransferOptions): DatabaseJob;
  /** Mirrors the collections of a database, each as {@link P2PConnection.mirror} does. */
  mirrorDatabase(source: EndpointInput, target: EndpointInput, options?: DatabaseMirrorOptions): DatabaseJob;
  /** Follows the collections of a database, each as {@link P2PConnection.follow} does, until it is stopped. */
  followDatabase(source: EndpointInput, target: EndpointInput, options?: DatabaseFollowOptions): DatabaseJob;
  /**
   * Opens two stores ahead, so that `establish` with the same endpoints is quick. They stay open for the pool's
   * `idleTtl`, or a minute.
   *
   * @throws as {@link establish} does.
   */
  warmUp(source: EndpointInput, target: EndpointInput, options?: Cancellable): Promise<void>;
  /** Lets transfers end, closes every connection and store, and refuses what comes later. A second call may bring the end forward. */
  close(options?: CloseOptions): Promise<void>;
}
