/**
 * A zstd decoder that tells where each frame of a file begins, so that reading can go on at one. Node's own decoder ends with
 * the first frame and leaves out all others in silence, so frames are told apart here, by the headers of their blocks (RFC 8878).
 */
import { createZstdDecompress } from "node:zlib";
import { P2PError } from "@omni/p2p-core/starter";
import type { ByteReader } from "./byte-reader.ts";
import type { OnMember } from "./gzip.ts";

const FRAME = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;
const CHUNK = 65_536;

/** The bytes that zstd frames hold, one frame after the other. */
export async function* unzstd(
  reader: ByteReader,
  label: string,
  onMember: OnMember,
  from = { compressed: 0, plain: 0 },
): AsyncGenerator<Uint8Array> {
  let plain = from.plain;
  const trouble = (why: string, cause?: unknown) =>
    new P2PError("READ_FAILED", `${label} is a ${why}, after ${plain} bytes of content. Fetch it again`, { cause });
  const torn = () => trouble("truncated zstd file: it ends in the middle of a frame");
  for (let first = true; ; first = false) {
    const mark = await reader.peek(4);
    if (mark.length === 0) {
      if (first && from.compressed === 0) throw torn();
      return;
    }
    if (mark.length < 4) throw torn();
    const magic = uint32(mark, 0);
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE) {
      await skip(reader, torn);
      continue;
    }
    if (magic !== FRAME) throw trouble("damaged zstd file: something that is no frame follows");
    onMember(from.compressed + reader.offset, plain);
    const engine = createZstdDecompress({ chunkSize: CHUNK });
    const feeding = feed(reader, engine, torn);
    try {
      for await (const out of engine) {
        plain += (out as Uint8Array).length;
        yield out as Uint8Array;
      }
    } catch (error) {
      throw error instanceof P2PError ? error : trouble("damaged zstd file", error);
    } finally {
      engine.destroy();
      await feeding;
    }
  }
}

async function skip(reader: ByteReader, torn: () => P2PError): Promise<void> {
  const header = await reader.take(8);
  if (header === undefined) throw torn();
  for (let left = uint32(header, 4); left > 0; ) {
    const some = await reader.some(Math.min(left, CHUNK));
    if (some.length === 0) throw torn();
    left -= some.length;
  }
}

/** Hands one frame to the decoder, piece by piece, and not a byte of the next one. */
async function feed(
  reader: ByteReader,
  engine: ReturnType<typeof createZstdDecompress>,
  torn: () => P2PError,
): Promise<void> {
  const give = (bytes: Uint8Array): Promise<void> =>
    new Promise((resolve) => {
      engine.once("close", resolve);
      engine.write(bytes, () => {
        engine.off("close", resolve);
        resolve();
      });
    });
  const pass = async (length: number): Promise<Uint8Array> => {
    const bytes = await reader.take(length);
    if (bytes === undefined) throw torn();
    await give(bytes);
    return bytes;
  };
  try {
    const descriptor = (await reader.peek(5))[4];
    if (descriptor === undefined) throw torn();
    await pass(headerLength(descriptor));
    for (let last = false; !last && !engine.destroyed; ) {
      const header = await pass(3);
      const word = header[0]! | (header[1]! << 8) | (header[2]! << 16);
      last = (word & 1) === 1;
      const isRunLength = ((word >> 1) & 3) === 1;
      await pass(isRunLength ? 1 : word >> 3);
    }
    if (descriptor & 4) await pass(4);
    engine.end();
  } catch (error) {
    engine.destroy(error as Error);
  }
}

/** Bytes of a frame's header, with its magic number, by the descriptor that follows that. */
function headerLength(descriptor: number): number {
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const dictionary = [0, 1, 2, 4][descriptor & 3]!;
  const content = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  return 5 + (isSingleSegment ? 0 : 1) + dictionary + content;
}

function uint32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0, true);
}
