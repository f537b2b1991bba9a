/** A sequential target: encodes records, and writes them to a file that is seen once it is whole. */
import {
  type BeginOptions,
  type JsonValue,
  P2PError,
  type P2PRecord,
  type SequentialTarget,
  type StoreIdentity,
  toP2PError,
  type WriteFailure,
  type WriteOptions,
  type WriteResult,
} from "@omni/p2p-core/starter";
import { compress } from "../client/compress.ts";
import { type Compression, compressionOfBytes, compressionOfName } from "../client/compression.ts";
import { notBegunError, resumeError } from "../client/errors.ts";
import { openPipe, type Pipe } from "../client/pipe.ts";
import { incarnationAt, stateAt, thingAt } from "../client/source-file.ts";
import { existsError, findTarget, removeLeftovers, type TargetPlace, UnfinishedFile } from "../client/target-file.ts";
import type { FileEndpoint } from "../endpoint.ts";
import type { Format, FormatInput, FormatWriter } from "../formats/format.ts";
import { ndjson } from "../formats/ndjson.ts";
import { fieldsOf, givenKey, type Key } from "../values/key.ts";
import { appendInput } from "./append-input.ts";

/** A format that can write records as they come. */
type StreamFormat = Format & Required<Pick<Format, "writer">>;

/** Where writing stands, as a checkpoint keeps it. */
interface TargetPosition {
  /** What was appended to, as it was: only that may be replaced by its longer copy. */
  readonly base?: string;
  readonly inode: string;
  readonly size: number;
  readonly state: JsonValue;
}

/** A sequential target with all that a service asks of it. */
export interface OpenTarget extends SequentialTarget {
  /** It has begun to write to a pipe or a device, from which nothing is read back. */
  readonly isPipe: boolean;
  identity(): Promise<StoreIdentity>;
  write(records: readonly P2PRecord[], options: WriteOptions): Promise<WriteResult>;
  close(): Promise<void>;
}

/** A file, or a pipe, that records are written to. */
export class FileTarget implements OpenTarget {
  readonly #endpoint: FileEndpoint;
  /** What is written as a stream: for a format that is made in one go the spool that it is made of. */
  readonly #stream: StreamFormat;
  readonly #convert: Format["convert"];
  #compression: Compression;
  readonly #key: Key | undefined;
  #place: TargetPlace | undefined;
  #file: UnfinishedFile | undefined;
  #pipe: Pipe | undefined;
  #base: string | undefined;
  #writer: FormatWriter | undefined;
  #resumable = false;
  #written = false;
  isPipe = false;

  constructor(endpoint: FileEndpoint, format: Format) {
    this.#endpoint = endpoint;
    this.#convert = format.writer ? undefined : format.convert;
    this.#stream = format.writer ? (format as StreamFormat) : (ndjson as StreamFormat);
    this.#compression = this.#namedCompression();
    this.#key = givenKey(endpoint.options.key);
  }

  #namedCompression(): Compression {
    const { path, options } = this.#endpoint;
    return this.#convert ? "none" : (options.compression ?? compressionOfName(path).compression);
  }

  /** Which file it is: the unfinished one, else what is there. */
  async identity(): Promise<StoreIdentity> {
    const { path, label } = this.#endpoint;
    const place = path === "-" ? undefined : (this.#place ?? (await findTarget(path, label)));
    if (place === undefined || place.isStream) return { certain: true };
    const incarnation = this.#file?.incarnation ?? (await incarnationAt(place.path));
    return { thing: await thingAt(place.path), certain: true, ...(incarnation !== undefined && { incarnation }) };
  }

  async begin({ after, abandoned, resumable }: BeginOptions): Promise<void> {
    const { path, label } = this.#endpoint;
    await this.close();
    this.#resumable = resumable;
    this.#written = false;
    this.#compression = this.#namedCompression();
    this.#place = path === "-" ? undefined : await findTarget(path, label);
    this.isPipe = this.#place === undefined || this.#place.isStream;
    if (this.#place === undefined || this.#place.isStream) {
      if (this.#convert) {
        throw new P2PError(
          "UNSUPPORTED_OPERATION",
          `${label} is no file, and a format that is made in one go needs one; take another format`,
        );
      }
      if (after !== undefined) throw this.#mismatch("what was written to a pipe cannot be taken back");
      this.#writer = await this.#newWriter();
      this.#pipe = await openPipe(path, label);
      return;
    }
    if (after === undefined) await this.#beginFile(this.#place, parsePosition(abandoned));
    else await this.#resumeFile(this.#place, parsePosition(after));
  }

  async #beginFile({ path, exists }: TargetPlace, abandoned: TargetPosition | undefined): Promise<void> {
    const { label, options } = this.#endpoint;
    const old = abandoned && (await UnfinishedFile.find(path, label, abandoned.inode, "unfinished"));
    await old?.discard();
    if (exists && options.ifExists === "fail") throw existsError(label);
    await removeLeftovers(path);
    if (this.#convert && exists && options.ifExists === "append") {
      throw new P2PError(
        "UNSUPPORTED_OPERATION",
        `Nothing can be appended to ${label}, which is made in one go; take ?ifExists=replace`,
      );
    }
    const isAppended = exists && options.ifExists === "append";
    this.#base = options.ifExists === "append" ? await baseAt(path) : undefined;
    this.#file = await UnfinishedFile.create(path, label, isAppended ? path : undefined);
    if (isAppended) this.#compression = await this.#compressionIn(this.#file);
    this.#writer = await this.#newWriter(isAppended && this.#file.size > 0 ? this.#file : undefined);
    if (this.#writer.keep !== undefined) await this.#file.cut(this.#writer.keep);
  }

  async #resumeFile({ path }: TargetPlace, position: TargetPosition | undefined): Promise<void> {
    if (position === undefined) throw this.#mismatch("the checkpoint does not say where it stood");
    const file = await UnfinishedFile.find(path, this.#endpoint.label, position.inode);
    if (file === undefined) throw this.#mismatch("its unfinished file is gone");
    try {
      await this.#assertGoesOn(path, file, position);
      if (position.base !== undefined && position.size > 0) this.#compression = await this.#compressionIn(file);
      const writer = await this.#stream.writer({ ...this.#start(), state: position.state });
      await file.cut(position.size);
      this.#writer = writer;
    } catch (error) {
      // Whoever is refused can still look at it, or go on with it another time.
      await file.giveBack(path);
      throw error;
    }
    this.#file = file;
    this.#base = position.base;
    this.#written = true;
  }

  async #assertGoesOn(path: string, file: UnfinishedFile, { base, size }: TargetPosition): Promise<void> {
    const now = await baseAt(path);
    if (now !== NOTHING && this.#endpoint.options.ifExists === "fail") throw existsError(this.#endpoint.label);
    if (base !== undefined && !file.wasFinished && now !== base) {
      throw this.#mismatch("the file that it appends to was changed or replaced");
    }
    if (file.size < size) throw this.#mismatch("its unfinished file is shorter than it was");
  }

  /** How what is there is compressed, whatever its name, since what is appended to it must be as well. */
  async #compressionIn(file: UnfinishedFile): Promise<Compression> {
    if (file.size === 0 || this.#convert) return this.#compression;
    const found = compressionOfBytes(await file.read(0, 4));
    const { label, options } = this.#endpoint;
    if (options.compression === undefined || options.compression === found) return found;
    throw new P2PError(
      "UNSUPPORTED_OPERATION",
      `Nothing can be appended to ${label} with ?compression=${options.compression}: what is there has compression ${found}; leave the option out`,
    );
  }

  #start() {
    const { label, options } = this.#endpoint;
    return { label, options };
  }

  async #newWriter(appendTo?: UnfinishedFile): Promise<FormatWriter> {
    if (appendTo === undefined) return this.#stream.writer(this.#start());
    const input = await appendInput(this.#endpoint, appendTo, this.#compression);
    return this.#stream.writer({ ...this.#start(), appendTo: input });
  }

  #mismatch(why: string): P2PError {
    return resumeError(this.#endpoint.label, why);
  }

  async write(records: readonly P2PRecord[], { mode, signal }: WriteOptions): Promise<WriteResult> {
    signal.throwIfAborted();
    const writer = this.#writer;
    if (writer === undefined) throw notBegunError(this.#endpoint.label);
    if (mode === "skip") {
      throw new P2PError(
        "UNSUPPORTED_OPERATION",
        `A file cannot tell which ids it holds, so mode "skip" cannot be had with ${this.#endpoint.label}; take upsert or insert, which write each record once`,
      );
    }
    const before = writer.state;
    const { fields, places, failures } = this.#keyed(records);
    const encoded = await writer.encode(fields);
    const plain = Buffer.concat(encoded.chunks);
    try {
      await this.#append(plain);
    } catch (error) {
      // What the writer remembers of these records is not so.
      this.#writer = await this.#stream.writer({ ...this.#start(), state: before });
      throw error;
    }
    this.#written = true;
    const all = [
      ...failures,
      ...encoded.failures.map(({ index, error }): WriteFailure => {
        const place = places?.[index] ?? index;
        return { index: place, id: records[place]!.id, error };
      }),
    ];
    const position = this.#position();
    return {
      written: records.length - all.length,
      skipped: 0,
      failures: all,
      bytes: plain.length,
      ...(position && { position: position as unknown as JsonValue }),
    };
  }

  /** The fields to write, and the places of their records where some have failed. */
  #keyed(records: readonly P2PRecord[]): {
    readonly fields: readonly P2PRecord[];
    readonly places?: readonly number[];
    readonly failures: readonly WriteFailure[];
  } {
    if (this.#key === undefined) return { fields: records, failures: [] };
    const fields: P2PRecord[] = [];
    const places: number[] = [];
    const failures: WriteFailure[] = [];
    for (const [index, record] of records.entries()) {
      try {
        fields.push(fieldsOf(record, this.#key) as P2PRecord);
        places.push(index);
      } catch (error) {
        failures.push({ index, id: record.id, error: toP2PError(error, "INVALID_RECORD", "it has no key") });
      }
    }
    return { fields, places, failures };
  }

  async #append(plain: Uint8Array): Promise<void> {
    if (plain.length === 0) return;
    const bytes = await compress(plain, this.#compression, this.#endpoint.options.level);
    if (this.#pipe) await this.#pipe.write(bytes);
    else await this.#file!.append(bytes);
  }

  #position(): TargetPosition | undefined {
    if (!this.#file) return undefined;
    return {
      ...(this.#base !== undefined && { base: this.#base }),
      ...{ inode: this.#file.inode, size: this.#file.size, state: this.#writer!.state },
    };
  }

  async flush(): Promise<void> {
    await this.#file?.sync();
  }

  /** Bytes that the file has by now. */
  get size(): number {
    return this.#file?.size ?? 0;
  }

  /** Ends a file that gets its name later, from whoever takes it. */
  async seal(signal: AbortSignal): Promise<UnfinishedFile> {
    await this.#end(signal);
    const file = this.#file!;
    this.#file = undefined;
    return file;
  }

  async #end(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.#append(Buffer.concat(this.#writer!.end()));
    // A compressed file without a member is no such file.
    if (this.#file?.size === 0 && this.#compression !== "none") {
      await this.#file.append(await compress(Buffer.alloc(0), this.#compression, undefined));
    }
    this.#writer = undefined;
  }

  async finish(signal: AbortSignal): Promise<void> {
    if (this.#writer === undefined) return;
    await this.#end(signal);
    await this.#pipe?.close();
    this.#pipe = undefined;
    const file = this.#file;
    if (file && this.#base !== undefined && !file.wasFinished && (await baseAt(this.#place!.path)) !== this.#base) {
      throw new P2PError(
        "STORE_CHANGED",
        `${this.#endpoint.label} was changed or replaced while records were appended to a copy of it; start the transfer anew without resume`,
      );
    }
    const mayReplace = this.#endpoint.options.ifExists !== "fail";
    if (file && this.#convert) {
      const made = await this.#converted(file, this.#convert, signal);
      await made.finish(this.#place!.path, mayReplace);
      this.#file = undefined;
      await file.discard();
    } else {
      this.#file = undefined;
      await file?.finish(this.#place!.path, mayReplace);
    }
    // What runs that were killed before this one went on had begun to make.
    if (file) await removeLeftovers(this.#place!.path);
  }

  /** The file that is made of all records of the spool. */
  async #converted(
    spool: UnfinishedFile,
    convert: NonNullable<Format["convert"]>,
    signal: AbortSignal,
  ): Promise<UnfinishedFile> {
    const made = await UnfinishedFile.create(this.#place!.path, this.#endpoint.label);
    try {
      const input = { ...appendInput(this.#endpoint, spool, "none"), signal };
      const context = { ...this.#start(), signal };
      await convert({ records: () => spooledRecords(input) }, { write: (bytes) => made.append(bytes) }, context);
      return made;
    } catch (error) {
      await made.discard();
      throw error;
    }
  }

  /** Ends what is unfinished: it stays where a run may go on with it. */
  async close(): Promise<void> {
    const [file, pipe] = [this.#file, this.#pipe];
    this.#file = undefined;
    this.#pipe = undefined;
    this.#writer = undefined;
    await pipe?.close();
    if (file === undefined) return;
    if (this.#resumable && this.#written) await file.close();
    else await file.discard();
  }
}

async function* spooledRecords(input: FormatInput): AsyncGenerator<readonly P2PRecord[]> {
  for await (const items of ndjson.read({
    ...input,
    options: { ...input.options, maxLine: Number.MAX_SAFE_INTEGER },
  })) {
    const lost = items.find(({ error }) => error !== undefined);
    if (lost?.error)
      throw new P2PError("WRITE_FAILED", `The spool of ${input.label} is damaged: ${lost.error.message}`);
    yield items.map(({ fields }) => fields as P2PRecord);
  }
}

function parsePosition(position: JsonValue | undefined): TargetPosition | undefined {
  const { inode, size } = (position ?? {}) as Partial<TargetPosition>;
  return typeof inode === "string" && Number.isSafeInteger(size) ? (position as unknown as TargetPosition) : undefined;
}

const NOTHING = "nothing";

async function baseAt(path: string): Promise<string> {
  return (await stateAt(path)) ?? NOTHING;
}
