/** Checkpoints: how far a transfer is, and where that is kept. */
import { P2PError } from "../../errors.ts";
import type { JsonValue } from "../../model/json-value.ts";
import type { TransferCounts } from "../counts.ts";

/** The version of {@link Checkpoint} that this code writes and reads. */
export const CHECKPOINT_VERSION = 1;

/** What a transfer is about: a checkpoint serves only a transfer that is about the same. */
export interface TransferIdentity {
  readonly source: string;
  readonly target: string;
  /** The query as JSON text. */
  readonly query: string;
  readonly mode: string;
  /** `none` without a transform; else the `transformVersion` given, or `unversioned`. */
  readonly transform: string;
}

/** What a checkpoint knows of one end beyond its name, as far as its store can tell. */
export interface StoreMark {
  /** The incarnation of the store; see `StoreIdentity`. */
  readonly incarnation?: string;
  /** Some of the records that were read from it or written to it, the oldest first. */
  readonly witnesses?: readonly Witness[];
}

/** A record that was there: where a store cannot tell its incarnation, its records are asked. */
export interface Witness {
  /** As tagged JSON. */
  readonly id: JsonValue;
  /** Of a record of the source: a hash of its fields as they were read. */
  readonly digest?: string;
}

/** What a transfer of what is new keeps between runs, in a checkpoint of its own beside that of the run. */
export interface SinceMark {
  readonly field: string;
  /** The watermark, as tagged JSON; `null` before the first run has finished, and where no record has a value. */
  readonly highest: JsonValue;
  /** Of the run that is under way or was the last: where it began, `null` for all records, and what the watermark becomes. */
  readonly from: JsonValue;
  readonly next: JsonValue;
}

/** What a mirror keeps beyond what a transfer does. */
export interface MirrorMark {
  /** What becomes of records that only the target has. */
  readonly deletes: "remove" | "keep";
  /** Ids, as text, of which a delete may have been sent: whatever of them is in the source is written again. */
  readonly intended: readonly string[];
}

/** What a follow keeps beyond what a transfer does. */
export interface FollowMark {
  /** What it was about to do: everything is copied or mirrored first. */
  readonly phase: "copying" | "mirroring" | "live";
  /** Where the feed is read on. `null` where there is no feed. */
  readonly position: JsonValue;
  /** It ended when every write had been answered. */
  readonly clean: boolean;
  /** By which a lease in the target passes from one run to the next. */
  readonly owner?: string;
}

/** How far a transfer has come: everything up to `cursor` is acknowledged by the target or in the dead letters. */
export interface Checkpoint {
  readonly version: number;
  readonly transferId: string;
  readonly status: "running" | "completed";
  readonly identity: TransferIdentity;
  /** Of the last contiguous acknowledged batch; `null` before the first. */
  readonly cursor: JsonValue;
  /** Records read up to `cursor`. */
  readonly recordsRead: number;
  readonly counts: TransferCounts;
  /** What tells the two stores from others of their names. Absent where neither can tell. */
  readonly stores?: { readonly source: StoreMark; readonly target: StoreMark };
  /** Where the dead-letter sink was then; what it holds beyond is written again on resuming. */
  readonly deadLetterPosition: JsonValue;
  /** Where a target that is written from its beginning to its end stood then; see `SequentialTarget`. */
  readonly targetPosition?: JsonValue;
  /** Of a transfer in parts: their queries as JSON text. Each part has a checkpoint of its own then, and `cursor` is `null`. */
  readonly parts?: readonly string[];
  /** Of a mirror: what it may be in the middle of. */
  readonly mirror?: MirrorMark;
  /** Of a follow: where it stands. */
  readonly follow?: FollowMark;
  /** Of a transfer of what is new, beside the checkpoint of its run: how far those before have come. */
  readonly since?: SinceMark;
  /** ISO 8601. For people: nothing is decided by it, since clocks jump. */
  readonly updatedAt: string;
}

/** Keeps checkpoints between runs. */
export interface CheckpointStore {
  /**
   * The checkpoint of a transfer, or `undefined` when there is none.
   *
   * @throws P2PError `CHECKPOINT_INVALID` when there is one that cannot be used.
   */
  load(transferId: string): Promise<Checkpoint | undefined>;
  /** Replaces the checkpoint as a whole: whoever loads meanwhile gets the old one or the new one. */
  save(checkpoint: Checkpoint): Promise<void>;
  /** Makes sure that what was saved survives a loss of power. */
  flush?(transferId: string): Promise<void>;
  remove(transferId: string): Promise<void>;
  /**
   * Claims the transfer for this run, until the function it returns is called or the process ends.
   *
   * @throws P2PError `CHECKPOINT_LOCKED` when another run has it.
   */
  lock(transferId: string): Promise<() => Promise<void>>;
}

/** Keeps checkpoints in this process, for instance in tests. */
export class MemoryCheckpointStore implements CheckpointStore {
  readonly #checkpoints = new Map<string, Checkpoint>();
  readonly #locked = new Map<string, symbol>();

  async load(transferId: string): Promise<Checkpoint | undefined> {
    return this.#checkpoints.get(transferId);
  }

  async save(checkpoint: Checkpoint): Promise<void> {
    this.#checkpoints.set(checkpoint.transferId, structuredClone(checkpoint));
  }

  async remove(transferId: string): Promise<void> {
    this.#checkpoints.delete(transferId);
  }

  async lock(transferId: string): Promise<() => Promise<void>> {
    if (this.#locked.has(transferId)) throw lockedError(transferId, "in this process");
    const key = Symbol();
    this.#locked.set(transferId, key);
    return async () => {
      if (this.#locked.get(transferId) === key) this.#locked.delete(transferId);
    };
  }
}

export function lockedError(transferId: string, where: string): P2PError {
  return new P2PError(
    "CHECKPOINT_LOCKED",
    `The transfer "${transferId}" is being run ${where}; wait for it to end, or give this one another transferId`,
  );
}

/**
 * Makes sure that a loaded value is a checkpoint that this transfer can go on from.
 *
 * @throws P2PError `CHECKPOINT_INVALID`, or `CHECKPOINT_MISMATCH` naming what changed.
 */
export function assertResumable(checkpoint: Checkpoint, transferId: string, identity: TransferIdentity): void {
  const invalid = checkpointTrouble(checkpoint);
  if (invalid) throw invalidCheckpoint(transferId, invalid);
  if (checkpoint.transferId !== transferId)
    throw invalidCheckpoint(transferId, `it belongs to the transfer "${checkpoint.transferId}"`);
  const changed = changedParts(checkpoint, identity);
  if (changed.length === 0) return;
  const what = changed.map((key) => `${key} (was ${checkpoint.identity[key]}, is ${identity[key]})`).join("; ");
  throw new P2PError(
    "CHECKPOINT_MISMATCH",
    `The transfer "${transferId}" cannot be resumed, since this changed: ${what}. Call it as before, or start it anew without resume`,
  );
}

/** In what a checkpoint is about something else. */
export function changedParts(checkpoint: Checkpoint, identity: TransferIdentity): (keyof TransferIdentity)[] {
  return (Object.keys(identity) as (keyof TransferIdentity)[]).filter(
    (key) => identity[key] !== checkpoint.identity[key],
  );
}

/** Why a thing is not a usable checkpoint, or `undefined` when it is. */
export function checkpointTrouble(value: unknown): string | undefined {
  const checkpoint = value as Partial<Checkpoint> | null;
  if (typeof checkpoint !== "object" || checkpoint === null) return "it is not a checkpoint";
  if (checkpoint.version !== CHECKPOINT_VERSION) {
    return typeof checkpoint.version === "number"
      ? `it has version ${checkpoint.version}, and this release reads version ${CHECKPOINT_VERSION}`
      : "it is not a checkpoint of this library";
  }
  const { counts, identity, recordsRead, status } = checkpoint;
  const whole =
    typeof checkpoint.transferId === "string" &&
    (status === "running" || status === "completed") &&
    typeof identity === "object" &&
    identity !== null &&
    Number.isSafeInteger(recordsRead) &&
    recordsRead! >= 0 &&
    (["totalRecords", "successCount", "failureCount", "skippedCount", "retryCount"] as const).every((key) =>
      Number.isSafeInteger(counts?.[key]),
    ) &&
    "cursor" in checkpoint &&
    (checkpoint.stores === undefined ||
      (isStoreMark(checkpoint.stores?.source) && isStoreMark(checkpoint.stores?.target))) &&
    (checkpoint.mirror === undefined || isMirrorMark(checkpoint.mirror)) &&
    (checkpoint.follow === undefined || isFollowMark(checkpoint.follow)) &&
    (checkpoint.parts === undefined || isListOfTexts(checkpoint.parts)) &&
    "deadLetterPosition" in checkpoint;
  return whole ? undefined : "parts of it are missing";
}

function isStoreMark(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { incarnation, witnesses } = value as Partial<StoreMark>;
  return (
    (incarnation === undefined || typeof incarnation === "string") &&
    (witnesses === undefined ||
      (Array.isArray(witnesses) &&
        witnesses.every((witness) => typeof witness === "object" && witness !== null && "id" in witness)))
  );
}

function isMirrorMark(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { deletes, intended } = value as Partial<MirrorMark>;
  return (
    (deletes === "remove" || deletes === "keep") &&
    Array.isArray(intended) &&
    intended.every((id) => typeof id === "string")
  );
}

function isFollowMark(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { phase, clean, owner } = value as Partial<FollowMark>;
  return (
    ["copying", "mirroring", "live"].includes(phase as string) &&
    typeof clean === "boolean" &&
    (owner === undefined || typeof owner === "string") &&
    "position" in value
  );
}

function isListOfTexts(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "string");
}

export function invalidCheckpoint(transferId: string, why: string, cause?: unknown): P2PError {
  return new P2PError(
    "CHECKPOINT_INVALID",
    `The checkpoint of the transfer "${transferId}" cannot be used: ${why}. Start the transfer anew without resume, which replaces it`,
    { cause },
  );
}
