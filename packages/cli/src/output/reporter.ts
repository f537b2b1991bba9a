import type { FollowHandle, MirrorOptions, TransferProgress } from "@omni/p2p-core";
import type { DatabaseProgress } from "@omni/p2p-core/engine";

/** What a mirror does, and how far it is. */
export type MirrorProgress = Parameters<NonNullable<MirrorOptions["onProgress"]>>[0];

/** What a follow does, and what it has done so far. */
export interface FollowProgress extends Readonly<FollowCounts> {
  readonly transferId: string;
  readonly name: string;
  readonly status: FollowHandle["status"];
  /** The code of the error that it is paused by. */
  readonly pausedBy?: string;
  readonly lagMs?: number;
  readonly elapsedMs: number;
}

/** How far a job over a database is, with the collections that are under way. */
export interface DatabaseShown extends DatabaseProgress {
  readonly underWay: readonly { readonly name: string; readonly records: number; readonly total: number | undefined }[];
}

type FollowCounts = FollowHandle["counts"];

/** An end of a transfer, as it is called on the screen. */
interface ShownEnd {
  readonly shown: string;
}

/** What there is to say of a transfer that begins. */
export interface StartedJob {
  readonly name: string;
  readonly transferId: string;
  readonly source: ShownEnd;
  readonly target: ShownEnd;
}

/** Tells how a transfer or a comparison is getting on. */
export interface Reporter {
  /** How often it wants to hear, in ms. */
  readonly interval: number;
  start(job: StartedJob, resumed: boolean): void;
  progress(progress: TransferProgress): void;
  /**
   * @param count records read so far for a comparison, of both sides.
   * @param total records that both hold, where that is known.
   * @param again records that a live comparison looks at again, once both sides are read.
   */
  verifying(count: number, total: number | undefined, again?: number): void;
  mirroring(progress: MirrorProgress): void;
  /** Follows that run side by side are told of each by itself. */
  following(progress: FollowProgress): void;
  /** A follow has ended. */
  followed(transferId: string): void;
  database(progress: DatabaseShown): void;
  /** Ends a live line. May be called twice. */
  stop(): void;
}
