/** Compression: what a file is compressed with, by its name or by its first bytes. */
import type { FileOptions } from "../endpoint.ts";

/** How a file is compressed. */
export type Compression = NonNullable<FileOptions["compression"]>;

const ENDINGS: readonly (readonly [string, Compression])[] = [
  [".gz", "gzip"],
  [".gzip", "gzip"],
  [".zst", "zstd"],
  [".zstd", "zstd"],
];

/** What the name of a file says of its compression, and the name without that. */
export function compressionOfName(path: string): { readonly compression: Compression; readonly bare: string } {
  const lower = path.toLowerCase();
  const found = ENDINGS.find(([ending]) => lower.endsWith(ending));
  return found ? { compression: found[1], bare: path.slice(0, -found[0].length) } : { compression: "none", bare: path };
}

/** What the first bytes of a file say of its compression; no format of ours begins with these. */
export function compressionOfBytes(head: Uint8Array): Compression {
  if (head[0] === 0x1f && head[1] === 0x8b) return "gzip";
  if (head[0] === 0x28 && head[1] === 0xb5 && head[2] === 0x2f && head[3] === 0xfd) return "zstd";
  // A skippable frame, with which the files of pzstd begin.
  if ((head[0]! & 0xf0) === 0x50 && head[1] === 0x2a && head[2] === 0x4d && head[3] === 0x18) return "zstd";
  return "none";
}
