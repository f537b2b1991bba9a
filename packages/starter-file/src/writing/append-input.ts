/** A file that is appended to, as its format looks at it. */

import { ByteReader } from "../client/byte-reader.ts";
import type { Compression } from "../client/compression.ts";
import { gunzip } from "../client/gzip.ts";
import type { UnfinishedFile } from "../client/target-file.ts";
import { unzstd } from "../client/zstd.ts";
import type { FileEndpoint } from "../endpoint.ts";
import type { FormatInput } from "../formats/format.ts";

const CHUNK = 262_144;

/** The content of what is there, from its beginning or at any place. */
export function appendInput(
  { label, options }: FileEndpoint,
  file: UnfinishedFile,
  compression: Compression,
): FormatInput {
  const { size } = file;
  async function* raw(from: number): AsyncGenerator<Uint8Array> {
    for (let offset = from; offset < size; offset += CHUNK) yield file.read(offset, Math.min(CHUNK, size - offset));
  }
  async function* plain(from: number): AsyncGenerator<Uint8Array> {
    if (compression === "none") {
      yield* raw(from);
      return;
    }
    let skip = from;
    const decode = compression === "gzip" ? gunzip : unzstd;
    for await (const chunk of decode(new ByteReader(raw(0)), label, () => {})) {
      if (skip < chunk.length) yield chunk.subarray(skip);
      skip = Math.max(0, skip - chunk.length);
    }
  }
  return {
    label,
    options,
    bytes: plain,
    ...(compression === "none" && {
      random: { size, read: (offset: number, length: number) => file.read(offset, length) },
    }),
    signal: new AbortController().signal,
  };
}
