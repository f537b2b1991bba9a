/** The state of a job in a file, replaced atomically: what became of its collections, for a run that goes on with it. */
import { hash, randomUUID } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { messageOf, P2PError } from "../../errors.ts";
import { parseJson } from "../../model/parse-json.ts";
import { invalidCheckpoint, lockedError } from "../../transfer/checkpoint/checkpoint.ts";
import { DEFAULT_STATE_FOLDER, fileNameOf } from "../../transfer/checkpoint/file-checkpoint.ts";
import type { TransferCounts } from "../../transfer/counts.ts";
import { acquireFileLock, type FileLock } from "../../transfer/durable/file-lock.ts";
import { syncFolder } from "../../transfer/durable/sync-folder.ts";

const VERSION = 1;

/** How often the file is written at most, in ms, but for the end. */
const SAVE_MS = 1000;

/** What is known of one collection. */
export interface SavedCollection {
  readonly targetName: string;
  readonly status: "waiting" | "completed" | "partial" | "different" | "failed";
  readonly counts?: TransferCounts;
  readonly durationMs?: number;
}

interface SavedJob {
  readonly version: number;
  readonly transferId: string;
  /** What the job is about: another is not resumed. */
  readonly about: string;
  readonly collections: Readonly<Record<string, SavedCollection>>;
}

/** The file of one job, which is its own from `open` to `close`. */
export class JobState {
  readonly folder: string;
  readonly transferId: string;
  readonly #about: string;
  readonly #file: string;
  readonly #collections = new Map<string, SavedCollection>();
  #lock: FileLock | undefined;
  #savedAt = Number.NEGATIVE_INFINITY;
  #saving: Promise<void> = Promise.resolve();

  /** @param about what the job is about, as text without secrets. */
  constructor(folder: string = DEFAULT_STATE_FOLDER, transferId: string, about: string) {
    this.folder = resolve(folder);
    this.transferId = transferId;
    this.#about = hash("sha256", about);
    this.#file = join(this.folder, `${fileNameOf(transferId)}.database.json`);
  }

  /**
   * Claims the job, and loads what earlier runs did where it is resumed.
   *
   * @returns whether there was an earlier run to go on with.
   * @throws P2PError `CHECKPOINT_LOCKED`, `CHECKPOINT_INVALID`, `CHECKPOINT_MISMATCH` or `CHECKPOINT_NOT_WRITABLE`.
   */
  async open(resume: boolean): Promise<boolean> {
    try {
      await mkdir(this.folder, { recursive: true, mode: 0o700 });
      this.#lock = await acquireFileLock(`${this.#file}.lock`, (holder) => lockedError(this.transferId, holder));
    } catch (error) {
      throw this.#fileError(error);
    }
    await this.#sweep().catch(() => {});
    if (!resume) return false;
    const saved = await this.#load();
    if (saved === undefined) return false;
    if (saved.about !== this.#about) {
      throw new P2PError(
        "CHECKPOINT_MISMATCH",
        `The job "${this.transferId}" that would be resumed is about other databases, collections or names; run it without resume, or with another transferId`,
      );
    }
    for (const [name, collection] of Object.entries(saved.collections)) this.#collections.set(name, collection);
    return true;
  }

  /** Removes what a killed run wrote and never renamed: it is of this job, whose lock is held. */
  async #sweep(): Promise<void> {
    const own = basename(this.#file);
    for (const name of await readdir(this.folder)) {
      const isLeft = name.startsWith(own) && /^\.[0-9a-f-]{36}\.tmp$/.test(name.slice(own.length));
      if (isLeft) await rm(join(this.folder, name), { force: true });
    }
  }

  async #load(): Promise<SavedJob | undefined> {
    let text: string;
    try {
      text = await readFile(this.#file, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw this.#fileError(error);
    }
    let saved: SavedJob;
    try {
      saved = parseJson(text) as unknown as SavedJob;
    } catch (cause) {
      throw invalidCheckpoint(this.transferId, "the file is cut off or not JSON", cause);
    }
    if (saved?.version !== VERSION || typeof saved.collections !== "object" || saved.collections === null) {
      throw invalidCheckpoint(this.transferId, "it is not the state of a job, or of another version");
    }
    return saved;
  }

  get(name: string): SavedCollection | undefined {
    return this.#collections.get(name);
  }

  get names(): readonly string[] {
    return [...this.#collections.keys()];
  }

  /** Notes how it stands with a collection; the file follows soon. */
  async note(name: string, collection: SavedCollection): Promise<void> {
    this.#collections.set(name, collection);
    if (performance.now() - this.#savedAt >= SAVE_MS) await this.save();
  }

  /** Writes what is known. */
  save(): Promise<void> {
    this.#savedAt = performance.now();
    const saved: SavedJob = {
      ...{ version: VERSION, transferId: this.transferId, about: this.#about },
      collections: Object.fromEntries(this.#collections),
    };
    const text = `${JSON.stringify(saved)}\n`;
    this.#saving = this.#saving.catch(() => {}).then(() => this.#write(text));
    return this.#saving;
  }

  async #write(text: string): Promise<void> {
    const next = `${this.#file}.${randomUUID()}.tmp`;
    try {
      const handle = await open(next, "wx", 0o600);
      try {
        await handle.writeFile(text);
        await handle.sync();
      } finally {
        await handle.close();
      }
      // A run that hung, and was taken for dead, must not replace what a later one has saved.
      await this.#lock?.assertHeld();
      await rename(next, this.#file);
      await syncFolder(this.folder);
    } catch (error) {
      await rm(next, { force: true }).catch(() => {});
      throw this.#fileError(error);
    }
  }

  async close(): Promise<void> {
    await this.#lock?.release();
    this.#lock = undefined;
  }

  #fileError(error: unknown): P2PError {
    if (error instanceof P2PError) return error;
    const { code } = error as NodeJS.ErrnoException;
    const isReadOnly = code === "EROFS" || code === "EACCES" || code === "EPERM";
    return new P2PError(
      isReadOnly ? "CHECKPOINT_NOT_WRITABLE" : code === "ENOSPC" ? "STORAGE_FULL" : "CHECKPOINT_INVALID",
      `The state of the job "${this.transferId}" could not be kept in ${this.folder}: ${messageOf(error)}. Give another checkpoint folder, one that can be written`,
      { cause: error },
    );
  }
}
