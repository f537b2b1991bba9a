/** A file that is appended to, as its format looks at it. */

import { ByteReader } from "../client/byte-reader.ts";
import type { Compression } from "../client/compression.ts";
import { decompressed } from "../client/plain-bytes.ts";
import type { UnfinishedFile } from "../client/target-file.ts";
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
  return {
    label,
    options,
    bytes: (from) =>
      compression === "none" ? raw(from) : decompressed(new ByteReader(raw(0)), compression, label, from),
    ...(compression === "none" && {
      random: { size, read: (offset: number, length: number) => file.read(offset, length) },
    }),
    signal: new AbortController().signal,
  };
}
