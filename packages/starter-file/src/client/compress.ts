/** Compression of what is written: each batch is a member or frame of its own, so that a file can be cut after any of them. */
import { promisify } from "node:util";
import { constants, gzip, zstdCompress } from "node:zlib";
import type { Compression } from "./compression.ts";

const gzipMember = promisify(gzip);
const zstdFrame = promisify(zstdCompress);

/** The bytes as they stand in a file. */
export async function compress(
  bytes: Uint8Array,
  compression: Compression,
  level: number | undefined,
): Promise<Uint8Array> {
  switch (compression) {
    case "none":
      return bytes;
    case "gzip":
      return gzipMember(bytes, { level: Math.min(9, level ?? 6) });
    case "zstd":
      return zstdFrame(bytes, {
        params: {
          [constants.ZSTD_c_compressionLevel]: level ?? 3,
          [constants.ZSTD_c_checksumFlag]: 1,
        },
      });
  }
}
