import type { EventEmitter } from "node:events";
import type { FollowHandle } from "../live/follow-options.ts";
import type { MirrorResult } from "../live/options.ts";
import type { MutableRecord } from "../model/record.ts";
import type { EndpointInfo } from "../storage/endpoint.ts";
import type { P2PQuery } from "../storage/query.ts";
import type { PartitionPlan } from "../transfer/partitioned/plan.ts";
import type { ReadBatch } from "../transfer/read-batches.ts";
import type { VerifyOptions, VerifyResult } from "../transfer/verify/verify.ts";
import type { EventsOf } from "./events.ts";
import type {
  Cancellable,
  CloseOptions,
  ManagedFollowOptions,
  ManagedMirrorOptions,
  ManagedTransferOptions,
  P2PReadOptions,
} from "./options.ts";
import type { RunningTransfer } from "./running-transfer.ts";
import type { ConnectionStatistics } from "./statistics.ts";
import type { ConnectionStatus } from "./status.ts";

/** The events of a connection, as its listeners get them. */
export interface P2PConnectionEvents extends EventsOf<P2PConnection> {}

/**
 * A lasting connection between two stores. It is made and kept by a manager, and does one thing at a time: a transfer, a
 * mirror, a comparison or a read.
 *
 * @example
 * ```ts
 * await using connection = await manager.establish("sqlite:./knowledge.db?table=docs", "memory:scratch");
 * const { successCount } = await connection.transfer({ type: "knowledge" }, { batchSize: 100 });
 * ```
 */
export interface P2PConnection extends AsyncDisposable {
  readonly connectionId: string;
  /** Without secrets. */
  readonly sourceEndpoint: EndpointInfo;
  /** Without secrets. */
  readonly targetEndpoint: EndpointInfo;
  readonly status: ConnectionStatus;
  readonly description?: string;
  /** What happens on this connection; the manager's `events` tell the same of all. */
  readonly events: EventEmitter<P2PConnectionEvents>;
  /** The transfer under way, for those who did not begin it. */
  readonly activeTransfer: RunningTransfer | undefined;
  /**
   * Moves the records of a query from the source to the target.
   *
   * @param query which records. Default: all.
   * @param options of this transfer. Default: the settings of the connection.
   * @throws P2PTransferError with the result until then; P2PError `INVALID_STATE` when the connection cannot transfer.
   */
  transfer<In extends object = MutableRecord>(query?: P2PQuery, options?: ManagedTransferOptions<In>): RunningTransfer;
  /**
   * Makes the target equal to what the query gives of the source: writes what is missing or different, and takes out
   * (`deletes: "remove"`) or leaves (`"keep"`) what only the target has. Nothing is deleted before all of both sides has been read, and each
   * record is looked up in the source right before and once after. It tells its begin and its end by the events of a transfer.
   *
   * @param query which records; without `limit` and `offset`. Default: all.
   * @param options of this mirror. Default: the settings of the connection.
   * @throws P2PTransferError with the result until then, for instance with the code `TOO_MANY_DELETES`, `EMPTY_SOURCE`, `AMBIGUOUS_ID` or
   * `STORE_CHANGED`; P2PError `INVALID_CONFIG`, `UNSUPPORTED_QUERY` or `UNSUPPORTED_OPERATION` before anything was done.
   * @example
   * ```ts
   * const connection = await manager.establish("sqlite:./knowledge.db?table=docs", "redis://localhost");
   * const { successCount, deletedCount } = await connection.mirror({ type: "knowledge" }, { deletes: "remove" });
   * ```
   */
  mirror<In extends object = MutableRecord>(
    query?: P2PQuery,
    options?: ManagedMirrorOptions<In>,
  ): Promise<MirrorResult>;
  /**
   * Copies what the query gives of the source, and from then on keeps the target up to date by the source's feed of changes (or by a mirror
   * every so often, `every`): what a change names is looked up in the source anew, and written to the target or taken out of it. The
   * connection is busy until it ends. A restart with the same arguments goes on from the checkpoint.
   *
   * @param query which records; without `limit` and `offset`. Default: all.
   * @param options of this follow. Default: the settings of the connection.
   * @returns at once; whatever is wrong is told by `done`: P2PError `CHANGES_UNAVAILABLE`, `INVALID_CONFIG`, `INVALID_STATE`,
   * `UNSUPPORTED_QUERY`, `UNSUPPORTED_OPERATION` or `CHECKPOINT_…` before anything was written, `SOURCE_NOT_FOUND` or `STORE_CHANGED` later.
   * @example
   * ```ts
   * const connection = await manager.establish("sqlite:./knowledge.db?table=docs", "redis://localhost");
   * const follow = connection.follow({ type: "knowledge" });
   * follow.events.on("change", ({ written, deleted, lagMs }) => console.log(written, deleted, lagMs));
   * await follow.done;
   * ```
   */
  follow<In extends object = MutableRecord>(query?: P2PQuery, options?: ManagedFollowOptions<In>): FollowHandle;
  /**
   * Compares the two ends record by record; see {@link verify}.
   *
   * @param query which records. Default: all.
   * @throws P2PError `INVALID_STATE` when the connection cannot be used, or what reading throws.
   */
  verify<In extends object = MutableRecord>(query?: P2PQuery, options?: VerifyOptions<In>): Promise<VerifyResult>;
  /**
   * Reads the records of a query from the source, batch by batch: the next one is read when it is asked for. Until it ends or the
   * loop is left, the connection is busy. A source that went away is waited for and read on from the last cursor, as in a
   * transfer.
   *
   * `Doc` is what you say the records are; only `schema` makes sure of it.
   *
   * @param query which records. Default: all.
   * @throws P2PError `INVALID_STATE`, `INVALID_QUERY`, `ABORTED`, `STORE_CHANGED`, or what reading throws: when the first batch is asked for, or a later one.
   * @example
   * ```ts
   * const connection = await manager.establish("sqlite:./knowledge.db?table=docs", "memory:scratch");
   * for await (const { records } of connection.read<{ id: string; title: string }>({ type: "knowledge" })) {
   *   for (const { title } of records) console.log(title);
   * }
   * ```
   */
  read<Doc extends object = MutableRecord>(
    query?: P2PQuery,
    options?: P2PReadOptions<Doc>,
  ): AsyncGenerator<ReadBatch<Doc>, void, undefined>;
  /**
   * Asks the source for at most so many parts of a query: disjoint, and together the whole. They can be transferred
   * each by itself, in any process; a transfer with `partitions` does all of that in this one.
   *
   * @throws P2PError `INVALID_STATE`, `INVALID_QUERY`, or what the source throws.
   */
  partitions(query: P2PQuery, parts: number): Promise<PartitionPlan>;
  /** What it has done so far. */
  statistics(): ConnectionStatistics;
  /** Whether it can transfer, as far as is known here: cheap, and no question to the stores; see {@link isHealthy}. */
  isAlive(): boolean;
  /**
   * Asks both stores for a sign of life, within `connection_timeout`.
   *
   * @throws P2PError `ABORTED` when the signal aborts; the connection stays as it is then.
   */
  isHealthy(options?: Cancellable): Promise<boolean>;
  /** Closes the connection, after cancelling a transfer under way. Closing a closed one does nothing. */
  close(options?: CloseOptions): Promise<void>;
}
