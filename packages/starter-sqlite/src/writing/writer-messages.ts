/** Messages to and from the worker thread that writes. */
import type { SourceSchema, WriteMode } from "@omni/p2p-core/starter";
import type { PackedError } from "../client/packed-error.ts";
import type { SqliteEndpoint } from "../endpoint.ts";
import type { PackedRecords } from "../values/packed-records.ts";

/** What a writer thread is begun with. */
export interface ThreadData {
  readonly endpoint: SqliteEndpoint;
  readonly table: string;
  /** How long a lock is waited for, in milliseconds. */
  readonly patienceMs: number;
  /** The file that was opened under the endpoint's path, which may lead to another one by now. */
  readonly inode: string | undefined;
}

/** What a writer thread is told. Batches have numbers. */
export type ToThread =
  | {
      readonly kind: "write";
      readonly batch: number;
      readonly records: PackedRecords;
      readonly mode: WriteMode;
      readonly schema: SourceSchema | undefined;
    }
  | { readonly kind: "abort"; readonly batch: number }
  | { readonly kind: "close" };

/** What a writer thread tells. */
export type FromThread =
  | { readonly kind: "ready" }
  | { readonly kind: "written"; readonly batch: number; readonly result: PackedResult }
  | { readonly kind: "failed"; readonly batch: number; readonly error: PackedError };

/** A result without the ids, which the other side has. */
export interface PackedResult {
  readonly written: number;
  readonly skipped: number;
  readonly failures: readonly { readonly index: number; readonly error: PackedError }[];
}
