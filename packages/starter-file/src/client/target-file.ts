/** Unfinished files: what is written under a temporary name beside its target, and takes the target's place by a rename. */
import { createHash, hash, randomBytes } from "node:crypto";
import { constants as fs } from "node:fs";
import {
  copyFile,
  type FileHandle,
  link,
  lstat,
  open,
  readdir,
  readlink,
  realpath,
  rename,
  stat,
  unlink,
} from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { P2PError, syncFolder } from "@omni/p2p-core/starter";
import { codeOf, writeError } from "./errors.ts";
import { markOf } from "./source-file.ts";
import { readWhole, writeWhole } from "./whole-calls.ts";

/** Where a target is. */
export interface TargetPlace {
  /** Without links in its last step: a file is written where its link leads. */
  readonly path: string;
  readonly exists: boolean;
  /** It takes bytes and keeps nothing: a device, a named pipe. */
  readonly isStream: boolean;
}

/** @throws P2PError `TARGET_NOT_WRITABLE` for a folder. */
export async function findTarget(given: string, label: string): Promise<TargetPlace> {
  try {
    const path = await followed(given);
    const found = await stat(path).catch((error: unknown) => {
      if (codeOf(error) === "ENOENT") return undefined;
      throw error;
    });
    if (found?.isDirectory()) {
      throw new P2PError(
        "TARGET_NOT_WRITABLE",
        `${label} is a folder; name a file in it, such as "file:${join(given, "data.ndjson")}"`,
      );
    }
    if (found === undefined && !(await stat(dirname(path))).isDirectory())
      throw Object.assign(new Error(), { code: "ENOTDIR" });
    return { path, exists: found !== undefined, isStream: found !== undefined && !found.isFile() };
  } catch (error) {
    throw writeError(label, error);
  }
}

/** Where the links of a path lead, also where nothing is there yet. */
async function followed(path: string): Promise<string> {
  for (let steps = 0, at = path; steps < 40; steps++) {
    const found = await lstat(at).catch((error: unknown) => {
      if (codeOf(error) === "ENOENT") return undefined;
      throw error;
    });
    if (found === undefined) return at;
    if (!found.isSymbolicLink()) return realpath(at);
    at = resolve(dirname(at), await readlink(at));
  }
  throw Object.assign(new Error(), { code: "ELOOP" });
}

/** What temporary names hold between the name of the target and a word of their own. */
const INFIX = ".p2p-";

/** By the name of the host: elsewhere, as in another container, the numbers of processes are others. */
const HOST = hash("sha256", hostname(), "hex").slice(0, 6);

const OWNER = /\.p2p-(?<pid>\d+)-[0-9a-f]+(?:-(?<host>[0-9a-f]+))?$/;

/** A name that tells which process it belongs to, beside the target and taken by nobody. */
function temporaryPath(target: string): string {
  const owner = `${process.pid}-${randomBytes(4).toString("hex")}-${HOST}`;
  return join(dirname(target), `.${basename(target)}${INFIX}${owner}`);
}

const DIGEST_CHUNK = 1_048_576;

/** Under a temporary name alone, or under the target's too. */
type Where = "unfinished" | "anywhere";

/** A file that is being written. */
export class UnfinishedFile {
  readonly path: string;
  readonly #label: string;
  readonly #handle: FileHandle;
  /** Of its inode: by it the file is known after a kill. */
  readonly inode: string;
  /** It had taken the place of its target already when an earlier run was killed. */
  wasFinished = false;
  #size: number;

  private constructor(path: string, label: string, handle: FileHandle, inode: string, size: number) {
    this.path = path;
    this.#label = label;
    this.#handle = handle;
    this.inode = inode;
    this.#size = size;
  }

  /** @param copyOf a file to begin with a copy of. */
  static async create(target: string, label: string, copyOf?: string): Promise<UnfinishedFile> {
    const path = temporaryPath(target);
    try {
      if (copyOf !== undefined) await copyFile(copyOf, path, fs.COPYFILE_EXCL | fs.COPYFILE_FICLONE);
      const handle = await open(path, copyOf === undefined ? "wx+" : "r+");
      return await UnfinishedFile.#of(path, label, handle);
    } catch (error) {
      if (codeOf(error) !== "EEXIST") await unlink(path).catch(() => {});
      throw writeError(label, error);
    }
  }

  /** The file of an earlier run with this inode, if it is still there, under a temporary name or that of the target. */
  static async find(
    target: string,
    label: string,
    inode: string,
    where: Where = "anywhere",
  ): Promise<UnfinishedFile | undefined> {
    const path = await locate(target, inode, where);
    if (path === undefined) return undefined;
    try {
      // One that has taken the target's place already is taken back, and one of another process is this one's now.
      const own = temporaryPath(target);
      await rename(path, own);
      const file = await UnfinishedFile.#of(own, label, await open(own, "r+"));
      file.wasFinished = path === target;
      return file;
    } catch (error) {
      throw writeError(label, error);
    }
  }

  /** Whether {@link UnfinishedFile.find} would find one. */
  static async isThere(target: string, inode: string): Promise<boolean> {
    return (await locate(target, inode, "anywhere")) !== undefined;
  }

  static async #of(path: string, label: string, handle: FileHandle): Promise<UnfinishedFile> {
    const stats = await handle.stat({ bigint: true });
    return new UnfinishedFile(path, label, handle, markOf(stats), Number(stats.size));
  }

  /** What tells it from another file: it stays when the file takes the place of its target. */
  get incarnation(): string {
    return `inode ${this.inode}`;
  }

  get size(): number {
    return this.#size;
  }

  /** Adds bytes at the end; where that fails none of them count. */
  async append(bytes: Uint8Array): Promise<void> {
    try {
      await writeWhole(this.#handle, bytes, this.#size);
      this.#size += bytes.length;
    } catch (error) {
      await this.#handle.truncate(this.#size).catch(() => {});
      throw writeError(this.#label, error);
    }
  }

  /** Drops what lies beyond. */
  async cut(size: number): Promise<void> {
    try {
      await this.#handle.truncate(size);
      this.#size = size;
    } catch (error) {
      throw writeError(this.#label, error);
    }
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return readWhole(this.#handle, offset, Math.min(length, this.#size - offset));
  }

  /** The SHA-256 of its bytes, in hexadecimal. */
  async digest(): Promise<string> {
    const digest = createHash("sha256");
    for (let offset = 0; offset < this.#size; offset += DIGEST_CHUNK) {
      digest.update(await this.read(offset, DIGEST_CHUNK));
    }
    return digest.digest("hex");
  }

  async sync(): Promise<void> {
    try {
      await this.#handle.datasync();
    } catch (error) {
      throw writeError(this.#label, error);
    }
  }

  /**
   * Takes the place of the target, whole and at once.
   *
   * @param mayReplace whether another file may be there.
   * @throws P2PError `TARGET_EXISTS`, `STORE_CHANGED`
   */
  async finish(target: string, mayReplace: boolean): Promise<void> {
    try {
      await this.#handle.sync();
      await this.#assertOwn();
      const old = await stat(target).catch(() => undefined);
      if (old && mayReplace) await this.#handle.chmod(old.mode & 0o7777);
      if (mayReplace) await rename(this.path, target);
      else await this.#renameToNew(target);
      await syncFolder(dirname(target));
    } catch (error) {
      throw writeError(this.#label, error);
    }
    await this.close();
  }

  async #assertOwn(): Promise<void> {
    const found = await stat(this.path, { bigint: true }).catch(() => undefined);
    if (found && markOf(found) === this.inode) return;
    throw new P2PError(
      "STORE_CHANGED",
      `The unfinished file ${this.path} was taken away or replaced while it was being written; start the transfer anew without resume`,
    );
  }

  /** A link fails where a name is taken, and a rename does not. */
  async #renameToNew(target: string): Promise<void> {
    try {
      await link(this.path, target);
      await unlink(this.path);
    } catch (error) {
      if (codeOf(error) === "EEXIST") throw existsError(this.#label);
      if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"].includes(codeOf(error) ?? "")) throw error;
      // A file system without hard links.
      if (await stat(target).catch(() => undefined)) throw existsError(this.#label);
      await rename(this.path, target);
    }
  }

  /** Closes it as it was found: where it had taken the target's place already, it has that name again. */
  async giveBack(target: string): Promise<void> {
    // Where another has the name by now, it stays under its own.
    if (this.wasFinished) await this.#renameToNew(target).catch(() => {});
    await this.close();
  }

  async close(): Promise<void> {
    await this.#handle.close().catch(() => {});
  }

  async discard(): Promise<void> {
    await this.close();
    await unlink(this.path).catch(() => {});
  }
}

/** Where the file with this inode is. */
async function locate(target: string, inode: string, where: Where): Promise<string | undefined> {
  for (const path of [...(await leftovers(target)), ...(where === "anywhere" ? [target] : [])]) {
    const found = await stat(path, { bigint: true }).catch(() => undefined);
    if (found !== undefined && markOf(found) === inode) return path;
  }
  return undefined;
}

/** Unfinished files of a target. */
async function leftovers(target: string): Promise<string[]> {
  const prefix = `.${basename(target)}${INFIX}`;
  const names = await readdir(dirname(target)).catch((): string[] => []);
  return names.filter((name) => name.startsWith(prefix)).map((name) => join(dirname(target), name));
}

/** Removes unfinished files of a target whose process was of this host and has died, when a new one is begun. */
export async function removeLeftovers(target: string): Promise<void> {
  for (const path of await leftovers(target)) {
    const { pid, host = HOST } = OWNER.exec(path)?.groups ?? {};
    if (pid !== undefined && host === HOST && !isAlive(Number(pid))) await unlink(path).catch(() => {});
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) !== "ESRCH";
  }
}

/** The error of a target that is there and was not to be touched. */
export function existsError(label: string): P2PError {
  return new P2PError(
    "TARGET_EXISTS",
    `${label} is there already; add ?ifExists=replace to write it anew, or ?ifExists=append to add to it`,
  );
}
