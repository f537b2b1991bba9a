/** A gzip decoder that tells where each member of a file begins, so that reading can go on at one. */
import { crc32, createInflateRaw } from "node:zlib";
import { P2PError } from "@omni/p2p-core/starter";
import type { ByteReader } from "./byte-reader.ts";

/** Hears where a member begins: by the bytes of the file, and by those that come out. */
export type OnMember = (compressed: number, plain: number) => void;

const CHUNK = 65_536;
const FLAG_HEADER_CRC = 2;
const FLAG_EXTRA = 4;
const FLAG_NAME = 8;
const FLAG_COMMENT = 16;

/** The bytes that gzip members hold, one member after the other. Zeros after the last one are padding. */
export async function* gunzip(
  reader: ByteReader,
  label: string,
  onMember: OnMember,
  from = { compressed: 0, plain: 0 },
): AsyncGenerator<Uint8Array> {
  let plain = from.plain;
  const torn = () =>
    new P2PError(
      "READ_FAILED",
      `${label} is a truncated gzip file: it ends in the middle of a member, after ${plain} bytes of content; what came before was read. Fetch it again`,
    );
  const damaged = (why: string, cause?: unknown) =>
    new P2PError(
      "READ_FAILED",
      `${label} is a damaged gzip file: ${why}, after ${plain} bytes of content. Fetch it again`,
      {
        cause,
      },
    );
  for (let first = true; ; first = false) {
    const mark = await reader.peek(1);
    if (mark.length === 0) {
      if (first && from.compressed === 0) throw torn();
      return;
    }
    if (!first && mark[0] === 0 && (await onlyZeros(reader))) return;
    onMember(from.compressed + reader.offset, plain);
    await skipHeader(reader, torn, damaged);
    let crc = 0;
    let size = 0;
    for await (const chunk of inflate(reader, torn, damaged)) {
      crc = crc32(chunk, crc);
      size += chunk.length;
      plain += chunk.length;
      yield chunk;
    }
    const trailer = await reader.take(8);
    if (trailer === undefined) throw torn();
    const view = new DataView(trailer.buffer, trailer.byteOffset, 8);
    if (view.getUint32(0, true) !== crc || view.getUint32(4, true) !== size % 2 ** 32) {
      throw damaged("a checksum does not fit its content");
    }
  }
}

async function onlyZeros(reader: ByteReader): Promise<boolean> {
  for (let some = await reader.some(CHUNK); some.length > 0; some = await reader.some(CHUNK)) {
    if (some.some((byte) => byte !== 0)) {
      reader.giveBack(some);
      return false;
    }
  }
  return true;
}

async function skipHeader(reader: ByteReader, torn: () => P2PError, damaged: (why: string) => P2PError): Promise<void> {
  const header = await reader.take(10);
  if (header === undefined) throw torn();
  if (header[0] !== 0x1f || header[1] !== 0x8b || header[2] !== 8) throw damaged("something that is no gzip follows");
  const flags = header[3]!;
  if (flags & FLAG_EXTRA) {
    const length = await reader.take(2);
    if (length === undefined || (await reader.take(length[0]! + 256 * length[1]!)) === undefined) throw torn();
  }
  for (const flag of [FLAG_NAME, FLAG_COMMENT]) {
    if (!(flags & flag)) continue;
    for (let byte = await reader.take(1); byte?.[0] !== 0; byte = await reader.take(1)) {
      if (byte === undefined) throw torn();
    }
  }
  if (flags & FLAG_HEADER_CRC && (await reader.take(2)) === undefined) throw torn();
}

/** One deflate stream; what was read beyond its end goes back. */
async function* inflate(
  reader: ByteReader,
  torn: () => P2PError,
  damaged: (why: string, cause: unknown) => P2PError,
): AsyncGenerator<Uint8Array> {
  const engine = createInflateRaw({ chunkSize: CHUNK });
  let ended = false;
  let last: Uint8Array = new Uint8Array(0);
  let given = 0;
  const feed = async () => {
    while (!ended) {
      const chunk = await reader.some(CHUNK);
      if (chunk.length === 0) {
        engine.destroy(torn());
        return;
      }
      last = chunk;
      given += chunk.length;
      // The callback may come before what is still to be given out, or never, for a chunk in which the stream ends.
      await new Promise<void>((resolve) => {
        engine.once("end", resolve);
        engine.once("close", resolve);
        engine.write(chunk, () => {
          engine.off("end", resolve);
          engine.off("close", resolve);
          resolve();
        });
      });
      // What is left over is not of this stream.
      if (engine.destroyed || engine.bytesWritten < given) return;
    }
  };
  engine.once("end", () => {
    ended = true;
  });
  const feeding = feed().catch((error: unknown) => {
    engine.destroy(error as Error);
  });
  try {
    for await (const out of engine) yield out as Uint8Array;
    ended = true;
  } catch (error) {
    throw error instanceof P2PError ? error : damaged("it cannot be inflated", error);
  } finally {
    ended = true;
    engine.destroy();
    await feeding;
  }
  const over = given - engine.bytesWritten;
  if (over > 0) reader.giveBack(last.subarray(last.length - over));
}
