/** Messages to and from the worker thread that reads a side of a comparison. */
import type { P2PErrorCode } from "../../errors.ts";
import type { JsonValue } from "../../model/json-value.ts";
import type { StoreOrigin } from "../../storage/origins.ts";
import type { RetryPolicy } from "../retry.ts";

/** What the thread is begun with. */
export interface ThreadData {
  readonly origin: StoreOrigin;
  /** As tagged JSON. */
  readonly query: JsonValue;
  readonly batchSize: number;
  readonly retry: RetryPolicy;
  /** How long opening the store may take, in ms. */
  readonly timeoutMs: number;
  /** The key of the fingerprints. */
  readonly key: Uint8Array;
}

/** What the thread is told: to read what comes after a cursor, or that it is of no more use. */
export type ToThread = { readonly kind: "read"; readonly after: JsonValue } | { readonly kind: "end" };

/** What the thread tells. */
export type FromThread =
  | { readonly kind: "ready" }
  | { readonly kind: "progress"; readonly records: number }
  | ({ readonly kind: "done" } & PackedDigests)
  | { readonly kind: "failed"; readonly error: PackedError };

/** Digests on their way from thread to thread. */
export interface PackedDigests {
  readonly bytes: Uint8Array;
  /** Buckets with a record that could not be read. */
  readonly unread: readonly number[];
}

/** An error on its way: classes and their fields are lost. */
export interface PackedError {
  readonly code: P2PErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  readonly cause: string | undefined;
}
