import { hash } from "node:crypto";
import { mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { isP2PError, P2PError } from "../errors.ts";
import { type Checkpoint, type CheckpointStore, checkpointTrouble, invalidCheckpoint } from "./checkpoint.ts";
import { acquireFileLock } from "./file-lock.ts";

/** Where checkpoints and dead letters go by default, below the working directory. */
export const DEFAULT_STATE_FOLDER = ".omni-p2p";

/**
 * Keeps each checkpoint in a file `<transferId>.checkpoint.json`, replaced by renaming, so that a crash leaves the old
 * one or the new one. Power loss may cost what was saved since the last `flush`, which a transfer calls every second.
 */
export class FileCheckpointStore implements CheckpointStore {
  readonly folder: string;
  /** Two saves at a time, of which one was given up, must not write into the same file. */
  #saves = 0;

  /** @param folder Made when it is missing. Default `.omni-p2p` below the working directory. */
  constructor(folder: string = DEFAULT_STATE_FOLDER) {
    this.folder = resolve(folder);
  }

  async load(transferId: string): Promise<Checkpoint | undefined> {
    let text: string;
    try {
      text = await readFile(this.#file(transferId), "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw fileError(transferId, "read", error);
    }
    let checkpoint: unknown;
    try {
      checkpoint = JSON.parse(text);
    } catch (cause) {
      throw invalidCheckpoint(transferId, text === "" ? "the file is empty" : "the file is cut off or not JSON", cause);
    }
    const trouble = checkpointTrouble(checkpoint);
    if (trouble) throw invalidCheckpoint(transferId, trouble);
    return checkpoint as Checkpoint;
  }

  async save(checkpoint: Checkpoint): Promise<void> {
    const file = this.#file(checkpoint.transferId);
    const next = `${file}.${process.pid}-${++this.#saves}.tmp`;
    try {
      await writeFile(next, `${JSON.stringify(checkpoint)}\n`);
      await rename(next, file);
    } catch (error) {
      await rm(next, { force: true }).catch(() => {});
      throw fileError(checkpoint.transferId, "written", error);
    }
  }

  async flush(transferId: string): Promise<void> {
    try {
      const handle = await open(this.#file(transferId), "r");
      await handle.sync().finally(() => handle.close());
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
      await mkdir(this.folder, { recursive: true });
      return await acquireFileLock(`${this.#file(transferId)}.lock`, transferId);
    } catch (error) {
      throw isP2PError(error) ? error : fileError(transferId, "locked", error);
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

function fileError(transferId: string, verb: string, cause: unknown): P2PError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const full = code === "ENOSPC" || code === "EDQUOT";
  return new P2PError(
    full ? "STORAGE_FULL" : "CHECKPOINT_INVALID",
    `The checkpoint of the transfer "${transferId}" could not be ${verb}: ${message}${full ? ". Make room and resume the transfer" : ""}`,
    { cause },
  );
}
