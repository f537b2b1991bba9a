/** A checkpoint store for small transfers: a checkpoint reaches its file only when its transfer takes long or ends early. */
import type { Checkpoint, CheckpointStore } from "./checkpoint.ts";
import type { FileCheckpointStore } from "./file-checkpoint.ts";

/** What a crash may cost of a transfer that had just begun, in ms. */
const LATE_MS = 1000;

/**
 * Keeps the checkpoint of one transfer of a job, whose lock covers it. That the transfer is complete is noted by the job itself, so that a
 * short one makes no file.
 */
export class LateCheckpointStore implements CheckpointStore {
  readonly #files: FileCheckpointStore;
  readonly #begunAt = performance.now();
  #kept: Checkpoint | undefined;
  #isWritten = false;

  constructor(files: FileCheckpointStore) {
    this.#files = files;
  }

  async load(transferId: string): Promise<Checkpoint | undefined> {
    return this.#kept ?? this.#files.load(transferId);
  }

  async save(checkpoint: Checkpoint): Promise<void> {
    this.#kept = checkpoint;
    if (this.#isWritten || performance.now() - this.#begunAt >= LATE_MS) await this.#write();
  }

  /** A transfer flushes now and then, when it is complete, and when it ends early. */
  async flush(transferId: string): Promise<void> {
    if (this.#kept?.status === "completed" && !this.#isWritten) return;
    await this.#write();
    await this.#files.flush(transferId);
  }

  async #write(): Promise<void> {
    if (this.#kept === undefined) return;
    await this.#files.save(this.#kept);
    this.#isWritten = true;
  }

  async remove(transferId: string): Promise<void> {
    this.#kept = undefined;
    await this.#files.remove(transferId);
  }

  /** The job holds the lock. */
  async lock(): Promise<() => Promise<void>> {
    return async () => {};
  }
}
