/** The result of a transfer, and the error that carries one. */
import { P2PError, type P2PErrorCode, type P2PErrorOptions } from "../errors.ts";
import type { Checkpoint } from "./checkpoint/checkpoint.ts";
import type { IdCollisions } from "./collisions.ts";
import type { TransferCounts } from "./counts.ts";

/** One record that failed, as results and events tell it. */
export interface TransferFailure {
  /** The record's id as text; empty when it has none. */
  readonly id: string;
  readonly phase: "read" | "transform" | "write";
  readonly code: P2PErrorCode;
  readonly reason: string;
  /** How often it was sent; 0 when it never was. */
  readonly attempts: number;
}

/** What a transfer did. */
export interface TransferResult extends TransferCounts {
  readonly transferId: string;
  /** Of this run alone, also where it resumes another: counts add up, and time in which nothing ran does not. */
  readonly durationMs: number;
  /** Size of what was written: bytes as the target counts them, else as the transfer estimates the records. */
  readonly bytes: number;
  /** The first 100 failures; all of them are in the dead letters. */
  readonly errors: readonly TransferFailure[];
  /** Where the dead letters are, if there are any. */
  readonly deadLetters?: string;
  /** How far it came. Counts include those of the runs that this one resumed. */
  readonly checkpoint: Checkpoint;
  /** The part of the counts that the earlier runs did; absent when there were none. */
  readonly resumed?: TransferCounts;
  /** In how many parts it ran, where `partitions` were asked for. */
  readonly partitions?: number;
  /** Of a mirror, the records that it took out of the target. */
  readonly deletedCount?: number;
  /** Records that took the place of others of the same transfer; absent when none did, as far as it was looked. */
  readonly collisions?: IdCollisions;
  /** What the user should know, in sentences: for instance why there were fewer parts than asked for. */
  readonly notes?: readonly string[];
}

/** Failures that a {@link TransferResult} lists. */
export const MAX_LISTED_ERRORS = 100;

const brand = Symbol.for("@omni/p2p-core/transfer-error");

/** The error that ends a transfer, with what had been done until then. */
export class P2PTransferError extends P2PError {
  readonly result: TransferResult;

  constructor(code: P2PErrorCode, message: string, result: TransferResult, options: P2PErrorOptions = {}) {
    super(code, message, options);
    this.name = "P2PTransferError";
    this.result = result;
    Object.defineProperty(this, brand, { value: true });
  }

  /** Also for errors of another copy of this package. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === "object" && value !== null && brand in value;
  }
}
