import type { AgainstResult, Difference, TransferCounts, TransferFailure } from "@omni/p2p-core";
import type { IdCollisions } from "@omni/p2p-core/engine";
import type { ChangeStatus, P2PCapabilities } from "@omni/p2p-core/starter";
import type { DatabaseShown, FollowProgress } from "./reporter.ts";

/** A transfer begins. */
export interface StartEvent {
  readonly event: "start";
  readonly name: string;
  readonly transferId: string;
  readonly source: string;
  readonly target: string;
  readonly resumed: boolean;
}

/** A transfer goes on. Times in ms, rate in records per second. */
export interface ProgressEvent {
  readonly event: "progress";
  readonly transferId: string;
  readonly records: number;
  readonly total?: number;
  /** Of the source, where it cannot count its records. */
  readonly bytes?: { readonly done: number; readonly total: number };
  readonly failures: number;
  readonly rate: number;
  readonly etaMs?: number;
  readonly elapsedMs: number;
  readonly memoryBytes: number;
}

/** What a transfer did, however it ended. */
export interface ResultEvent {
  readonly event: "result";
  readonly name: string;
  readonly transferId: string;
  readonly status: "completed" | "partial" | "failed" | "interrupted";
  readonly totalRecords: number;
  readonly successCount: number;
  readonly failureCount: number;
  readonly skippedCount: number;
  readonly retryCount: number;
  /** Of a mirror: records taken out of the target, and those of it alone that were left. */
  readonly deletedCount?: number;
  readonly keptCount?: number;
  /** Of a mirror, what its comparison found. */
  readonly missing?: number;
  readonly different?: number;
  readonly extra?: number;
  readonly unreadable?: number;
  /** Of a mirror that changes nothing, and the error with which the real one would end. */
  readonly dryRun?: true;
  readonly refusal?: { readonly code: string; readonly message: string };
  readonly bytes: number;
  readonly durationMs: number;
  readonly errors: readonly TransferFailure[];
  /** Records that took the place of others of this transfer, since the target keeps their ids as one. */
  readonly collisions?: IdCollisions;
  readonly notes?: readonly string[];
  readonly deadLetters?: string;
  /** The command that goes on from here; absent when it is complete. */
  readonly resume?: string;
}

/** A job over the collections of a database begins. */
export interface DatabaseStartEvent {
  readonly event: "database-start";
  readonly name: string;
  readonly source: string;
  readonly target: string;
  /** It goes on with an earlier run. */
  readonly resumed: boolean;
  /** In the order in which they are done; their records are estimates. */
  readonly collections: readonly { readonly name: string; readonly target: string; readonly records?: number }[];
  readonly notes: readonly string[];
}

/** A job over a database goes on. Times in ms, rate in records per second. */
export interface DatabaseProgressEvent extends DatabaseShown {
  readonly event: "database-progress";
  readonly memoryBytes: number;
}

/** What became of one collection of a job. */
export interface CollectionTold extends TransferCounts {
  readonly name: string;
  readonly target: string;
  readonly transferId: string;
  /** `finished`: by an earlier run. `different`: copied, and not the same when it was compared. */
  readonly status: "completed" | "partial" | "different" | "failed" | "interrupted" | "finished";
  /** Of a mirror. */
  readonly deletedCount?: number;
  readonly durationMs: number;
  readonly errors?: readonly TransferFailure[];
  readonly deadLetters?: string;
  readonly verified?: {
    readonly equal: boolean;
    readonly missing: number;
    readonly extra: number;
    readonly different: number;
  };
  readonly error?: { readonly code: string; readonly message: string };
}

/** One collection of a job has ended. */
export interface CollectionResultEvent extends CollectionTold {
  readonly event: "collection-result";
}

/** What a job over a database did, however it ended: counts of all collections together. */
export interface DatabaseResultEvent extends TransferCounts {
  readonly event: "database-result";
  readonly name: string;
  readonly transferId: string;
  readonly status: "completed" | "partial" | "different" | "failed" | "interrupted";
  readonly durationMs: number;
  readonly collections: readonly CollectionTold[];
  readonly notes: readonly string[];
  /** The command that goes on from here; absent when it is complete. */
  readonly resume?: string;
}

/** How two sides compare. */
export interface VerifyEvent {
  readonly event: "verify";
  readonly source: string;
  readonly target: string;
  readonly equal: boolean;
  readonly sourceCount: number;
  readonly targetCount: number;
  readonly missing: number;
  readonly extra: number;
  readonly different: number;
  /** Missing or different, and failed in the transfer that went before. */
  readonly failed: number;
  /** Could not be read on one side, and so not be compared. */
  readonly unreadable: number;
  /** Of a live comparison: went on changing, so that nothing can be said of them. */
  readonly unsettled: number;
  /** Among the records that differ, those beyond the first of their id, on each side. */
  readonly repeated: { readonly source: number; readonly target: number };
  readonly differences: readonly Difference[];
  /** The target does not exist, and counts as empty. */
  readonly targetAbsent?: true;
  /** What else there is to say, such as that no record has a field that the query names. */
  readonly notes?: readonly string[];
  readonly durationMs: number;
}

/** How one store stands to a certificate. */
export interface VerifyAgainstEvent extends AgainstResult {
  readonly event: "verify-against";
  readonly endpoint: string;
  /** Its file. */
  readonly certificate: string;
}

/** A comparison goes on. */
export interface VerifyProgressEvent {
  readonly event: "verify-progress";
  /** Read so far on both sides. */
  readonly records: number;
  /** What both sides hold, where both can count; more is read where they differ. */
  readonly total?: number;
  /** Of a live comparison, records that differed and are looked at again. */
  readonly again?: number;
}

/** A mirror goes on. */
export interface MirrorProgressEvent {
  readonly event: "mirror-progress";
  readonly phase: "comparing" | "writing" | "deleting";
  /** Of this phase so far; while comparing, of both sides. */
  readonly records: number;
  /** Of how many, where that is known. */
  readonly total?: number;
}

/** What a dry run found out. */
export interface DryRunEvent {
  readonly event: "dry-run";
  readonly name: string;
  readonly source: string;
  readonly target: string;
  /** In the source, where it can count. */
  readonly total?: number;
  readonly sampled: number;
  /** Records that the transform dropped, and those that it or the record model refused. */
  readonly dropped: number;
  readonly refused: readonly { readonly id: string; readonly reason: string }[];
  /** `starter`: the target's own word. `capabilities`: by what it says of value types. `unknown`: it could not be asked. */
  readonly mappedBy: "starter" | "capabilities" | "unknown";
  readonly fields: readonly {
    readonly field: string;
    readonly types: readonly string[];
    readonly storedAs: string;
    readonly lossless: boolean;
    readonly note?: string;
  }[];
  /** Values that `--as` and `--recognise` make others of, a few of each field, as text. */
  readonly converted?: readonly { readonly field: string; readonly before: string; readonly after: string }[];
  /** What else there is to say, such as that no record has a field that the query names. */
  readonly notes?: readonly string[];
}

/** A store answered. */
export interface PingEvent {
  readonly event: "ping";
  readonly endpoint: string;
  readonly openMs: number;
  readonly pingMs: number;
  /** What else is to be said, for instance that the table is not there yet. */
  readonly note?: string;
}

/** How many records there are. */
export interface CountEvent {
  readonly event: "count";
  readonly endpoint: string;
  readonly count: number;
  /** `store`: the store said so. `read`: they were read and counted. */
  readonly by: "store" | "read";
  /** What else there is to say, such as that no record has a field that the query names. */
  readonly notes?: readonly string[];
}

/** A table, collection or index that was looked at. */
export interface CollectionEvent {
  readonly event: "collection";
  readonly endpoint: string;
  readonly product?: string;
  readonly name: string;
  readonly records?: number;
  /** What the store itself declares. */
  readonly declared?: readonly { readonly name: string; readonly type: string; readonly key?: boolean }[];
  /** What was found in a sample. */
  readonly fields?: readonly {
    readonly field: string;
    readonly types: readonly string[];
    /** Share of the sample's records that have it and where it is not null, from 0 to 1. */
    readonly filled: number;
    readonly example: string;
  }[];
  /** Records in the tagged JSON of the core. */
  readonly samples?: readonly unknown[];
  /** What else there is to say, such as that no record has a field that the query names. */
  readonly notes?: readonly string[];
  /** Why it could not be looked at, or not in whole. */
  readonly trouble?: string;
}

/** A collection that a database lists. */
export interface ListedEvent {
  readonly event: "listed";
  /** What leads to it; absent where nothing does. */
  readonly endpoint?: string;
  readonly namespace?: string;
  readonly name: string;
  readonly kind: "table" | "view" | "collection" | "index" | "prefix";
  /** About so many. */
  readonly records?: number;
  readonly key?: readonly string[];
  readonly foreignKeys?: readonly { readonly fields: readonly string[]; readonly references: string }[];
  /** Why nothing leads to it, or why it could not be looked at. */
  readonly trouble?: string;
}

/** An installed starter. */
export interface StarterEvent {
  readonly event: "starter";
  readonly storageType: string;
  readonly packageName: string;
  readonly version: string;
  readonly directory: string;
  /** Absent when it could not be loaded. */
  readonly contractVersion?: number;
  readonly options?: readonly string[];
  readonly can?: readonly string[];
  /** What the contract knows and its stores do not offer: look-ups, deletes, a feed of changes. */
  readonly lacks?: readonly string[];
  /** What its stores can do, where the starter tells before one is opened. */
  readonly capabilities?: P2PCapabilities;
  readonly trouble?: string;
}

/** How a follow is getting on. Times in ms. */
export interface FollowProgressEvent extends FollowProgress {
  readonly event: "follow-progress";
  readonly memoryBytes: number;
}

/** A follow does something else from now on. */
export interface FollowStatusEvent {
  readonly event: "follow-status";
  readonly transferId: string;
  readonly from: FollowProgress["status"];
  readonly to: FollowProgress["status"];
}

/** A follow has applied some changes. */
export interface FollowChangeEvent {
  readonly event: "follow-change";
  readonly transferId: string;
  readonly written: number;
  readonly deleted: number;
  readonly lagMs?: number;
}

/** A follow has applied everything that it was told so far. */
export interface FollowCaughtUpEvent {
  readonly event: "follow-caught-up";
  readonly transferId: string;
  readonly lagMs?: number;
}

/** A follow has made up for what nobody could tell it, or has done so as told, every so often. */
export interface FollowMirroredEvent {
  readonly event: "follow-mirrored";
  readonly transferId: string;
  readonly written: number;
  readonly deleted: number;
  readonly durationMs: number;
}

/** Changes can no longer be told: a mirror makes up for them. */
export interface FollowLostEvent {
  readonly event: "follow-lost";
  readonly transferId: string;
  readonly code: string;
  readonly message: string;
}

/** A follow is paused. It goes on once it is told to, in a new run, or by itself. */
export interface FollowPausedEvent {
  readonly event: "follow-paused";
  readonly transferId: string;
  readonly code: string;
  readonly message: string;
  readonly goesOn: "told" | "by-itself";
}

/** Where the lease of a follow is. */
export interface FollowLeaseEvent {
  readonly event: "follow-lease";
  readonly transferId: string;
  readonly place: "target" | "state";
  /** Why it is not in the target, where that was not asked for. */
  readonly reason?: string;
}

/** An end could not be reached, and is tried again. */
export interface FollowRetryEvent {
  readonly event: "follow-retry";
  readonly transferId: string;
  readonly code: string;
  readonly message: string;
  readonly delayMs: number;
}

/** A follow has ended. */
export interface FollowEndEvent extends Omit<FollowProgress, "name" | "status" | "pausedBy" | "elapsedMs"> {
  readonly event: "follow-end";
  readonly status: "stopped" | "interrupted" | "failed";
  readonly durationMs: number;
}

/** How it stands with the changes of an endpoint. */
export interface ChangesEvent extends ChangeStatus {
  readonly event: "changes";
  readonly endpoint: string;
}

/** A distributed transfer, in a list. */
export interface TransferStatusEvent {
  readonly event: "transfer";
  readonly id: string;
  readonly state: "planning" | "running" | "paused" | "completed" | "failed" | "cancelled";
  readonly source: string;
  readonly target: string;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly records: number;
  readonly failures: number;
  readonly total?: number;
  readonly partitions: number;
  /** The share of the work that is finished, from 0 to 1. */
  readonly done: number;
}

/** A partition of a distributed transfer, in a list. */
export interface PartitionEvent {
  readonly event: "partition";
  readonly transferId: string;
  readonly part: number;
  readonly state: "waiting" | "running" | "done";
  readonly records: number;
  readonly failures: number;
  readonly grains: number;
  readonly grainsDone: number;
  readonly worker?: string;
  readonly runs: number;
}

/** What went wrong. */
export interface ErrorEvent {
  readonly event: "error";
  /** A code of the core's `P2PError`, `USAGE`, `UNWRITTEN` or `UNEXPECTED`. */
  readonly code: string;
  readonly message: string;
  /** What to type next. */
  readonly next?: string;
}

/** One line of the output with `--json`. */
export type CliEvent =
  | StartEvent
  | ProgressEvent
  | ResultEvent
  | DatabaseStartEvent
  | DatabaseProgressEvent
  | CollectionResultEvent
  | DatabaseResultEvent
  | VerifyEvent
  | VerifyAgainstEvent
  | VerifyProgressEvent
  | MirrorProgressEvent
  | DryRunEvent
  | PingEvent
  | CountEvent
  | CollectionEvent
  | ListedEvent
  | StarterEvent
  | ChangesEvent
  | FollowProgressEvent
  | FollowStatusEvent
  | FollowChangeEvent
  | FollowCaughtUpEvent
  | FollowMirroredEvent
  | FollowLostEvent
  | FollowPausedEvent
  | FollowLeaseEvent
  | FollowRetryEvent
  | FollowEndEvent
  | TransferStatusEvent
  | PartitionEvent
  | ErrorEvent;
