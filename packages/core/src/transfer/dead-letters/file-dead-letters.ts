/** Dead letters into a file, one JSON text a line (NDJSON). */
import { createHash } from "node:crypto";
import { constants, type Stats } from "node:fs";
import { type FileHandle, link, lstat, mkdir, open, readdir, realpath, rename, rm } from "node:fs/promises";
import { basename, dirname, extname, join, resolve } from "node:path";
import { isP2PError, messageOf, P2PError } from "../../errors.ts";
import type { JsonValue } from "../../model/json-value.ts";
import { acquireFileLock, type FileLock } from "../durable/file-lock.ts";
import { syncFolder } from "../durable/sync-folder.ts";
import { type DeadLetter, type DeadLetterSink, letterLine } from "./dead-letter.ts";
import { bytesOf, letterBefore, letterTrouble } from "./recognise-letters.ts";

/** How a {@link FileDeadLetterSink} treats what it finds at the name of its file. */
export interface FileDeadLetterOptions {
  /**
   * What becomes of letters of an earlier run when a new one begins: `keep` moves them aside to a numbered name
   * (`failed.1.ndjson`), `overwrite` lets them go. A run that is resumed goes on behind its own letters either way.
   *
   * @default "keep"
   */
  readonly earlier?: "keep" | "overwrite" | undefined;
  /**
   * Whether the file may be a symbolic link. What it leads to must be a dead-letter file all the same.
   *
   * @default true
   */
  readonly followLinks?: boolean;
}

/** Bytes before a position that must be the same for a file to be the one of the earlier run. */
const TAIL = 1024;

/** Longest name of a file, in characters, to which endings are added. */
const MAX_NAME = 150;

/** Where the file was: its length, what it ended with, and its name. */
interface FilePosition {
  readonly bytes: number;
  /** A hash of the last bytes before; absent in positions of old. */
  readonly tail?: string;
  readonly file?: string;
}

/**
 * Writes dead letters to a file, one JSON object a line (NDJSON), which its owner alone may read. The file is made with
 * the first letter.
 *
 * Nothing is ever cut, emptied or written into that is not a dead-letter file: a file that is there must be empty, or
 * its first and its last line must be dead letters. It is cut back only where it is the file of the run that is resumed.
 * A lock beside it, `<file>.omni-p2p-lock`, keeps a second transfer out.
 */
export class FileDeadLetterSink implements DeadLetterSink {
  readonly location: string;
  readonly notes: string[] = [];
  readonly #options: Required<FileDeadLetterOptions>;
  /** The file itself, whatever links lead to it. */
  #file: string;
  #lock: FileLock | undefined;
  #handle: FileHandle | undefined;
  #position = 0;
  #tail: Buffer = Buffer.alloc(0);
  #made = false;

  /** @param file Folders above it are made when they are missing, for their owner alone. */
  constructor(file: string, { earlier = "keep", followLinks = true }: FileDeadLetterOptions = {}) {
    this.location = resolve(file);
    this.#file = this.location;
    this.#options = { earlier, followLinks };
  }

  async open(position: JsonValue): Promise<void> {
    await this.close();
    this.notes.length = 0;
    try {
      const found = await this.#lookUp();
      await this.#claim().catch((error: unknown) => {
        // The folder may be missing, full or read-only, and nothing may ever fail: the first letter finds out.
        if (isP2PError(error) || found) throw error;
      });
      await this.#admit(positionOf(position));
    } catch (error) {
      await this.close();
      throw this.#failed(error);
    }
  }

  /** What is at the name; a link is followed, or refused, and then `#file` is what it leads to. */
  async #lookUp(): Promise<Stats | undefined> {
    this.#file = join(await realFolder(dirname(this.location)), basename(this.location));
    const found = await statOf(this.#file);
    if (!found?.isSymbolicLink()) return found;
    if (!this.#options.followLinks) {
      throw this.#refused("it is a symbolic link, and none is followed at a name that was not given");
    }
    this.#file = await realpath(this.#file).catch(() => {
      throw this.#refused("it is a symbolic link that leads nowhere");
    });
    return statOf(this.#file);
  }

  /** Keeps other transfers out of the file. */
  async #claim(): Promise<void> {
    this.#lock ??= await acquireFileLock(lockOf(this.#file), (holder) =>
      this.#refused(`another transfer is writing its own there, ${holder}`),
    );
  }

  /** Opens the file behind the letters of the run that is resumed, or makes room for new ones. */
  async #admit(position: FilePosition): Promise<void> {
    this.#position = 0;
    this.#tail = Buffer.alloc(0);
    const found = await this.#lookUp();
    const elsewhere = position.file !== undefined && position.file !== this.location;
    if (!found) {
      if (position.bytes > 0 && !elsewhere) throw this.#missing("the file with the letters of the earlier run is gone");
      if (position.bytes > 0) this.#noteEarlier(position.file!);
      return;
    }
    if (!found.isFile()) throw this.#refused("it is no file");
    // Not to wait for the other end where it has become a pipe meanwhile.
    const flags = constants.O_RDWR | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
    const handle = await open(this.#file, flags);
    let going = false;
    try {
      const stat = await handle.stat();
      const trouble = stat.isFile() ? await letterTrouble(handle, 0, stat.size) : "it is no file";
      if (trouble) throw this.#refused(`it holds something else than dead letters: ${trouble}`);
      going = position.bytes > 0 && (await this.#goOn(handle, stat.size, position, elsewhere));
      if (going) this.#handle = handle;
      else if (stat.size > 0 || stat.nlink > 1) await this.#clear(stat.size > 0);
    } finally {
      if (!going) await handle.close();
    }
    if (!going && position.bytes > 0) this.#noteEarlier(position.file!);
  }

  #noteEarlier(file: string): void {
    this.notes.push(`The records that failed in the earlier run are in ${file}`);
  }

  /** Cuts off what the earlier run wrote after its last checkpoint; `false` when this is another file than it had. */
  async #goOn(handle: FileHandle, size: number, position: FilePosition, elsewhere: boolean): Promise<boolean> {
    const trouble = await this.#otherwise(handle, size, position);
    if (trouble !== undefined) {
      if (elsewhere) return false;
      throw this.#missing(trouble);
    }
    await handle.truncate(position.bytes);
    this.#position = position.bytes;
    this.#tail = await bytesOf(handle, Math.max(0, position.bytes - TAIL), position.bytes);
    return true;
  }

  /** Why this is not the file that the earlier run had written so far, if it is not. */
  async #otherwise(handle: FileHandle, size: number, { bytes, tail }: FilePosition): Promise<string | undefined> {
    // Cutting a shorter file would lengthen it, with zeros.
    if (size < bytes) return "letters of the earlier run are missing from it";
    const before = await bytesOf(handle, Math.max(0, bytes - TAIL), bytes);
    const known = tail === undefined ? before.at(-1) === 10 : hashOf(before) === tail;
    if (!known) return "it is not the file that the earlier run wrote";
    const transferId = await letterBefore(handle, bytes);
    const beyond = await letterTrouble(handle, bytes, size, transferId);
    return beyond && "something else than this transfer's letters was added to it";
  }

  /** Takes the name from what is there: its letters are kept under another, unless that was not wanted. */
  async #clear(filled: boolean): Promise<void> {
    if (!filled || this.#options.earlier === "overwrite") {
      await rm(this.#file);
      return;
    }
    const aside = await moveAside(this.#file);
    this.notes.push(`The records that failed in an earlier run are kept in ${aside}`);
  }

  async write(letters: readonly DeadLetter[]): Promise<JsonValue> {
    try {
      const bytes = Buffer.concat(letters.map((letter) => letterLine(letter)));
      const handle = await this.#opened();
      await this.#lock!.assertHeld();
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, this.#position + done);
        done += bytesWritten;
      }
      this.#position += bytes.length;
      this.#tail = Buffer.concat([this.#tail, bytes.subarray(-TAIL)]).subarray(-TAIL);
    } catch (error) {
      if (!isP2PError(error)) await this.#handle?.truncate(this.#position).catch(() => {});
      throw this.#failed(error);
    }
    return { bytes: this.#position, tail: hashOf(this.#tail), file: this.location };
  }

  async #opened(): Promise<FileHandle> {
    if (this.#handle) return this.#handle;
    await mkdir(dirname(this.location), { recursive: true, mode: 0o700 });
    if (!this.#lock) {
      await this.#lookUp();
      await this.#claim();
      await this.#admit({ bytes: 0 });
    }
    const flags = constants.O_RDWR | (constants.O_NOFOLLOW ?? 0);
    const found = await statOf(this.#file);
    // One that was empty is taken as it is, with the rights that somebody has given it.
    if (found && !(found.isFile() && found.size === 0))
      throw this.#refused("something else has been put there meanwhile");
    this.#handle = await open(this.#file, found ? flags : flags | constants.O_CREAT | constants.O_EXCL, 0o600);
    this.#made = true;
    return this.#handle;
  }

  async flush(): Promise<void> {
    try {
      await this.#handle?.datasync();
      if (this.#made) await syncFolder(dirname(this.#file));
      this.#made = false;
    } catch (error) {
      throw this.#failed(error);
    }
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    const lock = this.#lock;
    this.#handle = undefined;
    this.#lock = undefined;
    try {
      await handle?.close();
    } finally {
      await lock?.release();
    }
  }

  /** What is there is not to be touched. */
  #refused(why: string): P2PError {
    return new P2PError(
      "DEAD_LETTER_FAILED",
      `Failed records could not be kept in ${this.location}: ${why}. Nothing in it was changed; give another deadLetters file`,
    );
  }

  /** The letters of the earlier run are not as they were left. */
  #missing(why: string): P2PError {
    return new P2PError(
      "DEAD_LETTER_FAILED",
      `Failed records could not be kept in ${this.location}: ${why}. Put it back, or give another deadLetters file, and resume`,
    );
  }

  #failed(cause: unknown): P2PError {
    if (isP2PError(cause, "DEAD_LETTER_FAILED")) return cause;
    return new P2PError(
      "DEAD_LETTER_FAILED",
      `Failed records could not be kept in ${this.location}: ${messageOf(cause)}. Make room or give another deadLetters file, and resume`,
      { cause },
    );
  }
}

function positionOf(position: JsonValue): FilePosition {
  if (typeof position === "number") return { bytes: position };
  const given = position as Partial<Record<keyof FilePosition, JsonValue>> | null;
  if (typeof given !== "object" || given === null || typeof given.bytes !== "number") return { bytes: 0 };
  return {
    bytes: given.bytes,
    ...(typeof given.tail === "string" && { tail: given.tail }),
    ...(typeof given.file === "string" && { file: given.file }),
  };
}

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex").slice(0, 32);
}

/** The lock of a file: not `<file>.lock`, which may be somebody else's. */
function lockOf(file: string): string {
  const name = basename(file);
  const short = name.length <= MAX_NAME ? name : `.${hashOf(Buffer.from(name))}`;
  return join(dirname(file), `${short}.omni-p2p-lock`);
}

/** Gives a file the next free number, and tells its new name. */
async function moveAside(file: string): Promise<string> {
  const ending = extname(file);
  const stem = basename(file, ending);
  const numbered = (name: string) =>
    name.startsWith(`${stem}.`) && name.endsWith(ending)
      ? Number(name.slice(stem.length + 1, name.length - ending.length))
      : 0;
  const taken = (await readdir(dirname(file))).map(numbered).filter((number) => Number.isSafeInteger(number));
  for (let number = taken.reduce((a, b) => Math.max(a, b), 0) + 1; ; number++) {
    const aside = join(dirname(file), `${stem}.${number}${ending}`);
    if (await renameTo(file, aside)) return aside;
  }
}

/** Renames without ever replacing anything; `false` when the name is taken. */
async function renameTo(file: string, to: string): Promise<boolean> {
  try {
    await link(file, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    // A file system without links; the lock keeps all away that would take this name.
    if (await statOf(to)) return false;
    await rename(file, to);
    return true;
  }
  await rm(file);
  return true;
}

async function statOf(file: string): Promise<Stats | undefined> {
  try {
    return await lstat(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** The folder itself, whatever links lead to it; one that is not there yet is as it is called. */
async function realFolder(folder: string): Promise<string> {
  return realpath(folder).catch(() => folder);
}
