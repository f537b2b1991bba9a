/** Source files: what a path or a glob leads to, and what tells a file from a later one of its name. */
import { createHash, type Hash, hash } from "node:crypto";
import { type BigIntStats, createReadStream } from "node:fs";
import { type FileHandle, glob, open, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, relative, sep } from "node:path";
import { compareStrings, endpointLabel, P2PError } from "@omni/p2p-core/starter";
import type { FileEndpoint } from "../endpoint.ts";
import { readError } from "./errors.ts";
import { dumpNames, isManifest, type ManifestPart, mismatch, partsOf, readManifest } from "./manifest.ts";
import { readWhole } from "./whole-calls.ts";

/** A file, a pipe or a device to read. */
export interface SourceFile {
  /** `-` for standard input. */
  readonly path: string;
  /** How messages call it, and cursors too: its path below the folder of the glob. */
  readonly name: string;
  /** Bytes at the start; nothing beyond is read. Infinite for a pipe. */
  readonly size: number;
  /** Tells it from another file of its name; `undefined` for a pipe. */
  readonly mark: string | undefined;
  readonly modified: bigint;
  /** What the manifest of its dump says of it. */
  readonly expected?: ExpectedPart;
}

/** A part of a dump as its manifest has it. */
interface ExpectedPart extends ManifestPart {
  /** The path of the manifest. */
  readonly manifest: string;
}

const WILDCARD = /[*?[\]{}]/;

/** Whether a path is a pattern of several files. */
export function isGlob(path: string): boolean {
  return WILDCARD.test(path);
}

/**
 * The files that an endpoint leads to, in the order of their names.
 *
 * @throws P2PError `SOURCE_NOT_FOUND`, `INVALID_ENDPOINT` for a folder.
 */
export async function findSources({ path, label }: FileEndpoint): Promise<readonly SourceFile[]> {
  if (path === "-")
    return [{ path, name: "standard input", size: Number.POSITIVE_INFINITY, mark: undefined, modified: 0n }];
  if (isManifest(path)) return dumpParts(path, label);
  const found = await stat(path, { bigint: true }).catch(async (error: unknown) => {
    if (isGlob(path) || (await hasManifest(path))) return undefined;
    throw readError(label, error);
  });
  if (found === undefined && !isGlob(path)) return dumpParts(dumpNames(path).manifest, label);
  if (found !== undefined) return [sourceFile(path, basename(path), found, label)];
  const root = rootOf(path);
  const files: SourceFile[] = [];
  for await (const match of glob(path)) {
    const stats = await stat(match, { bigint: true });
    if (stats.isFile()) files.push(sourceFile(match, relative(root, match), stats, label));
  }
  if (files.length === 0) {
    throw new P2PError("SOURCE_NOT_FOUND", `${label} matches no file; look at the pattern, and quote it in a shell`);
  }
  return files.sort((a, b) => compareStrings(a.name, b.name));
}

async function hasManifest(path: string): Promise<boolean> {
  return stat(dumpNames(path).manifest).then(
    (found) => found.isFile(),
    () => false,
  );
}

/** The parts of a dump, as its manifest says. */
async function dumpParts(path: string, label: string): Promise<readonly SourceFile[]> {
  const manifest = await readManifest(path);
  if (manifest === undefined) throw new P2PError("SOURCE_NOT_FOUND", `${label} cannot be read: there is no such file`);
  const parts = await partsOf(path, manifest);
  return parts.map(({ part, path: at, stats }) => ({
    ...sourceFile(at, part.name, stats, label),
    expected: { ...part, manifest: path },
  }));
}

/** The folder above the first wildcard. */
function rootOf(pattern: string): string {
  const parts = pattern.split(sep);
  const at = parts.findIndex((part) => isGlob(part));
  return parts.slice(0, at).join(sep) || sep;
}

function sourceFile(path: string, name: string, stats: BigIntStats, label: string): SourceFile {
  if (stats.isDirectory()) {
    const all = `${endpointLabel({ storageType: "file", database: join(path, "*.ndjson") })}`;
    throw new P2PError(
      "INVALID_ENDPOINT",
      `${label} is a folder; name a file in it, or all of them with a pattern: "${all}"`,
    );
  }
  if (stats.isSocket()) throw new P2PError("INVALID_ENDPOINT", `${label} is a socket, and not to be read as a file`);
  if (!stats.isFile()) return { path, name, size: Number.POSITIVE_INFINITY, mark: undefined, modified: 0n };
  return { path, name, size: Number(stats.size), mark: markOf(stats), modified: stats.mtimeNs };
}

/** Inodes are used again, so the time at which a file was made belongs to it. */
export function markOf({ dev, ino, birthtimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${birthtimeNs}`;
}

/** Which files they are, however they are reached: all together, and each where they are several. */
export async function thingsOf(
  files: readonly SourceFile[],
): Promise<{ readonly thing: string; readonly things?: readonly string[] }> {
  const things = await Promise.all(files.map(({ path }) => thingAt(path)));
  if (things.length === 1) return { thing: things[0]! };
  return { thing: `files ${hash("sha256", things.join("\n"), "base64url")}`, things };
}

/** One file: its path without links, or its inode where it has several names. */
export async function thingAt(path: string): Promise<string> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  if (found?.isFile() && found.nlink > 1n) return `file ${found.dev}:${found.ino}`;
  if (found !== undefined) return `file ${await realpath(path)}`;
  const folder = await realpath(dirname(path)).catch(() => dirname(path));
  return `file ${join(folder, basename(path))}`;
}

/** What {@link incarnationOf} tells of the one file at a path; `undefined` where there is none. */
export async function incarnationAt(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found && `inode ${markOf(found)}`;
}

/** What changes whenever the file at a path is written or replaced; `undefined` where there is none. */
export async function stateAt(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found && `${markOf(found)}:${found.size}:${found.mtimeNs}`;
}

/** What changes when one of the files is replaced, or another comes or goes, and not when one grows. */
export function incarnationOf(files: readonly SourceFile[]): string {
  if (files.length === 1) return `inode ${files[0]!.mark}`;
  return `files ${hash("sha256", JSON.stringify(files.map(({ name, mark }) => [name, mark])), "base64url")}`;
}

/** An open file of the source. */
export class OpenFile implements AsyncDisposable {
  readonly file: SourceFile;
  readonly #handle: FileHandle | undefined;
  /** Of a part of a dump, as long as it is read from its beginning on. */
  #digest: { readonly hash: Hash; at: number } | undefined;

  private constructor(file: SourceFile, handle: FileHandle | undefined) {
    this.file = file;
    this.#handle = handle;
  }

  /** @throws P2PError `STORE_CHANGED` where another file has the name by now. */
  static async open(file: SourceFile): Promise<OpenFile> {
    if (file.path === "-") return new OpenFile(file, undefined);
    let handle: FileHandle | undefined;
    try {
      handle = await open(file.path);
      const opened = new OpenFile(file, handle);
      // Of several files the last is opened long after it was found.
      if (!opened.isPipe && markOf(await handle.stat({ bigint: true })) !== file.mark) {
        throw opened.#changed("was replaced");
      }
      return opened;
    } catch (error) {
      await handle?.close();
      throw readError(file.name, error);
    }
  }

  /** Whether it is read from one end to the other alone. */
  get isPipe(): boolean {
    return this.file.mark === undefined;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    try {
      return await readWhole(this.#handle!, offset, Math.min(length, this.file.size - offset));
    } catch (error) {
      throw readError(this.file.name, error);
    }
  }

  /** Its bytes from an offset on, as they are on disk. A pipe has but one beginning. */
  async *chunks(from: number, size: number): AsyncGenerator<Uint8Array> {
    if (this.isPipe) {
      yield* this.#piped();
      return;
    }
    for (let offset = from; offset < this.file.size; ) {
      const chunk = await this.read(offset, size);
      if (chunk.length === 0) throw this.#changed("is shorter than it was");
      this.#note(offset, chunk);
      offset += chunk.length;
      yield chunk;
    }
  }

  #note(offset: number, chunk: Uint8Array): void {
    if (this.file.expected === undefined) return;
    if (offset === 0 && this.#digest === undefined) this.#digest = { hash: createHash("sha256"), at: 0 };
    if (this.#digest?.at !== offset) return;
    this.#digest.hash.update(chunk);
    this.#digest.at += chunk.length;
  }

  /**
   * Makes sure, at the end of reading a part of a dump wholly, that it is what its manifest says.
   *
   * @param records that were found in it.
   * @throws P2PError `MANIFEST_MISMATCH`
   */
  assertExpected(records: number): void {
    const { expected, size } = this.file;
    if (expected === undefined || this.#digest?.at !== size) return;
    const { name, manifest } = expected;
    if (this.#digest.hash.digest("hex") !== expected.sha256)
      throw mismatch(manifest, `the digest of its part ${name} is another`);
    if (records !== expected.records) {
      throw mismatch(manifest, `its part ${name} holds ${records} records instead of ${expected.records}`);
    }
  }

  async *#piped(): AsyncGenerator<Uint8Array> {
    const stream = this.#handle
      ? createReadStream(this.file.path, { fd: this.#handle, autoClose: false, highWaterMark: 262_144 })
      : process.stdin;
    try {
      for await (const chunk of stream) yield chunk as Uint8Array;
    } catch (error) {
      throw readError(this.file.name, error);
    }
  }

  /** A print of what precedes an offset, by which a file that only grew is known. */
  async print(end: number): Promise<string> {
    const from = Math.max(0, end - 1024);
    return hash("sha256", await this.read(from, end - from), "base64url").slice(0, 16);
  }

  /**
   * Makes sure, at the end of reading, that what was read is what is there.
   *
   * @throws P2PError `STORE_CHANGED`
   */
  async assertUnchanged(print: string | undefined): Promise<void> {
    if (this.isPipe || !this.#handle) return;
    const now = await this.#handle.stat({ bigint: true });
    if (now.mtimeNs === this.file.modified && now.size === BigInt(this.file.size)) return;
    if (now.size < BigInt(this.file.size)) throw this.#changed("is shorter than it was");
    if ((await this.print(this.file.size)) !== print) throw this.#changed("was written over");
  }

  #changed(how: string): P2PError {
    return new P2PError(
      "STORE_CHANGED",
      `${this.file.name} ${how} while it was being read; see who writes it, and start the transfer anew without resume`,
    );
  }

  async close(): Promise<void> {
    await this.#handle?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
