/** Checkpoints in files, replaced atomically. */
import { hash, randomUUID } from "node:crypto";
import { lstat, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { isP2PError, P2PError } from "../../errors.ts";
import { parseJson } from "../../model/parse-json.ts";
import { acquireFileLock, type FileLock } from "../durable/file-lock.ts";
import { syncFolder } from "../durable/sync-folder.ts";
import {
  type Checkpoint,
  type CheckpointStore,
  checkpointTrouble,
  invalidCheckpoint,
  lockedError,
} from "./checkpoint.ts";

/** Where checkpoints and dead letters go by default, below the working directory. */
export const DEFAULT_STATE_FOLDER = ".omni-p2p";

/**
 * Largest checkpoint, in bytes. It holds the query, the values that a sorted read stopped at and the ids of some records:
 * some kilobytes, and some megabytes where the query lists as many ids.
 */
const MAX_CHECKPOINT_BYTES = 64 * 1024 * 1024;

/** Names the files that this process writes before it renames them. */
const WRITER = randomUUID();

/** After this time a file that was never renamed has no writer any more, in ms: no clock is off by so much. */
const LEFT_MS = 24 * 3600 * 1000;

/**
 * Keeps each checkpoint in a file `<transferId>.checkpoint.json`, replaced by renaming, so that a crash leaves the old
 * one or the new one. Power loss may cost what was saved since the last `flush`, which a transfer calls every second.
 * Its owner alone may read what it makes. What killed runs of a transfer left half-written is removed with its lock.
 */
export class FileCheckpointStore implements CheckpointStore {
  readonly folder: string;
  /** Two saves at a time, of which one was given up, must not write into the same file. */
  #saves = 0;
  readonly #locks = new Map<string, FileLock>();

  /** @param folder Made when it is missing. Default `.omni-p2p` below the working directory. */
  constructor(folder: string = DEFAULT_STATE_FOLDER) {
    this.folder = resolve(folder);
  }

  async load(transferId: string): Promise<Checkpoint | undefined> {
    let text: string;
    try {
      const { size } = await stat(this.#file(transferId));
      if (size > MAX_CHECKPOINT_BYTES) {
        throw invalidCheckpoint(transferId, `the file has ${size} bytes; ${MAX_CHECKPOINT_BYTES} is the most`);
      }
      text = await readFile(this.#file(transferId), "utf8");
    } catch (error) {
      if (isP2PError(error)) throw error;
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw fileError(transferId, "read", error);
    }
    let checkpoint: unknown;
    try {
      checkpoint = parseJson(text);
    } catch (cause) {
      throw invalidCheckpoint(transferId, text === "" ? "the file is empty" : "the file is cut off or not JSON", cause);
    }
    const trouble = checkpointTrouble(checkpoint);
    if (trouble) throw invalidCheckpoint(transferId, trouble);
    return checkpoint as Checkpoint;
  }

  async save(checkpoint: Checkpoint): Promise<void> {
    const file = this.#file(checkpoint.transferId);
    const next = `${file}.${WRITER}-${++this.#saves}.tmp`;
    const lock = this.#lockFor(checkpoint.transferId);
    try {
      const bytes = Buffer.from(`${JSON.stringify(checkpoint)}\n`);
      if (bytes.length > MAX_CHECKPOINT_BYTES) throw tooLarge(checkpoint.transferId, bytes.length);
      await writeFile(next, bytes, { mode: 0o600 });
      // A save that was given up, and hung, must not replace what a later run has saved.
      await lock?.assertHeld();
      await rename(next, file);
    } catch (error) {
      await rm(next, { force: true }).catch(() => {});
      throw isP2PError(error) ? error : fileError(checkpoint.transferId, "written", error);
    }
  }

  async flush(transferId: string): Promise<void> {
    try {
      const handle = await open(this.#file(transferId), "r");
      await handle.sync().finally(() => handle.close());
      await syncFolder(this.folder);
    } catch (error) {
      throw fileError(transferId, "written", error);
    }
  }

  async remove(transferId: string): Promise<void> {
    try {
      await rm(this.#file(transferId), { force: true });
    } catch (error) {
      throw fileError(transferId, "removed", error);
    }
  }

  async lock(transferId: string): Promise<() => Promise<void>> {
    try {
      await mkdir(this.folder, { recursive: true, mode: 0o700 });
      const lock = await acquireFileLock(`${this.#file(transferId)}.lock`, (holder) => lockedError(transferId, holder));
      this.#locks.set(transferId, lock);
      await this.#sweep(transferId).catch(() => {});
      return async () => {
        if (this.#locks.get(transferId) === lock) this.#locks.delete(transferId);
        await lock.release();
      };
    } catch (error) {
      throw isP2PError(error) ? error : fileError(transferId, "locked", error);
    }
  }

  /** The lock of a transfer, which is that of its parts too. */
  #lockFor(transferId: string): FileLock | undefined {
    return this.#locks.get(transferId) ?? this.#locks.get(transferId.replace(/\.part-\d+$/, ""));
  }

  /** Removes what was written and never renamed: of this transfer, since its lock is held, and of any a day ago. */
  async #sweep(transferId: string): Promise<void> {
    const own = fileNameOf(transferId);
    for (const name of await readdir(this.folder)) {
      const left = /^(.+?)(?:\.part-\d+)?\.checkpoint\.json\.[0-9a-f-]+\.tmp$/.exec(name);
      if (!left || name.includes(WRITER)) continue;
      const file = join(this.folder, name);
      const { mtimeMs } = await lstat(file);
      if (left[1] === own || Date.now() - mtimeMs > LEFT_MS) await rm(file, { force: true });
    }
  }

  #file(transferId: string): string {
    return join(this.folder, `${fileNameOf(transferId)}.checkpoint.json`);
  }
}

/** File names may have 255 bytes, and endings come after this. */
const MAX_NAME = 150;

/**
 * The transfer's id as a file name: what is not safe in one is escaped with a percent sign, and what would be too long
 * is cut and told apart by a hash.
 */
export function fileNameOf(transferId: string): string {
  const name = encodeURIComponent(transferId).replace(/^\./, "%2E").replaceAll("*", "%2A");
  if (name.length <= MAX_NAME) return name;
  return `${name.slice(0, MAX_NAME - 33)}-${hash("sha256", transferId).slice(0, 32)}`;
}

/** None is written that would not be read again. */
function tooLarge(transferId: string, size: number): P2PError {
  return new P2PError(
    "CHECKPOINT_INVALID",
    `The checkpoint of the transfer "${transferId}" has ${size} bytes; ${MAX_CHECKPOINT_BYTES} is the most. Ask for fewer ids or shorter values in a query, or give no transferId and resume to go without checkpoints`,
  );
}

const FULL: ReadonlySet<unknown> = new Set(["ENOSPC", "EDQUOT"]);

/** A folder in which nothing can be made. */
const READ_ONLY: ReadonlySet<unknown> = new Set(["EROFS", "EACCES", "EPERM"]);

function fileError(transferId: string, verb: string, cause: unknown): P2PError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const full = FULL.has(code);
  const readOnly = verb !== "read" && READ_ONLY.has(code);
  const wayOut = full
    ? ". Make room and resume the transfer"
    : readOnly
      ? ". Give another checkpoint folder, one that can be written"
      : "";
  return new P2PError(
    full ? "STORAGE_FULL" : readOnly ? "CHECKPOINT_NOT_WRITABLE" : "CHECKPOINT_INVALID",
    `The checkpoint of the transfer "${transferId}" could not be ${verb}: ${message}${wayOut}`,
    { cause },
  );
}
