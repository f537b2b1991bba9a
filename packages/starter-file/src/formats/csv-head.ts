/** Reads the head of a delimited text, by which its dialect is detected, from a stream that is read once. */
import { HEAD_BYTES, type Layout, layoutOf } from "./csv-layout.ts";
import { parseCsvOptions } from "./csv-options.ts";
import type { FormatInput } from "./format.ts";

/** Takes the beginning of a stream off, so that it can be looked at before it is read. */
async function takeHead(
  chunks: AsyncIterator<Uint8Array>,
): Promise<{ readonly head: Buffer; readonly whole: boolean }> {
  const taken: Uint8Array[] = [];
  let bytes = 0;
  while (bytes < HEAD_BYTES) {
    const { done, value } = await chunks.next();
    if (done) return { head: Buffer.concat(taken), whole: true };
    taken.push(value);
    bytes += value.length;
  }
  return { head: Buffer.concat(taken), whole: false };
}

/** What a file is like, by its beginning, and the stream behind that. */
export async function readHead(
  input: Pick<FormatInput, "bytes" | "label" | "options">,
  delimiter: string | undefined,
): Promise<{
  readonly layout: Layout;
  readonly head: Buffer;
  readonly rest: AsyncIterator<Uint8Array>;
  readonly isEmpty: boolean;
}> {
  const { label, options } = input;
  const given = parseCsvOptions(label, options, delimiter);
  const rest = input.bytes(0)[Symbol.asyncIterator]();
  const { head, whole } = await takeHead(rest);
  // Exactly so many bytes, however they came.
  const seen = head.subarray(0, HEAD_BYTES);
  const { header, sample, maxLine } = options;
  const layout = layoutOf(seen, whole && head.length <= HEAD_BYTES, { ...given, label, header, sample, maxLine });
  return { layout, head, rest, isEmpty: head.length <= layout.dialect.encoding.markLength };
}
