import type { EventEmitter } from "node:events";
import type { ConnectionConfigInput } from "../config.ts";
import type { P2PError } from "../errors.ts";
import type { EndpointInput } from "../storage/endpoint.ts";
import type { P2PQuery } from "../storage/query.ts";
import type { P2PStarter } from "../storage/service.ts";
import type { TransferOptions } from "../transfer/options.ts";
import type { PartitionPlan } from "../transfer/partitioned/plan.ts";
import type { TransferProgress } from "../transfer/progress.ts";
import type { TransferResult } from "../transfer/result.ts";
import type { VerifyOptions, VerifyResult } from "../transfer/verify/verify.ts";
import type { P2PConnection } from "./connection.ts";
import type { ConnectionStatistics } from "./statistics.ts";
import type { ConnectionStatus } from "./status.ts";

/**
 * What a manager tells while it works. No event ever carries a secret. What a listener throws or rejects with ends nothing:
 * it is a warning of the process with the code `HOOK_FAILED`, once for each listener.
 */
export interface P2PManagerEvents {
  statusChanged: [event: { connection: P2PConnection; from: ConnectionStatus; to: ConnectionStatus }];
  transferStarted: [event: { connection: P2PConnection; query: P2PQuery }];
  progress: [event: { connection: P2PConnection; progress: TransferProgress }];
  transferCompleted: [event: { connection: P2PConnection; result: TransferResult }];
  transferFailed: [event: { connection: P2PConnection; error: P2PError; result?: TransferResult }];
  reconnected: [event: { connection: P2PConnection }];
  closed: [event: { connection: P2PConnection }];
}

/** How {@link P2PConnectionManager.close} ends. */
export interface CloseOptions {
  /** How long transfers under way may go on before they are cancelled, in ms. Default 10 000; 0 cancels at once. */
  readonly drainTimeout?: number;
}

/** Options of a transfer through a manager, which can also open a store for the dead letters. */
export type ManagedTransferOptions = Omit<TransferOptions, "deadLetters"> & {
  readonly deadLetters?: TransferOptions["deadLetters"] | { readonly endpoint: EndpointInput };
};

/** Keeps connections: establishes, watches, uses and closes them. */
export interface P2PConnectionManager extends AsyncDisposable {
  /** Subscribe with `manager.events.on("progress", …)`. */
  readonly events: EventEmitter<P2PManagerEvents>;
  /**
   * Opens both ends and makes sure that they answer.
   *
   * @param config settings of this connection, as `batchSize` or `batch_size`.
   * @throws P2PError `SERVICE_NOT_FOUND`, `INVALID_ENDPOINT`, `INVALID_CONFIG`, `SOURCE_NOT_FOUND`,
   * `TARGET_NOT_WRITABLE`, `CONNECTION_FAILED`, `AUTHENTICATION_FAILED`, `TIMEOUT` or `POOL_EXHAUSTED`.
   */
  establish(source: EndpointInput, target: EndpointInput, config?: ConnectionConfigInput): Promise<P2PConnection>;
  /** The connection with this id, unless it is closed. */
  getConnection(connectionId: string): P2PConnection | undefined;
  /** All connections that are not closed. */
  getActiveConnections(): P2PConnection[];
  /** Cancels a transfer under way and closes the connection; `false` when there is no such connection. */
  closeConnection(connectionId: string): Promise<boolean>;
  /**
   * Moves the records of a query through a connection.
   *
   * @param batchSize a batch size, `"auto"`, or all options of the transfer. Default: the connection's settings.
   * @throws P2PTransferError with the result until then; P2PError `INVALID_STATE` when the connection cannot transfer.
   */
  transferThroughConnection(
    connectionId: string,
    query: P2PQuery,
    batchSize?: number | "auto" | ManagedTransferOptions,
  ): Promise<TransferResult>;
  /**
   * Compares the two ends record by record; see {@link verify}.
   *
   * @throws P2PError `INVALID_STATE` when the connection cannot be used, or what reading throws.
   */
  verify(connectionId: string, query: P2PQuery, options?: VerifyOptions): Promise<VerifyResult>;
  /**
   * Asks the source for at most so many parts of a query: disjoint, and together the whole. They can be transferred
   * each by itself, in any process; a transfer with `partitions` does all of that in this one.
   *
   * @throws P2PError `INVALID_STATE`, `INVALID_QUERY`, or what the source throws.
   */
  partitions(connectionId: string, query: P2PQuery, parts: number): Promise<PartitionPlan>;
  /** @throws P2PError `INVALID_STATE` when there is no such connection. */
  getConnectionStatistics(connectionId: string): ConnectionStatistics;
  /** Asks both stores for a sign of life, within the connection's `connection_timeout`. */
  isHealthy(connectionId: string): Promise<boolean>;
  /** Registers a starter with this manager, before those that are installed. */
  registerService(storageType: string, starter: P2PStarter): void;
  /**
   * Opens two stores ahead, so that `establish` with the same endpoints is quick. They stay open for the pool's
   * `idleTtl`, or a minute.
   */
  warmUp(source: EndpointInput, target: EndpointInput): Promise<void>;
  /** Lets transfers end, closes every connection and store, and refuses what comes later. */
  close(options?: CloseOptions): Promise<void>;
}
