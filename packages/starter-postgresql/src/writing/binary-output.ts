/** The bytes of COPY's binary format: cells by their type, and rows that grow in chunks, which are used again. */

const SIGNATURE = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");

/** Bytes of a chunk. */
const CHUNK = 512 * 1024;
/** Chunks that are kept to be used again: new ones make the engine collect garbage for the sake of their size. */
const MOST_KEPT = 16;

/** Buffers that nothing is sent from any more. */
const kept: Buffer[] = [];

function takeChunk(): Buffer {
  return kept.pop() ?? Buffer.allocUnsafeSlow(CHUNK);
}

/** Bytes that a cell without a text takes at most, its length included. */
export const CELL_BYTES = 16;
/** Bytes of one unit of a text at most. */
export const UNIT_BYTES = 3;

/** Texts of so many units are written one by one, where a call of the engine's own costs more. */
const SHORT = 24;

/** Milliseconds from 1970 to 2000, from which PostgreSQL counts. */
const EPOCH_2000 = 946_684_800_000;
/** Milliseconds whose microseconds are still exact numbers. */
const EXACT_MS = 9_000_000_000_000;
const TWO_32 = 4_294_967_296;

/** Where cells are written: the same bytes twice. Each of the functions beneath returns where what it wrote ends. */
export interface Room {
  readonly buffer: Buffer;
  readonly view: DataView;
}

export function putNull({ view }: Room, at: number): number {
  view.setInt32(at, -1);
  return at + 4;
}

/** A text. @returns -1 where it holds U+0000, which no text of the server can. */
export function putText({ buffer, view }: Room, at: number, text: string): number {
  const { length } = text;
  const start = at + 4;
  if (length <= SHORT) {
    let n = 0;
    for (; n < length; n++) {
      const code = text.charCodeAt(n);
      if (code > 0x7f || code === 0) break;
      buffer[start + n] = code;
    }
    if (n === length) {
      view.setInt32(at, length);
      return start + length;
    }
  }
  if (text.includes("\0")) return -1;
  const written = buffer.write(text, start);
  view.setInt32(at, written);
  return start + written;
}

/** A text of JSON for a `jsonb`, before which the version of the format stands. */
export function putJson({ buffer, view }: Room, at: number, text: string): number {
  buffer[at + 4] = 1;
  const written = buffer.write(text, at + 5);
  view.setInt32(at, written + 1);
  return at + 5 + written;
}

export function putFloat8({ view }: Room, at: number, value: number): number {
  view.setInt32(at, 8);
  view.setFloat64(at + 4, value);
  return at + 12;
}

export function putBool({ buffer, view }: Room, at: number, value: boolean): number {
  view.setInt32(at, 1);
  buffer[at + 4] = value ? 1 : 0;
  return at + 5;
}

/** An `int8` of a number that is a safe integer. */
export function putInteger({ view }: Room, at: number, value: number): number {
  const high = Math.floor(value / TWO_32);
  view.setInt32(at, 8);
  view.setInt32(at + 4, high);
  view.setUint32(at + 8, value - high * TWO_32);
  return at + 12;
}

export function putInt8({ view }: Room, at: number, value: bigint): number {
  view.setInt32(at, 8);
  view.setBigInt64(at + 4, value);
  return at + 12;
}

export function putTimestamp(room: Room, at: number, ms: number): number {
  const since = ms - EPOCH_2000;
  if (Math.abs(since) > EXACT_MS) return putInt8(room, at, BigInt(since) * 1000n);
  return putInteger(room, at, since * 1000);
}

export function putBytes({ buffer, view }: Room, at: number, value: Uint8Array): number {
  view.setInt32(at, value.length);
  buffer.set(value, at + 4);
  return at + 4 + value.length;
}

/** The digits in base 10,000 of a whole `numeric`, those of units last. */
export function digitsOf(value: bigint): readonly number[] {
  const text = (value < 0n ? -value : value).toString();
  const padded = text.padStart(Math.ceil(text.length / 4) * 4, "0");
  const digits: number[] = [];
  for (let at = 0; at < padded.length; at += 4) digits.push(Number(padded.slice(at, at + 4)));
  return digits;
}

/** A whole `numeric` with its {@link digitsOf}, which take two bytes each. */
export function putWhole({ view }: Room, at: number, value: bigint, digits: readonly number[]): number {
  let count = digits.length;
  while (count > 0 && digits[count - 1] === 0) count--;
  view.setInt32(at, 8 + 2 * count);
  view.setInt16(at + 4, count);
  view.setInt16(at + 6, count === 0 ? 0 : digits.length - 1);
  view.setInt16(at + 8, value < 0n ? 0x4000 : 0);
  view.setInt16(at + 10, 0);
  for (let n = 0; n < count; n++) view.setInt16(at + 12 + 2 * n, digits[n]!);
  return at + 12 + 2 * count;
}

/** Rows on their way: chunks, of which the last one is written to. */
export class BinaryOutput implements Room {
  readonly #chunks: Buffer[] = [];
  buffer = takeChunk();
  view = viewOf(this.buffer);
  /** Where the next byte goes. */
  at = SIGNATURE.copy(this.buffer);

  /** Makes sure that so many bytes fit in one piece. */
  reserve(bytes: number): void {
    if (this.at + bytes <= this.buffer.length) return;
    this.#chunks.push(this.buffer.subarray(0, this.at));
    this.buffer = bytes > CHUNK ? Buffer.allocUnsafeSlow(bytes) : takeChunk();
    this.view = viewOf(this.buffer);
    this.at = 0;
  }

  /** The chunks, with the mark of the end. */
  finish(): readonly Buffer[] {
    this.reserve(2);
    this.view.setInt16(this.at, -1);
    this.#chunks.push(this.buffer.subarray(0, this.at + 2));
    return this.#chunks;
  }

  /** Gives the chunks back, which must not be sent any more. */
  release(): void {
    for (const { buffer } of this.#chunks.splice(0)) {
      if (buffer.byteLength === CHUNK && kept.length < MOST_KEPT) kept.push(Buffer.from(buffer));
    }
  }
}

function viewOf({ buffer, byteOffset, byteLength }: Buffer): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
