/** A sequential target in parts of a size, with a manifest: a dump is there once its manifest is. */
import { readdir, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import {
  type BeginOptions,
  type JsonValue,
  messageOf,
  P2PError,
  type P2PRecord,
  type StoreIdentity,
  type WriteOptions,
  type WriteResult,
} from "@omni/p2p-core/starter";
import { notBegunError, resumeError } from "../client/errors.ts";
import { dumpNames, type Manifest, type ManifestPart, readManifest } from "../client/manifest.ts";
import { incarnationAt, thingAt } from "../client/source-file.ts";
import { existsError, findTarget, removeLeftovers, UnfinishedFile } from "../client/target-file.ts";
import type { FileEndpoint } from "../endpoint.ts";
import type { Format } from "../formats/format.ts";
import { FileTarget, type OpenTarget } from "./target.ts";

/** A part that is written and waits for its name. */
interface SealedPart extends ManifestPart {
  readonly inode: string;
}

/** Where writing stands, as a checkpoint keeps it; what is sealed is in the journal. */
interface PartedPosition {
  readonly journal: string;
  readonly size: number;
  readonly part: number;
  readonly records: number;
  readonly inner: JsonValue;
}

/** A dump of several files. */
export class PartedTarget implements OpenTarget {
  readonly #endpoint: FileEndpoint;
  readonly #format: Format;
  readonly #partSize: number;
  readonly #names: ReturnType<typeof dumpNames>;
  #journal: UnfinishedFile | undefined;
  #sealed: SealedPart[] = [];
  #current: FileTarget | undefined;
  #records = 0;
  #resumable = false;
  readonly isPipe = false;

  constructor(endpoint: FileEndpoint, format: Format, partSize: number) {
    this.#endpoint = endpoint;
    this.#format = format;
    this.#partSize = partSize;
    this.#names = dumpNames(endpoint.path);
  }

  async identity(): Promise<StoreIdentity> {
    const { manifest, isPart } = this.#names;
    const incarnation = this.#journal?.incarnation ?? (await incarnationAt(manifest));
    const names = await readdir(dirname(manifest)).catch((): string[] => []);
    const parts = names.filter(isPart).map((name) => thingAt(join(dirname(manifest), name)));
    return {
      thing: await thingAt(manifest),
      things: await Promise.all(parts),
      certain: true,
      ...(incarnation !== undefined && { incarnation }),
    };
  }

  async begin({ after, abandoned, resumable, signal }: BeginOptions): Promise<void> {
    await this.close();
    this.#resumable = resumable;
    const { label, options } = this.#endpoint;
    const { manifest } = this.#names;
    if (options.ifExists === "append") {
      throw new P2PError(
        "UNSUPPORTED_OPERATION",
        `Nothing is appended to the parts of ${label}; write another dump, or take ?ifExists=replace`,
      );
    }
    if ((await findTarget(this.#endpoint.path, label)).exists) {
      throw new P2PError(
        "TARGET_EXISTS",
        `${label} is there as one file, which would be read in place of a dump of its name; take it away, or write the dump under another name`,
      );
    }
    const { exists } = await findTarget(manifest, label);
    if (after !== undefined) {
      await this.#resume(after, signal);
      return;
    }
    await this.#discardAbandoned(parsePosition(abandoned));
    await this.#oldManifest();
    if (exists && options.ifExists === "fail") throw existsError(label);
    await removeLeftovers(manifest);
    this.#sealed = [];
    this.#journal = await UnfinishedFile.create(manifest, label);
    await this.#beginPart(signal);
  }

  async #resume(after: JsonValue, signal: AbortSignal): Promise<void> {
    const position = parsePosition(after);
    const mismatch = (why: string) => resumeError(this.#endpoint.label, why);
    if (position === undefined) throw mismatch("the checkpoint does not say where it stood");
    const journal = await UnfinishedFile.find(this.#names.manifest, this.#endpoint.label, position.journal);
    if (journal === undefined) throw mismatch("the journal of its parts is gone");
    if (journal.size < position.size) {
      await journal.close();
      throw mismatch("the journal of its parts is shorter than it was");
    }
    const current = this.#target(position.part);
    try {
      await current.begin({ after: position.inner, resumable: this.#resumable, signal });
      await journal.cut(position.size);
      this.#sealed = await sealedIn(journal);
    } catch (error) {
      // Whoever is refused can still go on with it another time.
      await current.close();
      await journal.close();
      throw error;
    }
    this.#journal = journal;
    this.#records = position.records;
    this.#current = current;
  }

  /**
   * The manifest that this dump takes the place of, whose parts are then removed.
   *
   * @throws P2PError `TARGET_EXISTS` for that of another dump, which has the same name but other endings.
   */
  async #oldManifest(): Promise<Manifest | undefined> {
    const { manifest, part } = this.#names;
    const refused = (why: string) =>
      new P2PError(
        "TARGET_EXISTS",
        `${this.#endpoint.label} cannot be written, since ${basename(manifest)} ${why}; take that away, or write this dump under another name`,
      );
    const old = await readManifest(manifest).catch((error: unknown) => {
      throw refused(`is there and is no manifest that can be read (${messageOf(error)})`);
    });
    const isOwn = old?.parts.every(({ name }, i) => name === basename(part(i + 1))) ?? true;
    if (!isOwn) throw refused("is that of another dump");
    return old;
  }

  async #discardAbandoned(position: PartedPosition | undefined): Promise<void> {
    if (position === undefined) return;
    const { label } = this.#endpoint;
    const journal = await UnfinishedFile.find(this.#names.manifest, label, position.journal, "unfinished");
    if (journal === undefined) return;
    for (const part of await sealedIn(journal)) await (await this.#unfinished(part, "unfinished"))?.discard();
    await journal.discard();
  }

  #target(part: number): FileTarget {
    const path = this.#names.part(part);
    return new FileTarget(
      { ...this.#endpoint, path, label: `${this.#endpoint.label} (${basename(path)})` },
      this.#format,
    );
  }

  async #beginPart(signal: AbortSignal): Promise<void> {
    const path = this.#names.part(this.#sealed.length + 1);
    await removeLeftovers(path);
    this.#records = 0;
    this.#current = this.#target(this.#sealed.length + 1);
    await this.#current.begin({ resumable: this.#resumable, signal });
  }

  async write(records: readonly P2PRecord[], options: WriteOptions): Promise<WriteResult> {
    if (this.#current === undefined) throw notBegunError(this.#endpoint.label);
    if (this.#current.size >= this.#partSize) {
      await this.#seal(options.signal);
      await this.#beginPart(options.signal);
    }
    const result = await this.#current.write(records, options);
    this.#records += result.written;
    const position: PartedPosition = {
      journal: this.#journal!.inode,
      size: this.#journal!.size,
      part: this.#sealed.length + 1,
      records: this.#records,
      inner: result.position!,
    };
    return { ...result, position: position as unknown as JsonValue };
  }

  /** Ends a part, and notes it in the journal; it gets its name with all others. */
  async #seal(signal: AbortSignal): Promise<void> {
    const file = await this.#current!.seal(signal);
    this.#current = undefined;
    const { inode, size: bytes } = file;
    const sha256 = await file.digest();
    await file.sync();
    await file.close();
    const name = basename(this.#names.part(this.#sealed.length + 1));
    const part: SealedPart = { name, records: this.#records, bytes, sha256, inode };
    await this.#journal!.append(Buffer.from(`${JSON.stringify(part)}\n`));
    this.#sealed.push(part);
  }

  async flush(): Promise<void> {
    await this.#current?.flush();
    await this.#journal?.sync();
  }

  async finish(signal: AbortSignal): Promise<void> {
    const journal = this.#journal;
    if (journal === undefined) return;
    await this.#seal(signal);
    const { label, options } = this.#endpoint;
    const { manifest } = this.#names;
    const mayReplace = options.ifExists !== "fail";
    const old = mayReplace ? await this.#oldManifest() : undefined;
    const gone = ({ name }: SealedPart) =>
      new P2PError("STORE_CHANGED", `The part ${name} of ${label} was taken away while the others were written`);
    if (old) {
      // A dump is not taken away for another that is not whole.
      for (const part of this.#sealed) {
        if (!(await UnfinishedFile.isThere(this.#pathOf(part), part.inode))) throw gone(part);
      }
      // Without a manifest nobody takes the parts for a dump while they change.
      await unlink(manifest);
    }
    for (const part of this.#sealed) {
      const file = await this.#unfinished(part, "anywhere");
      if (file === undefined) throw gone(part);
      await file.finish(this.#pathOf(part), mayReplace);
    }
    const made = await UnfinishedFile.create(manifest, label);
    await made.append(Buffer.from(manifestText(this.#sealed)));
    await made.finish(manifest, mayReplace);
    await this.#removeOld(old);
    this.#journal = undefined;
    await journal.discard();
  }

  #unfinished(part: SealedPart, where: "unfinished" | "anywhere"): Promise<UnfinishedFile | undefined> {
    return UnfinishedFile.find(this.#pathOf(part), this.#endpoint.label, part.inode, where);
  }

  #pathOf({ name }: ManifestPart): string {
    return join(dirname(this.#names.manifest), name);
  }

  /** Parts of the dump that was replaced, where it had more of them. */
  async #removeOld(old: Manifest | undefined): Promise<void> {
    const kept = new Set(this.#sealed.map(({ name }) => name));
    for (const part of old?.parts ?? []) {
      if (!kept.has(part.name)) await unlink(this.#pathOf(part)).catch(() => {});
    }
  }

  async close(): Promise<void> {
    const [current, journal] = [this.#current, this.#journal];
    this.#current = undefined;
    this.#journal = undefined;
    const isKept = this.#resumable && (this.#sealed.length > 0 || this.#records > 0);
    await current?.close();
    if (isKept || journal === undefined) {
      await journal?.close();
      return;
    }
    for (const part of this.#sealed) await (await this.#unfinished(part, "unfinished"))?.discard();
    await journal.discard();
  }
}

async function sealedIn(journal: UnfinishedFile): Promise<SealedPart[]> {
  const text = Buffer.from(await journal.read(0, journal.size)).toString("utf8");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as SealedPart);
}

function manifestText(sealed: readonly SealedPart[]): string {
  const parts = sealed.map(({ inode: _, ...part }): ManifestPart => part);
  const records = parts.reduce((sum, part) => sum + part.records, 0);
  const manifest: Manifest = { version: 1, records, parts };
  return `${JSON.stringify(manifest, undefined, 2)}\n`;
}

function parsePosition(position: JsonValue | undefined): PartedPosition | undefined {
  const { journal, size, part, records } = (position ?? {}) as Partial<PartedPosition>;
  const whole = typeof journal === "string" && [size, part, records].every((count) => Number.isSafeInteger(count));
  return whole ? (position as unknown as PartedPosition) : undefined;
}
