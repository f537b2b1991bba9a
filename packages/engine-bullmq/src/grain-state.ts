import {
  CHECKPOINT_VERSION,
  type Checkpoint,
  type CheckpointStore,
  type DeadLetter,
  type DeadLetterSink,
  type FailureBudget,
  type JsonValue,
  letterToJson,
  NO_COUNTS,
  P2PError,
  type TransferCounts,
  type TransferIdentity,
} from "@omni/p2p-core";
import type { Redis } from "ioredis";
import { fenced, LetGoError } from "./errors.ts";
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
  readonly #saved: { readonly cursor: string; readonly counts: string };
  readonly #budget: FailureBudget;

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

  async load(transferId: string): Promise<Checkpoint | undefined> {
    if (this.#saved.cursor === "") return undefined;
    const [cursor, deadLetterPosition] = JSON.parse(this.#saved.cursor) as [JsonValue, JsonValue];
    return {
      version: CHECKPOINT_VERSION,
      transferId,
      status: "running",
      identity: this.#identity,
      cursor,
      deadLetterPosition,
      ...parseCounts(this.#saved.counts),
      updatedAt: new Date().toISOString(),
    };
  }

  async save({ cursor, deadLetterPosition, recordsRead, counts, status }: Checkpoint): Promise<void> {
    const { redis, keys, transfer, part, run, grain } = this.#claim;
    const { totalRecords, successCount, failureCount, skippedCount, retryCount } = counts;
    const [state, total, failed] = await SAVE.run(
      redis,
      [keys.transfer(transfer), keys.grains(transfer), keys.parts(transfer)],
      [
        ...[part, run, grain, JSON.stringify([cursor, deadLetterPosition]), status === "completed" ? 1 : 0],
        ...[recordsRead, totalRecords, successCount, failureCount, skippedCount, retryCount],
      ],
    );
    if (state === "fenced") throw fenced(transfer);
    this.#budget.assertBorne({ ...NO_COUNTS, totalRecords: Number(total), failureCount: Number(failed) });
    // What is at its end need not be told to stop.
    if (status !== "completed") assertRunning(transfer, state);
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
  #position = 0;

  constructor(claim: GrainClaim) {
    this.#claim = claim;
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
      letters.map((letter) => JSON.stringify(letterToJson({ ...letter, transferId: transfer }))),
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
