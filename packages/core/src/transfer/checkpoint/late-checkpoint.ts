/** A checkpoint store for small transfers: checkpoints reach their files only when the transfer takes long or ends. */
import type { Checkpoint, CheckpointStore } from "./checkpoint.ts";
import type { FileCheckpointStore } from "./file-checkpoint.ts";

/** What a crash may cost of a transfer that had just begun, in ms. */
const LATE_MS = 1000;

/**
 * Keeps the checkpoints of one transfer of a job, whose lock covers them: its own, those of its parts, and its watermark. They reach
 * the disk together, since they are about each other. One that is complete soon does not wait for the disk: it is made anew at little cost.
 */
export class LateCheckpointStore implements CheckpointStore {
  readonly #files: FileCheckpointStore;
  readonly #begunAt = performance.now();
  readonly #kept = new Map<string, Checkpoint>();
  /** There once checkpoints go straight to their files. */
  #opened: Promise<void> | undefined;

  constructor(files: FileCheckpointStore) {
    this.#files = files;
  }

  async load(transferId: string): Promise<Checkpoint | undefined> {
    return this.#kept.get(transferId) ?? this.#files.load(transferId);
  }

  async save(checkpoint: Checkpoint): Promise<void> {
    this.#kept.set(checkpoint.transferId, checkpoint);
    if (this.#opened === undefined && !this.#isLate) return;
    await this.#open();
    await this.#files.save(checkpoint);
  }

  /** A transfer flushes now and then, when it is complete, and when it ends early. */
  async flush(transferId: string): Promise<void> {
    await this.#open();
    const kept = this.#kept.get(transferId);
    if (kept === undefined || (kept.status === "completed" && !this.#isLate)) return;
    await this.#files.flush(transferId);
  }

  get #isLate(): boolean {
    return performance.now() - this.#begunAt >= LATE_MS;
  }

  /** Writes what is kept. Whoever saves meanwhile waits, so that no older checkpoint comes after a newer one. */
  #open(): Promise<void> {
    this.#opened ??= this.#writeKept().catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }

  async #writeKept(): Promise<void> {
    for (const checkpoint of this.#kept.values()) await this.#files.save(checkpoint);
  }

  async remove(transferId: string): Promise<void> {
    this.#kept.delete(transferId);
    await this.#files.remove(transferId);
  }

  /** The job holds the lock. */
  async lock(): Promise<() => Promise<void>> {
    return async () => {};
  }
}
