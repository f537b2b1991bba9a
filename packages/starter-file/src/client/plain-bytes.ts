/** Decompression by members: the plain bytes of a file from any offset on, by way of the member that holds it. */
import { ByteReader } from "./byte-reader.ts";
import { type Compression, compressionOfBytes } from "./compression.ts";
import { gunzip, type OnMember } from "./gzip.ts";
import type { OpenFile } from "./source-file.ts";
import { unzstd } from "./zstd.ts";

/** Where a member begins, in the file and in its content. */
export interface Member {
  readonly compressed: number;
  readonly plain: number;
}

const START: Member = { compressed: 0, plain: 0 };
const CHUNK = 262_144;

/** The content of a file. */
export class PlainBytes {
  readonly #file: OpenFile;
  readonly #label: string;
  readonly compression: Compression;
  /** The pipe's own bytes, of which the first were looked at. */
  readonly #piped: ByteReader | undefined;
  #pipeTaken = false;
  #readerAt: { readonly from: number; readonly reader: ByteReader } | undefined;
  /** Members that may hold a place that is still asked for, the oldest first. */
  #members: Member[] = [];

  private constructor(file: OpenFile, label: string, compression: Compression, piped: ByteReader | undefined) {
    this.#file = file;
    this.#label = label;
    this.compression = compression;
    this.#piped = piped;
  }

  /** @param named the compression that the name or an option tells: it holds where there are no bytes to look at. */
  static async open(file: OpenFile, named: Compression, isGiven: boolean): Promise<PlainBytes> {
    const piped = file.isPipe ? new ByteReader(file.chunks(0, CHUNK)) : undefined;
    const head = piped ? await piped.peek(4) : await file.read(0, 4);
    const compression = isGiven || head.length === 0 ? named : compressionOfBytes(head);
    return new PlainBytes(file, file.file.name, compression, piped);
  }

  /** Bytes of the file that were decompressed so far. */
  get compressedRead(): number {
    return this.#readerAt ? this.#readerAt.from + this.#readerAt.reader.offset : 0;
  }

  /** @param member one that was told before, at or before the offset. */
  async *from(offset: number, member: Member = this.memberAt(offset)): AsyncGenerator<Uint8Array> {
    if (this.compression === "none" && !this.#piped) {
      yield* this.#file.chunks(offset, CHUNK);
      return;
    }
    const reader = this.#raw(member.compressed);
    this.#readerAt = { from: member.compressed, reader };
    const note = (compressed: number, plain: number) => {
      if (plain >= (this.#members.at(-1)?.plain ?? -1)) this.#members.push({ compressed, plain });
    };
    try {
      yield* decompressed(reader, this.compression, this.#label, offset, member, note);
    } finally {
      await reader.close();
    }
  }

  /** The last member known that begins at or before a place; those before it are forgotten. */
  memberAt(place: number): Member {
    const after = this.#members.findIndex(({ plain }) => plain > place);
    const at = (after < 0 ? this.#members.length : after) - 1;
    if (at > 0) this.#members = this.#members.slice(at);
    return at < 0 ? START : this.#members[0]!;
  }

  #raw(from: number): ByteReader {
    if (!this.#piped) return new ByteReader(this.#file.chunks(from, CHUNK));
    if (this.#pipeTaken) throw new Error("a pipe is read once");
    this.#pipeTaken = true;
    return this.#piped;
  }
}

/** The content from an offset on. @param member where the reader begins, at or before the offset. */
export async function* decompressed(
  reader: ByteReader,
  compression: Compression,
  label: string,
  offset: number,
  member: Member = START,
  onMember: OnMember = () => {},
): AsyncGenerator<Uint8Array> {
  const decode = { none: plain, gzip: gunzip, zstd: unzstd }[compression];
  let skipping = offset - member.plain;
  for await (const chunk of decode(reader, label, onMember, member)) {
    if (skipping >= chunk.length) skipping -= chunk.length;
    else {
      yield skipping > 0 ? chunk.subarray(skipping) : chunk;
      skipping = 0;
    }
  }
}

async function* plain(reader: ByteReader): AsyncGenerator<Uint8Array> {
  for (let some = await reader.some(CHUNK); some.length > 0; some = await reader.some(CHUNK)) yield some;
}
