/** Change data capture: what a store tells of its changes, so that a target can follow it. */
import type { JsonValue } from "../model/json-value.ts";
import type { IdRef } from "./id-ref.ts";

/** Where to read on in a feed, and for whom. */
export interface ChangeReadOptions {
  /** Who follows, as in {@link ChangeFeed.now}. */
  readonly follower: string;
  /** The position of the last batch that need not be told again, or what {@link ChangeFeed.now} gave. */
  readonly after: JsonValue;
  /** After so many milliseconds without a change there comes an empty batch, so that the position moves on. */
  readonly maxWaitMs: number;
  readonly signal: AbortSignal;
}

/** Some ids whose records may have changed, in the order in which the store tells of them. */
export interface ChangeBatch {
  /**
   * Records that were written or deleted, each perhaps more than once; ids of records that the query does not want, or that are
   * no records of this endpoint any more, may be among them. Empty where nothing has changed.
   */
  readonly refs: readonly IdRef[];
  /** Points after this batch: plain JSON that survives the process, no secret. */
  readonly cursor: JsonValue;
  /** When the newest of these changes was committed, by the store's own clock, where the feed tells. It may jump, so nothing but lag is made of it. */
  readonly committedAt?: Date;
}

/**
 * A feed of changes: it names ids, and nobody takes a record from it. A change is named at least once, after it was committed and in
 * any number; order and repetition do not matter, leaving one out does.
 */
export interface ChangeFeed {
  /**
   * A position such that every change committed after this call has returned is behind it. Makes what the store needs to keep it for this
   * follower (a replication slot, a cursor in a journal) where it is not there yet.
   *
   * @param follower the id of the follow: `[A-Za-z0-9._-]`, at most 200 characters. Stores that keep something for
   * each follower make their own name of it.
   * @throws P2PError `CHANGES_UNAVAILABLE` with the very setting, right or command that makes the feed available.
   */
  now(follower: string, signal: AbortSignal): Promise<JsonValue>;
  /**
   * Batches after a position, without end. Ends by the signal's reason, or by an error alone.
   *
   * @throws P2PError
   * - `CHANGES_LOST`: changes after this position can no longer be told (expired, trimmed, overrun, a break of a feed that forgets, all records
   *   removed at one stroke without their ids): the remedy is a new position and a mirror;
   * - `CHANGES_UNAVAILABLE`: the feed was turned off;
   * - `SOURCE_NOT_FOUND` or `STORE_CHANGED`: the thing itself was dropped, renamed or replaced;
   * - a connection error, after which reading on from the same position is right.
   */
  read(options: ChangeReadOptions): AsyncIterable<ChangeBatch>;
  /**
   * Waits until look-ups see every change before a position: a feed may be ahead of them. Absent where they always do.
   */
  visible?(position: JsonValue, signal: AbortSignal): Promise<void>;
  /** Everything before this position is settled for this follower: the store may forget it. Optional. */
  acknowledge?(follower: string, position: JsonValue, signal: AbortSignal): Promise<void>;
  /** Lets go of whatever the store keeps for this follower; no error where it keeps nothing. Optional. */
  release?(follower: string, signal: AbortSignal): Promise<void>;
}

/** Something that a store keeps for one follower. */
export interface KeptForFollower {
  /** The store's own name of it: a slot, a row of a journal. */
  readonly name: string;
  /** The follower, where the store knows. */
  readonly follower?: string;
  /** Whether someone reads by it now, where the store knows. */
  readonly active?: boolean;
  /** Bytes that the store cannot free because of it, where it knows. */
  readonly heldBytes?: number;
  /** Changes that it has not been told of, where the store knows. */
  readonly heldChanges?: number;
  /** What is wrong with it, or about to be, with the way out. */
  readonly trouble?: string;
}

/** How it stands with the changes of an endpoint. */
export interface ChangeStatus {
  /** `on`: a follow can begin; `off`: `enable` turns it on; `unavailable`: a setting or right is lacking. */
  readonly state: "on" | "off" | "unavailable";
  /** In a sentence: what tells of the changes, or the very setting that is lacking. */
  readonly detail: string;
  readonly kept: readonly KeptForFollower[];
  /** What people should know before they rely on it, each a sentence. */
  readonly warnings: readonly string[];
}
