import type { ConnectionConfigInput, FailureTolerance, TransferCounts, TransferFailure } from "@omni/p2p-core";

/** The version of jobs and of what is kept in Redis. A worker leaves jobs of a higher one to newer workers. */
export const PROTOCOL_VERSION = 1;

/** Longest text of a submission. */
export const MAX_SPEC_CHARACTERS = 256 * 1024;

/** The one queue of all transfers under a prefix. */
export const QUEUE = "transfers";

/** Before all keys. In braces, so that a Redis Cluster keeps them together. */
export const DEFAULT_PREFIX = "{omni-p2p}";

/** What a job carries: names only. Everything else is looked up by them. */
export interface JobData {
  readonly v: number;
  /** The transfer's id. */
  readonly transfer: string;
  /** The number of the partition; absent in the jobs that plan and add up. */
  readonly part?: number;
}

/** The kinds of jobs. */
export type JobKind = "plan" | "part" | "sum";

/** How both sides are compared at the end: not, by the number of records, or record by record. */
export type VerifyKind = "none" | "count" | "full";

/** What a transfer is, as it was submitted. Kept in Redis, so it names endpoints and never holds their secrets. */
export interface TransferSpec {
  readonly v: number;
  readonly id: string;
  readonly source: string;
  readonly target: string;
  /** As JSON text with the types of its values. */
  readonly query: string;
  readonly partitions: number;
  /** Pieces that each partition is planned in: what can still be given to idle workers. */
  readonly grains: number;
  readonly config: ConnectionConfigInput;
  readonly maxFailures?: FailureTolerance;
  /** The name of a transform of the workers. */
  readonly transform?: string;
  /** The name of an endpoint for dead letters. Default: they are kept in Redis. */
  readonly deadLetters?: string;
  readonly verify: VerifyKind;
  /** ISO 8601. */
  readonly createdAt: string;
  /** Until when its signature holds, in ISO 8601; absent when it has none. */
  readonly expiresAt?: string;
}

/** Where a distributed transfer stands. */
export type TransferState = "planning" | "running" | "paused" | "completed" | "failed" | "cancelled";

/** What the comparison at the end found. */
export interface VerifySummary {
  readonly kind: Exclude<VerifyKind, "none">;
  /** Whether nothing was found that differs, in what could be looked at; see `unchecked`. */
  readonly equal: boolean;
  /** Records of the source, counted anew; absent when it cannot count. */
  readonly sourceCount?: number;
  /** Records of the target that meet the same conditions, as far as it can be asked for them; absent when it cannot count. */
  readonly targetCount?: number;
  /** What `targetCount` was before the transfer began, where that is known. Only of `count`. */
  readonly targetBefore?: number;
  readonly missing?: number;
  readonly extra?: number;
  readonly different?: number;
  /** What was not looked at, and why, in sentences. */
  readonly unchecked?: readonly string[];
}

/** What a distributed transfer did, added up over all partitions. */
export interface DistributedResult extends TransferCounts {
  readonly transferId: string;
  /** Partitions that it ran in, those that were split off included. */
  readonly partitions: number;
  /** From its submission to its end. */
  readonly durationMs: number;
  /** Bytes written, as far as the target tells; what a worker wrote that died is not in it. */
  readonly bytes: number;
  readonly recordsRead: number;
  /** The first failures, 100 at most; all of them are in the dead letters. */
  readonly errors: readonly TransferFailure[];
  readonly notes: readonly string[];
  readonly verified?: VerifySummary;
}
