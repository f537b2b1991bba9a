/** The checkpoint of a grain in Redis, fenced by the run that holds it. */
import {
  type CheckpointStore,
  type DeadLetter,
  type DeadLetterSink,
  P2PError,
  type TransferCounts,
} from "@omni/p2p-core";
import {
  CHECKPOINT_VERSION,
  type Checkpoint,
  type FailureBudget,
  letterToJson,
  NO_COUNTS,
  type TransferIdentity,
} from "@omni/p2p-core/engine";
import { type JsonValue, parseJson } from "@omni/p2p-core/starter";
import type { Redis } from "ioredis";
import { fenced, LetGoError } from "../errors.ts";
import { FORGET, LETTERS, SAVE } from "./grain-scripts.ts";
import type { EngineKeys } from "./keys.ts";

/** One run of a partition, and the grain that it is at. */
export interface GrainClaim {
  readonly redis: Redis;
  readonly keys: EngineKeys;
  readonly transfer: string;
  readonly part: number;
  /** The number of the run: nobody else may have begun a later one. */
  readonly run: number;
  readonly grain: number;
}

/** The counts of a grain as they are kept: `records total success failure skipped retries`. */
export function parseCounts(text: string): { readonly recordsRead: number; readonly counts: TransferCounts } {
  if (text === "") return { recordsRead: 0, counts: NO_COUNTS };
  const [recordsRead = 0, totalRecords = 0, successCount = 0, failureCount = 0, skippedCount = 0, retryCount = 0] = text
    .split(" ")
    .map(Number);
  return { recordsRead, counts: { totalRecords, successCount, failureCount, skippedCount, retryCount } };
}

/**
 * The checkpoint of a grain in Redis. Only the cursor is kept beside the counts: what the transfer is about is known,
 * and workers may reach the same store under different names.
 */
export class GrainCheckpoints implements CheckpointStore {
  readonly #claim: GrainClaim;
  readonly #identity: TransferIdentity;
  #saved: { readonly cursor: string; readonly counts: string };
  readonly #budget: FailureBudget;
  /** Whether the end of a run is the end of the grain: not where it reads a single record. */
  whole = true;
  /** Whether there is a place where processes died, and it is not passed yet. */
  atPlace = false;

  constructor(
    claim: GrainClaim,
    identity: TransferIdentity,
    saved: { readonly cursor: string; readonly counts: string },
    budget: FailureBudget,
  ) {
    this.#claim = claim;
    this.#identity = identity;
    this.#saved = saved;
    this.#budget = budget;
  }

  /** Where it has come to, as text to be compared. */
  get position(): string {
    return `${this.#saved.cursor} ${this.#saved.counts}`;
  }

  async load(transferId: string): Promise<Checkpoint | undefined> {
    if (this.#saved.cursor === "") return undefined;
    const [cursor, deadLetterPosition, stores] = parseJson(this.#saved.cursor) as unknown as [
      JsonValue,
      JsonValue,
      Checkpoint["stores"] | undefined,
    ];
    return {
      version: CHECKPOINT_VERSION,
      transferId,
      status: "running",
      identity: this.#identity,
      cursor,
      deadLetterPosition,
      ...(stores && { stores }),
      ...parseCounts(this.#saved.counts),
      updatedAt: new Date().toISOString(),
    };
  }

  async save({ cursor, deadLetterPosition, stores, recordsRead, counts, status }: Checkpoint): Promise<void> {
    const { redis, keys, transfer, part, run, grain } = this.#claim;
    const { totalRecords, successCount, failureCount, skippedCount, retryCount } = counts;
    const position = JSON.stringify([cursor, deadLetterPosition, ...(stores ? [stores] : [])]);
    const numbers = [recordsRead, totalRecords, successCount, failureCount, skippedCount, retryCount];
    const completed = status === "completed" && this.whole;
    // Nothing was there to be read, and there is no place to go on from.
    if (!this.whole && recordsRead === 0) return;
    const [state, total, failed, place] = await SAVE.run(
      redis,
      [keys.transfer(transfer), keys.grains(transfer), keys.parts(transfer)],
      [part, run, grain, position, completed ? 1 : 0, ...numbers],
    );
    if (state === "fenced") throw fenced(transfer);
    this.#saved = { cursor: position, counts: numbers.join(" ") };
    this.atPlace = place !== "";
    this.#budget.assertBorne({ ...NO_COUNTS, totalRecords: Number(total), failureCount: Number(failed) });
    // What is at its end need not be told to stop.
    if (!completed) assertRunning(transfer, state);
  }

  async remove(): Promise<void> {
    if (this.#saved.counts === "") return;
    const { redis, keys, transfer, part, run, grain } = this.#claim;
    const held = await FORGET.run(
      redis,
      [keys.transfer(transfer), keys.grains(transfer), keys.parts(transfer)],
      [part, run, grain],
    );
    if (held === 0) throw fenced(transfer);
  }

  async lock(): Promise<() => Promise<void>> {
    return async () => {};
  }
}

/** @throws LetGoError when the transfer is in a state in which nothing is moved. */
export function assertRunning(transfer: string, state: string): void {
  if (state === "running") return;
  if (state === "fenced") throw fenced(transfer);
  throw state === "paused"
    ? new LetGoError("paused", `The transfer "${transfer}" is paused`)
    : new LetGoError("stopped", `The transfer "${transfer}" is ${state}`);
}

/** Keeps the dead letters of a grain in Redis. */
export class GrainLetters implements DeadLetterSink {
  readonly location: string;
  readonly #claim: GrainClaim;
  readonly #transformed: boolean;
  #position = 0;

  /** @param transformed whether the transfer has a transform, through which a record that was set aside must still go. */
  constructor(claim: GrainClaim, transformed: boolean) {
    this.#claim = claim;
    this.#transformed = transformed;
    this.location = `the dead letters of the distributed transfer "${claim.transfer}"`;
  }

  async open(position: JsonValue): Promise<void> {
    this.#position = typeof position === "number" ? position : 0;
    // Without letters there is nothing to cut, and most grains have none.
    if (this.#position > 0) await this.#write([]);
  }

  async write(letters: readonly DeadLetter[]): Promise<JsonValue> {
    const { transfer } = this.#claim;
    this.#position = await this.#write(
      letters.map((letter) => {
        const phase = letter.code === "POISON_RECORD" && !this.#transformed ? "write" : letter.phase;
        return JSON.stringify(letterToJson({ ...letter, phase, transferId: transfer }));
      }),
    );
    return this.#position;
  }

  async #write(lines: readonly string[]): Promise<number> {
    const { redis, keys, transfer, part, run, grain } = this.#claim;
    const length = await LETTERS.run(
      redis,
      [keys.parts(transfer), keys.letters(transfer, grain)],
      [part, run, this.#position, ...lines],
    ).catch((cause: Error) => {
      throw new P2PError(
        "DEAD_LETTER_FAILED",
        `Failed records could not be kept in the engine's Redis: ${cause.message}. Make room, or name an endpoint for dead letters`,
        { cause },
      );
    });
    if (length < 0) throw fenced(transfer);
    return length;
  }

  async close(): Promise<void> {}
}
