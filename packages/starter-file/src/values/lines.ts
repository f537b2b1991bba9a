/** A splitter of bytes into lines, with a bound on the length of a line. */
import { P2PError } from "@omni/p2p-core/starter";

const NEWLINE = 10;

/** A line without its end. */
export interface Line {
  /** Absent for one that is too long. */
  readonly bytes: Buffer | undefined;
  /** Its number, from that of the first one on. */
  readonly number: number;
  /** Bytes before its end, with the end. */
  readonly end: number;
  /** Its length, with its end. */
  readonly length: number;
  /** Whether a line feed follows: the last line of a file may lack it. */
  readonly isWhole: boolean;
}

/** Lines of bytes, those of one chunk together. A line that is too long is dropped as it comes, and told without its bytes. */
export async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
  maxLine: number,
  at: number,
  number: number,
): AsyncGenerator<Line[]> {
  let held: Buffer[] = [];
  let length = 0;
  let tooLong = false;
  let end = at;
  let next = number;
  const line = (rest: Buffer, isWhole: boolean): Line => {
    const total = length + rest.length + (isWhole ? 1 : 0);
    const fits = !tooLong && length + rest.length <= maxLine;
    const bytes = !fits ? undefined : held.length === 0 ? rest : Buffer.concat([...held, rest]);
    end += total;
    held = [];
    length = 0;
    tooLong = false;
    return { bytes, number: next++, end, length: total, isWhole };
  };
  for await (const chunk of chunks) {
    const buffer = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const lines: Line[] = [];
    let from = 0;
    for (let to = buffer.indexOf(NEWLINE); to >= 0; to = buffer.indexOf(NEWLINE, from)) {
      lines.push(line(buffer.subarray(from, to), true));
      from = to + 1;
    }
    if (from < buffer.length) {
      const rest = buffer.subarray(from);
      length += rest.length;
      tooLong ||= length > maxLine;
      if (tooLong) held = [];
      else held.push(rest);
    }
    yield lines;
  }
  if (length > 0) yield [line(Buffer.alloc(0), false)];
}

/** Why a line that is longer than it may be is no record. */
export function tooLongError(length: number, maxLine: number): P2PError {
  return new P2PError(
    "RECORD_TOO_LARGE",
    `it has ${length} bytes, and ${maxLine} are the most; allow more with maxLine if it is a record`,
  );
}
