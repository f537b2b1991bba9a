/** An open source: the files of an endpoint, their format, and how their records are named. */
import { P2PError, type P2PObject, type SourceExtent, type StoreIdentity } from "@omni/p2p-core/starter";
import { compressionOfName } from "../client/compression.ts";
import { type Member, PlainBytes } from "../client/plain-bytes.ts";
import { findSources, incarnationOf, OpenFile, type SourceFile, thingsOf } from "../client/source-file.ts";
import type { FileEndpoint } from "../endpoint.ts";
import type { Format, FormatInput, Position } from "../formats/format.ts";
import { formatOf } from "../formats/formats.ts";
import { parseCursor } from "../query/cursor.ts";
import { givenKey, type Key, keyByFields } from "../values/key.ts";

/** A file that is open, as its format reads it. */
export interface OpenInput extends AsyncDisposable {
  readonly input: FormatInput;
  readonly file: OpenFile;
  readonly bytes: PlainBytes;
}

/** Where in a file to read. */
export interface InputRange {
  readonly start?: Position | undefined;
  readonly member?: Member | undefined;
  readonly upTo?: number | undefined;
}

/** What an endpoint leads to at one moment: each read looks anew, and keeps to what it found then. */
export class FileSource {
  readonly endpoint: FileEndpoint;
  readonly files: readonly SourceFile[];
  readonly format: Format;
  /** For progress: bytes before each file and after the last, when it was last asked which they are, as a transfer does first. */
  #offsets: readonly number[];
  #key: Key | undefined;

  private constructor(endpoint: FileEndpoint, files: readonly SourceFile[], format: Format) {
    this.endpoint = endpoint;
    this.files = files;
    this.#offsets = offsetsOf(files);
    this.format = format;
    this.#key = givenKey(endpoint.options.key);
  }

  /** @throws P2PError `SOURCE_NOT_FOUND`, `INVALID_ENDPOINT` */
  static async open(endpoint: FileEndpoint): Promise<FileSource> {
    const files = await findSources(endpoint);
    const isDump = files[0]?.expected !== undefined;
    const format = formatOf(
      isDump ? { ...endpoint, path: files[0]!.path } : endpoint,
      files.map(({ path }) => path),
    );
    return new FileSource(endpoint, files, format);
  }

  /** A pipe is read once, from one end to the other. */
  get isPipe(): boolean {
    return this.files.some(({ mark }) => mark === undefined);
  }

  /** Bytes that a query reads, and those before a cursor, for progress. */
  readonly extent: SourceExtent = {
    total: ({ limit, partition }) =>
      this.isPipe || limit !== undefined || partition !== undefined ? undefined : this.#offsets.at(-1),
    before: (cursor) => {
      const { file, at, read } = parseCursor(cursor);
      return (this.#offsets[file] ?? this.#offsets.at(-1)!) + (read ?? at);
    },
  };

  /** Records of a dump, as its manifest says; `undefined` for other files. */
  get expectedRecords(): number | undefined {
    if (this.files.some(({ expected }) => expected === undefined)) return undefined;
    return this.files.reduce((sum, { expected }) => sum + expected!.records, 0);
  }

  /** Which files they are at this moment, and of which making. */
  async identity(): Promise<StoreIdentity> {
    if (this.isPipe) return { certain: true };
    const now = await findSources(this.endpoint).catch((error: unknown) => {
      if (error instanceof P2PError && error.code === "SOURCE_NOT_FOUND") return [];
      throw error;
    });
    if (now.length === 0) return { certain: true };
    this.#offsets = offsetsOf(now);
    return { ...(await thingsOf(now)), incarnation: incarnationOf(now), certain: true };
  }

  async openInput(file: SourceFile, range: InputRange, signal: AbortSignal): Promise<OpenInput> {
    const { options } = this.endpoint;
    const open = await OpenFile.open(file);
    try {
      const named = options.compression ?? compressionOfName(file.path).compression;
      const bytes = await PlainBytes.open(open, named, options.compression !== undefined);
      const { start, member, upTo } = range;
      const isMiddle = start !== undefined && start.at > 0 && start.line === 1;
      const input: FormatInput = {
        label: isMiddle ? `${file.name} from byte ${start.at} on` : file.name,
        options,
        bytes: (from) => bytes.from(from, from > 0 && from === start?.at ? member : undefined),
        ...(bytes.compression === "none" &&
          !open.isPipe && { random: { size: file.size, read: (offset, length) => open.read(offset, length) } }),
        ...(start !== undefined && { start }),
        ...(upTo !== undefined && { upTo }),
        signal,
      };
      return { input, file: open, bytes, [Symbol.asyncDispose]: () => open.close() };
    } catch (error) {
      await open.close();
      throw error;
    }
  }

  /**
   * How records are named: by the option, else by what the first record of the first file has.
   *
   * @param first that record, where it is at hand.
   */
  async key(signal: AbortSignal, first?: P2PObject): Promise<Key> {
    this.#key ??= keyByFields(first ?? (await this.#firstFields(signal)));
    return this.#key;
  }

  async #firstFields(signal: AbortSignal): Promise<P2PObject> {
    for (const file of this.files) {
      await using open = await this.openInput(file, {}, signal);
      for await (const items of this.format.read(open.input)) {
        const found = items.find(({ fields }) => fields !== undefined);
        if (found?.fields) return found.fields;
      }
    }
    return {};
  }
}

function offsetsOf(files: readonly SourceFile[]): readonly number[] {
  const offsets = [0];
  for (const { size } of files) offsets.push(offsets.at(-1)! + size);
  return offsets;
}
