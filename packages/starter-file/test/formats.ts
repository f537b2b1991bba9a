/** Reads and writes texts by a format, without files. */
import { type P2PRecord, parseOptions } from "@omni/p2p-core/starter";
import { type FileOptions, fileOptions } from "../src/endpoint.ts";
import type { Encoded, Format, FormatInput, Item, Position, WriterStart } from "../src/formats/format.ts";

/** Options as an endpoint has them. */
export function optionsOf(given: Readonly<Record<string, string | number | boolean>> = {}): FileOptions {
  return parseOptions(fileOptions, { endpointId: "x", storageType: "file", database: "x", metadata: given });
}

async function* inChunks(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const size = Math.max(1, sizes.length === 0 ? 65_536 : sizes[i % sizes.length]!);
    // A copy: a chunk belongs to whoever takes it.
    yield Uint8Array.prototype.slice.call(bytes, at, at + size);
    at += size;
  }
}

/** How to read. */
export interface Reading {
  readonly options?: Readonly<Record<string, string | number | boolean>>;
  /** Sizes of the chunks, by turns. Default: 64 KiB. */
  readonly chunks?: readonly number[];
  readonly start?: Position;
  readonly upTo?: number;
}

/** The input of a format that has these bytes. */
export function inputOf(bytes: Uint8Array, { options, chunks = [], start, upTo }: Reading = {}): FormatInput {
  return {
    label: "file:x",
    options: optionsOf(options),
    bytes: (from) => inChunks(bytes.subarray(from), chunks),
    random: { size: bytes.length, read: async (offset, length) => bytes.slice(offset, offset + length) },
    ...(start === undefined ? {} : { start }),
    ...(upTo === undefined ? {} : { upTo }),
    signal: new AbortController().signal,
  };
}

/** All items of a file. */
export async function read(format: Format, file: Uint8Array | string, reading: Reading = {}): Promise<Item[]> {
  const items: Item[] = [];
  const bytes = typeof file === "string" ? Buffer.from(file) : file;
  for await (const some of format.read(inputOf(bytes, reading))) items.push(...some);
  return items;
}

/** What items say: their fields, or `line: message` of what is wrong. */
export function told(items: readonly Item[]): unknown[] {
  return items.map(({ fields, error }) => fields ?? error!.message);
}

/** Writes records in batches of a size. */
export async function write(
  format: Format,
  records: readonly P2PRecord[],
  options: Readonly<Record<string, string | number | boolean>> = {},
  start: Partial<WriterStart> & { readonly batch?: number } = {},
): Promise<{ readonly bytes: Buffer; readonly failures: Encoded["failures"] }> {
  const { batch = 500, ...begin } = start;
  const writer = await format.writer!({ label: "file:y", options: optionsOf(options), ...begin });
  const chunks: Uint8Array[] = [];
  const failures: Encoded["failures"][number][] = [];
  for (let at = 0; at < records.length; at += batch) {
    const encoded = await writer.encode(records.slice(at, at + batch));
    chunks.push(...encoded.chunks);
    failures.push(...encoded.failures.map((failure) => ({ ...failure, index: failure.index + at })));
  }
  chunks.push(...writer.end());
  return { bytes: Buffer.concat(chunks), failures };
}

/** Makes a file of records by a format that is made in one go. */
export async function convert(
  format: Format,
  records: readonly P2PRecord[],
  options: Readonly<Record<string, string | number | boolean>> = {},
): Promise<{ readonly bytes: Buffer; readonly writes: number }> {
  const chunks: Uint8Array[] = [];
  async function* batches(): AsyncGenerator<readonly P2PRecord[]> {
    for (let at = 0; at < records.length; at += 100) yield records.slice(at, at + 100);
  }
  const sink = { write: async (bytes: Uint8Array) => void chunks.push(bytes) };
  const context = { label: "file:y", options: optionsOf(options), signal: new AbortController().signal };
  await format.convert!({ records: batches }, sink, context);
  return { bytes: Buffer.concat(chunks), writes: chunks.length };
}
