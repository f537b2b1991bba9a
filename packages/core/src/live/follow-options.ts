/** Following by change data capture: what a follow can be told, and the handle by which it is watched and ended. */
import type { EventEmitter } from "node:events";
import { type FailureTolerance, MAX_TIMER_MS, parseTolerance } from "../config.ts";
import { P2PError } from "../errors.ts";
import type { JsonValue } from "../model/json-value.ts";
import type { MutableRecord } from "../model/record.ts";
import type { P2PQuery } from "../storage/query.ts";
import type { TransferOptions } from "../transfer/options.ts";
import type { MirrorResult } from "./options.ts";

/**
 * What a follow does at the moment:
 * - `copying`: everything is copied for the first time; changes are collected meanwhile;
 * - `live`: it reads the feed and applies what changes, or waits for the next interval;
 * - `mirroring`: it makes up for changes that nobody can tell any more, or does so every so often;
 * - `paused`: it would delete more than it may, and waits for `resume()`; or an end has been away for longer than `reconnectTimeout`,
 *   and it goes on by itself once that is back;
 * - `stopped`: it has ended.
 */
export type FollowStatus = "copying" | "live" | "mirroring" | "paused" | "stopped";

/** What a follow alone can be told. */
interface OwnFollowOptions {
  /** What becomes of records that leave the source, or its query: `"remove"` takes them out, `"keep"` leaves them. Default `"remove"`. */
  readonly deletes?: "remove" | "keep" | undefined;
  /**
   * Records that may be taken out of the target within `deletesWindow`: a number, a share of the target such as `"5%"`, `"none"` or `"all"`.
   * Before more are deleted the follow pauses with `TOO_MANY_DELETES`. Default: 10 % of the target, but never fewer than 100.
   */
  readonly maxDeletes?: FailureTolerance | undefined;
  /** For how long deletes count against `maxDeletes`, in ms. Default 60 000. */
  readonly deletesWindow?: number | undefined;
  /** Mirror every so many ms beside following, which finds what writers of the target's own have changed. Default: never. */
  readonly reconcileEvery?: number | undefined;
  /** Mirror every so many ms in place of a feed, for sources that have none. Default: by the feed. */
  readonly every?: number | undefined;
  /** Let mirrors take out all of the target's records where the source holds none. Default `false`. */
  readonly allowEmptySource?: boolean | undefined;
  /** Which records of the target are those of the source's query; see the option of a mirror. */
  readonly targetQuery?: P2PQuery | undefined;
  /**
   * The longest time in which a write that got no answer may still reach the target, in ms: what it was about is
   * reconciled once more after it, and so is everything since the checkpoint after a start that was not clean. Default 30 000.
   */
  readonly landsWithin?: number | undefined;
  /**
   * Where a second follow of this `transferId` is refused: by a lease in the target, which tells also of other hosts, or by the lock of the
   * checkpoints alone (`"state"`). Default `"auto"`: in the target where that can hold one; the event `lease` and the handle tell.
   */
  readonly lease?: "auto" | "target" | "state" | undefined;
  /**
   * Go on from the checkpoint of `transferId` where there is one. `false` begins anew, with a copy (or a mirror, where the target holds
   * records). Default `true`.
   */
  readonly resume?: boolean | undefined;
}

/**
 * Options of a follow: those of a transfer, and its own. `mode`, `partitions`, `transferTimeout` and `onProgress` have no meaning here and are
 * refused. `transferId` is the follower's id (`[A-Za-z0-9._-]`), under which the store keeps what it must; default: a hash of the two
 * ends and the query, so that the same call goes on. `checkpoint` is always on; default: the folder `.omni-p2p`.
 */
export interface FollowOptions<In extends object = MutableRecord>
  extends Omit<
      TransferOptions<In>,
      "mode" | "partitions" | "onProgress" | "progressInterval" | "resume" | "transferTimeout" | "transfer_timeout"
    >,
    OwnFollowOptions {}

/** What a follow has done since it was begun in this process. */
export interface FollowCounts {
  /** Ids that the feed told, each as often as it came. */
  readonly changes: number;
  /** Records written, those of the copy and of mirrors included. */
  readonly written: number;
  readonly deleted: number;
  /** Looked up, and nothing was to be done: gone already, not wanted, or kept as told. */
  readonly skipped: number;
  readonly failures: number;
  /** Mirrors that made up for lost changes, or ran every so often. */
  readonly mirrors: number;
  /** Rounds in which changes were applied. */
  readonly batches: number;
}

/** The events of a follow. A listener that throws ends nothing. */
export interface FollowEvents {
  status: [event: { readonly from: FollowStatus; readonly to: FollowStatus }];
  /** Everything that the feed had told was applied, after there was something. */
  caughtUp: [event: { readonly lagMs: number | undefined }];
  /** A round of changes was applied. */
  change: [event: { readonly written: number; readonly deleted: number; readonly lagMs: number | undefined }];
  /** Changes can no longer be told, or a store was replaced: a mirror makes up for them, and nothing need be done. */
  lost: [event: { readonly error: P2PError }];
  mirrored: [event: { readonly result: MirrorResult }];
  /** Where its lease is: in the target, or (`reason` tells why, where that was not asked for) in the lock of the checkpoints alone. */
  lease: [event: FollowLease];
  /** It waits, for `resume()` or for an end to come back: the error tells why. */
  paused: [event: { readonly error: P2PError }];
  /** An end could not be reached or was busy; it is tried again after the wait. */
  retry: [event: { readonly error: P2PError; readonly delayMs: number }];
  stopped: [event: { readonly error: P2PError | undefined }];
}

/** Where the lease of a follow is. */
export interface FollowLease {
  readonly place: "target" | "state";
  readonly reason: string | undefined;
}

/** What a follow did, told at its end. */
export interface FollowResult {
  readonly transferId: string;
  readonly counts: FollowCounts;
  readonly durationMs: number;
  /** Where the next run goes on; `null` where no position was reached. */
  readonly position: JsonValue;
}

/**
 * A follow under way.
 *
 * @example
 * ```ts
 * const follow = connection.follow({ type: "knowledge" }, { transferId: "search" });
 * follow.events.on("paused", ({ error }) => console.warn(error.message));
 * process.once("SIGINT", () => follow.stop());
 * await follow.done;
 * ```
 */
export interface FollowHandle extends AsyncDisposable {
  readonly transferId: string;
  readonly status: FollowStatus;
  /** From the commit in the source to the target's acknowledgement, of the last change that was applied, in ms; `undefined` where the feed does not tell. */
  readonly lagMs: number | undefined;
  readonly counts: FollowCounts;
  /** The saved position: everything before it is applied. */
  readonly position: JsonValue;
  /** Where its lease is; `undefined` before it has one. */
  readonly lease: FollowLease | undefined;
  /** Why it is paused, or what ended it. */
  readonly error: P2PError | undefined;
  readonly events: EventEmitter<FollowEvents>;
  /**
   * Lets a paused follow go on: what it was about to delete then may be deleted; an end that is away is asked at once. Without effect in
   * any other state.
   */
  resume(): void;
  /** Ends it once what is under way is acknowledged, and saves the position. A second call waits for the same end. */
  stop(): Promise<FollowResult>;
  /** The end: by `stop()` or the signal with the result, by an error that nothing can be done about with that. */
  readonly done: Promise<FollowResult>;
}

/** A follow's own options, complete, and what is left for a transfer. */
export interface SplitFollow {
  readonly own: OwnFollowOptions & { readonly deletesWindow: number; readonly landsWithin: number };
  readonly rest: TransferOptions;
}

/** @throws P2PError `INVALID_CONFIG`, naming the option. */
export function splitFollow(options: FollowOptions): SplitFollow {
  const { deletes, maxDeletes, reconcileEvery, every, allowEmptySource, targetQuery, resume, ...others } = options;
  const { deletesWindow = 60_000, landsWithin = 30_000, lease, ...rest } = others;
  for (const name of ["mode", "partitions", "onProgress", "progressInterval", "transferTimeout", "since"] as const) {
    if ((rest as TransferOptions)[name] !== undefined) {
      throw invalid(`"${name}" has no meaning for a follow; leave it out`);
    }
  }
  for (const [name, value] of Object.entries({ allowEmptySource, resume })) {
    if (value !== undefined && typeof value !== "boolean") throw invalid(`"${name}" must be true or false`);
  }
  for (const [name, value] of Object.entries({ deletesWindow, landsWithin, reconcileEvery, every })) {
    const least = name === "landsWithin" ? 0 : 1;
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= least && value <= MAX_TIMER_MS)) {
      throw invalid(`"${name}" must be a whole number of ms from ${least} to ${MAX_TIMER_MS}`);
    }
  }
  if (lease !== undefined && lease !== "auto" && lease !== "target" && lease !== "state") {
    throw invalid('"lease" must be "auto", "target" or "state"');
  }
  if (deletes !== undefined && deletes !== "remove" && deletes !== "keep") {
    throw invalid('"deletes" must be "remove" or "keep"');
  }
  if (maxDeletes !== undefined) parseTolerance(maxDeletes, "maxDeletes");
  const { transferId } = rest;
  if (transferId !== undefined && !(typeof transferId === "string" && /^[A-Za-z0-9._-]{1,200}$/.test(transferId))) {
    throw invalid('"transferId" of a follow must be 1 to 200 of A-Z, a-z, 0-9, ".", "_" and "-"');
  }
  const own = { deletes, maxDeletes, reconcileEvery, every, allowEmptySource, targetQuery, lease, resume };
  return { own: { ...own, deletesWindow, landsWithin }, rest };
}

function invalid(what: string): P2PError {
  return new P2PError("INVALID_CONFIG", `Invalid configuration: ${what}`);
}
