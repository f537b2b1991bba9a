/** Messages to and from the child process that reads. */
import type { JsonValue, StoreInspection } from "@omni/p2p-core/starter";
import type { PackedError } from "../client/packed-error.ts";
import type { SqliteEndpoint } from "../endpoint.ts";
import type { PackedRecords } from "../values/packed-records.ts";

/** What a reader process is asked for, one thing at a time. Queries are tagged JSON. */
export type ReaderRequest =
  | { readonly kind: "inspect"; readonly endpoint: SqliteEndpoint; readonly patienceMs: number }
  | (TableRequest & { readonly kind: "count" })
  | (TableRequest & { readonly kind: "partitions"; readonly parts: number })
  | (TableRequest & { readonly kind: "lookUp"; readonly ids: PackedRecords })
  | (TableRequest & {
      readonly kind: "read";
      readonly batchSize: number;
      readonly batchBytes: number | undefined;
      readonly after: JsonValue | undefined;
    });

interface TableRequest {
  readonly endpoint: SqliteEndpoint;
  readonly patienceMs: number;
  /** The file that was opened under the endpoint's path, which may lead to another one by now. */
  readonly inode: string | undefined;
  readonly table: string;
  readonly query: string;
}

/** What a reader process is told: a request, or that the next batch is wanted. */
export type ToReader = ReaderRequest | { readonly kind: "next" };

/** What a reader process tells. */
export type FromReader =
  | { readonly kind: "ready" }
  | { readonly kind: "batch"; readonly batch: PackedBatch }
  | { readonly kind: "done"; readonly value?: number | string | StoreInspection | PackedOutcomes }
  | { readonly kind: "failed"; readonly error: PackedError };

/** A batch as it passes from process to process. */
export interface PackedBatch {
  readonly records: PackedRecords;
  readonly cursor: JsonValue;
  readonly failures: readonly { readonly id: string; readonly error: PackedError }[];
  readonly bytes: number | undefined;
  readonly valid: boolean;
  readonly distinct: boolean;
}

/** What became of look-ups, in their order; the records of those that are wanted come one after the other. */
export interface PackedOutcomes {
  readonly outcomes: readonly ("wanted" | "unwanted" | "absent" | PackedError)[];
  readonly records: PackedRecords;
}
