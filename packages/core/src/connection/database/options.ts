/** What a job over the collections of a database can be told, and what it tells. */
import type { EventEmitter } from "node:events";
import type { ConnectionConfigInput } from "../../config.ts";
import type { P2PError } from "../../errors.ts";
import type { FollowHandle } from "../../live/follow-options.ts";
import type { MirrorResult } from "../../live/options.ts";
import type { EndpointInfo } from "../../storage/endpoint.ts";
import type { TransferCounts } from "../../transfer/counts.ts";
import type { TransferResult } from "../../transfer/result.ts";
import type { VerifyResult } from "../../transfer/verify/verify.ts";
import type { ManagedFollowOptions, ManagedMirrorOptions, ManagedTransferOptions } from "../options.ts";

/** Which collections are meant, and what they are called in the target. */
export interface DatabaseSelection {
  /**
   * Patterns of names in which `*` stands for any characters and `?` for one; `\*` is a star. A name with a namespace is tried as
   * `public.docs` as well. Default: all of them, views left out; a view must be named without a pattern.
   */
  readonly collections?: readonly string[] | undefined;
  /** Patterns of those that are left out. Default: none. */
  readonly exclude?: readonly string[] | undefined;
  /**
   * Rules for the names in the target, as `<regular expression>=<replacement>`: `public.(.*)=$1`. The first that fits the whole name
   * counts. Default: the name that it has in the source.
   */
  readonly rename?: readonly string[] | undefined;
}

/** What all jobs over a database can be told. */
export interface DatabaseOptions<Each> extends DatabaseSelection {
  /** Collections that are worked on at a time. Default 4, and 1 into a store with a single writer; a follow works on all. */
  readonly jobs?: number | undefined;
  /** Names the job and its files in the state folder. Default: made of the two databases and of what is meant. */
  readonly transferId?: string | undefined;
  /**
   * Go on with the job of this name: what is finished is not read again, once both its stores have been found to be those of then. A mirror
   * compares all of them anew. Default `false`.
   */
  readonly resume?: boolean | undefined;
  /** The state folder, with the job's state, checkpoints and dead letters. Default `.omni-p2p`. */
  readonly checkpoint?: string | undefined;
  /** `false` lets failed records go. Default: a file for each collection in the state folder. */
  readonly deadLetters?: false | undefined;
  /** Compare each collection afterwards. Default `false`. */
  readonly verify?: boolean | undefined;
  /** Settings of the connections. Default: those of the manager. */
  readonly config?: ConnectionConfigInput | undefined;
  /** Options for each of the collections alike. */
  readonly each?: Each | undefined;
  /** Stops the job: what is under way is made safe, and a resume goes on. */
  readonly signal?: AbortSignal | undefined;
}

/** What the job itself decides, and is not to be given for each. */
type OwnNames = "transferId" | "resume" | "checkpoint" | "deadLetters" | "onProgress" | "signal";

/** Options of a transfer of many collections. */
export type DatabaseTransferOptions = DatabaseOptions<Omit<ManagedTransferOptions, OwnNames>>;
/** Options of a mirror of many collections. */
export type DatabaseMirrorOptions = DatabaseOptions<Omit<ManagedMirrorOptions, OwnNames>>;
/** Options of a follow of many collections; `verify` has no meaning for it. */
export type DatabaseFollowOptions = DatabaseOptions<Omit<ManagedFollowOptions, OwnNames>>;

/** One collection of a job: what it is called, and where it goes. */
export interface PlannedCollection {
  /** With its namespace where it needs one. */
  readonly name: string;
  readonly targetName: string;
  readonly source: EndpointInfo;
  readonly target: EndpointInfo;
  /** About how many records it holds. */
  readonly records?: number | undefined;
  /** Names of the collections that go first, since it refers to them. */
  readonly after: readonly string[];
  /** The checks of its foreign keys are put off in the target, since they go in a circle. */
  readonly unchecked: boolean;
}

/** What a job is about to do. */
export interface DatabasePlan {
  /** In an order that foreign keys allow. */
  readonly collections: readonly PlannedCollection[];
  /** Those that no endpoint leads to, and why. */
  readonly troubles: readonly { readonly name: string; readonly reason: string }[];
  /** How many are worked on at a time, where nobody says it. */
  readonly jobs: number;
  readonly notes: readonly string[];
}

/** How one collection ended, or stands. `finished` was done by an earlier run. */
export type CollectionStatus = "completed" | "partial" | "different" | "failed" | "interrupted" | "finished";

/** What became of one collection. */
export interface CollectionResult {
  readonly name: string;
  readonly targetName: string;
  /** Of its checkpoint and dead letters. */
  readonly transferId: string;
  readonly status: CollectionStatus;
  readonly counts: TransferCounts;
  readonly durationMs: number;
  /** Of this run, with what earlier ones did; absent where it failed before it began. */
  readonly result?: TransferResult | MirrorResult | undefined;
  readonly verified?: VerifyResult | undefined;
  readonly error?: P2PError | undefined;
}

/** What a job did. The status is that of the worst collection. */
export interface DatabaseResult {
  readonly transferId: string;
  readonly status: "completed" | "partial" | "different" | "failed" | "interrupted";
  /** In the order in which they were planned. */
  readonly collections: readonly CollectionResult[];
  /** Of all of them together, those of earlier runs included. */
  readonly counts: TransferCounts;
  readonly durationMs: number;
  /** What the user should know, in sentences: views that were left out, collections that came meanwhile. */
  readonly notes: readonly string[];
}

/** How far a job is. */
export interface DatabaseProgress {
  readonly transferId: string;
  /** Done with, of all collections together. */
  readonly records: number;
  /** About how many there are, where the source tells. */
  readonly total?: number;
  readonly failures: number;
  /** Records a second over the last seconds. */
  readonly rate: number;
  readonly etaMs?: number;
  readonly elapsedMs: number;
  readonly collections: number;
  readonly collectionsDone: number;
}

/** What a job tells while it works. A listener that throws ends nothing. */
export interface DatabaseEvents {
  /** What is going to be done, before anything is written. */
  planned: [event: { readonly plan: DatabasePlan; readonly resumed: boolean }];
  /** Work on a collection begins. */
  started: [event: { readonly collection: PlannedCollection; readonly transferId: string }];
  /** How far the job is, and how far the collection that made progress. */
  progress: [
    event: {
      readonly progress: DatabaseProgress;
      readonly collection: PlannedCollection;
      readonly records: number;
      readonly failures: number;
    },
  ];
  /** A collection is followed from now on. */
  following: [event: { readonly collection: PlannedCollection; readonly follow: FollowHandle }];
  /** Work on a collection has ended, well or not. */
  ended: [event: { readonly collection: PlannedCollection; readonly result: CollectionResult }];
}

/**
 * A job over the collections of a database.
 *
 * @example
 * ```ts
 * const job = manager.transferDatabase("sqlite:./app.db", "postgresql://localhost/app", { exclude: ["tmp_*"] });
 * job.events.on("ended", ({ result }) => console.log(result.name, result.status));
 * const { status, collections } = await job.done;
 * ```
 */
export interface DatabaseJob extends AsyncDisposable {
  readonly events: EventEmitter<DatabaseEvents>;
  /** How far it is now. */
  progress(): DatabaseProgress;
  /** Stops it: what is under way is made safe. A second call waits for the same end. */
  stop(): Promise<DatabaseResult>;
  /**
   * The end. One collection that fails does not end the others, and is told in the result; the promise rejects where the job cannot begin: P2PError
   * `INVALID_CONFIG`, `INVALID_ENDPOINT`, `UNSUPPORTED_OPERATION`, `FOREIGN_KEY_CIRCLE`, `SOURCE_NOT_FOUND`, `CHECKPOINT_…`, or what opening throws.
   */
  readonly done: Promise<DatabaseResult>;
}
