import type { FollowOptions } from "../live/follow-options.ts";
import type { MirrorOptions } from "../live/options.ts";
import type { JsonValue } from "../model/json-value.ts";
import type { MutableRecord } from "../model/record.ts";
import type { EndpointInput } from "../storage/endpoint.ts";
import type { TransferOptions } from "../transfer/options.ts";
import type { StandardSchemaV1 } from "../transfer/standard-schema.ts";

/** A call that can be cancelled: it then rejects with `ABORTED`. */
export interface Cancellable {
  /** Default: it ends by itself. */
  readonly signal?: AbortSignal | undefined;
}

/** How a connection, or a manager with all of its connections, is closed. Closing never fails. */
export interface CloseOptions {
  /** How long transfers under way may go on before they are cancelled, in ms. 0 cancels at once. Default 10 000 for a manager, 0 for a connection. */
  readonly drainTimeout?: number | undefined;
  /** Ends that wait: transfers under way are cancelled when it aborts. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of a transfer through a connection, which can also open a store for the dead letters. */
export type ManagedTransferOptions<In extends object = MutableRecord> = Omit<TransferOptions<In>, "deadLetters"> & {
  readonly deadLetters?: TransferOptions["deadLetters"] | { readonly endpoint: EndpointInput } | undefined;
};

/** Options of a mirror through a connection, which can also open a store for the dead letters. */
export type ManagedMirrorOptions<In extends object = MutableRecord> = Omit<MirrorOptions<In>, "deadLetters"> & {
  readonly deadLetters?: TransferOptions["deadLetters"] | { readonly endpoint: EndpointInput } | undefined;
};

/** Options of a follow through a connection, which can also open a store for the dead letters. */
export type ManagedFollowOptions<In extends object = MutableRecord> = Omit<FollowOptions<In>, "deadLetters"> & {
  readonly deadLetters?: TransferOptions["deadLetters"] | { readonly endpoint: EndpointInput } | undefined;
};

/** How {@link P2PConnection.read} reads. */
export interface P2PReadOptions<Doc extends object = MutableRecord> {
  /** Records in a batch at most. Default: the connection's `batch_size`, 1000 where that is `"auto"`. */
  readonly batchSize?: number | undefined;
  /** The cursor of a batch that was read earlier, of the same query: reading goes on behind it. Default: the beginning. */
  readonly after?: JsonValue | undefined;
  /** Validates each record, by any library of Standard Schema; what it refuses is among the failures. Default: none. */
  readonly schema?: StandardSchemaV1<unknown, Doc> | undefined;
  /** How long validating one record may take, in ms; 0 is without a limit. Default 60 000. */
  readonly hookTimeout?: number | undefined;
  /** Ends reading, with `ABORTED`. */
  readonly signal?: AbortSignal | undefined;
}
