/** Decompressors of the pages of Parquet, by codec. */
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import type { Compressors } from "hyparquet";
import { compressors, decompressLz4Raw } from "hyparquet-compressors";

/**
 * Node's own are several times as fast as those in JavaScript, and know what a page has at most. The frames of LZ4 are told
 * apart here: a damaged one has a negative length, with which the library goes round for ever.
 */
export const DECOMPRESSORS: Compressors = {
  ...compressors,
  GZIP: (input, length) => gunzipSync(input, { maxOutputLength: Math.max(1, length) }),
  BROTLI: (input, length) => brotliDecompressSync(input, { maxOutputLength: Math.max(1, length) }),
  ZSTD: (input, length) => zstdDecompressSync(input, { maxOutputLength: Math.max(1, length) }),
  LZ4: (input, length) => {
    const blocks = hadoopBlocks(input, length);
    if (blocks === undefined) return decompressLz4Raw(input, length);
    return Buffer.concat(blocks.map(({ bytes, length: own }) => decompressLz4Raw(bytes, own)));
  },
};

/** The blocks of a page as Hadoop frames them, each behind its two lengths; `undefined` for a page that is a block itself. */
function hadoopBlocks(
  input: Uint8Array,
  length: number,
): readonly { readonly bytes: Uint8Array; readonly length: number }[] | undefined {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  const blocks: { readonly bytes: Uint8Array; readonly length: number }[] = [];
  let at = 0;
  let left = length;
  while (at < input.length) {
    if (input.length - at < 8) return undefined;
    const [plain, compressed] = [view.getUint32(at), view.getUint32(at + 4)];
    at += 8;
    if (compressed === 0 || compressed > input.length - at || plain > left) return undefined;
    blocks.push({ bytes: input.subarray(at, at + compressed), length: plain });
    at += compressed;
    left -= plain;
  }
  return left === 0 ? blocks : undefined;
}
