/** A tokenizer that finds the ends of the elements of a JSON array, in chunks of bytes, and parses nothing. */

/** An element of the array as it stands. */
export interface Element {
  /** Absent for one that is too long. */
  readonly bytes: Buffer | undefined;
  /** Its number, from 1 on. */
  readonly number: number;
  /** Bytes before its end. */
  readonly end: number;
  readonly length: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** Where the scanner is: before anything, in an element or between two, or behind the array. */
type State = "start" | "first" | "next" | "element" | "after" | "over";

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** Scans a file that is one array, or objects one after the other. */
export class ElementScanner {
  readonly #maxLength: number;
  #at: number;
  #number: number;
  #state: State;
  /** Whether it is an array; unknown until what follows an element tells. */
  #isArray: boolean | undefined;
  /** Brackets that are open in the element; none in a text or another scalar. */
  #depth = 0;
  #isScalar = false;
  #inString = false;
  #isEscaped = false;
  #held: Buffer[] = [];
  #length = 0;
  #found: Element[] = [];

  /** @param at where an element ended before, or 0. */
  constructor(at: number, number: number, maxLength: number) {
    this.#at = at;
    this.#number = number;
    this.#maxLength = maxLength;
    this.#state = at === 0 ? "start" : "after";
  }

  /** What was found and not told yet. */
  found(): Element[] {
    return this.#found.splice(0);
  }

  /** @throws SyntaxError where the array is none. */
  scan(chunk: Uint8Array): Element[] {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let from = 0;
    for (let i = 0; i < bytes.length; i++) {
      if (this.#state !== "element") {
        if (this.#between(bytes[i]!, this.#at + i)) from = i;
        continue;
      }
      if (this.#inString) {
        i = this.#endOfString(bytes, i);
        if (!this.#inString && this.#depth === 0) this.#finish(bytes.subarray(from, i + 1), i + 1);
        continue;
      }
      const byte = bytes[i]!;
      if (this.#isScalar) {
        if (!isSpace(byte) && byte !== COMMA && byte !== CLOSE_ARRAY) continue;
        this.#finish(bytes.subarray(from, i), i);
        i--;
      } else if (byte === QUOTE) this.#inString = true;
      else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) this.#depth++;
      else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
        if (--this.#depth === 0) this.#finish(bytes.subarray(from, i + 1), i + 1);
      }
    }
    if (this.#state === "element") this.#hold(bytes.subarray(from));
    this.#at += bytes.length;
    return this.found();
  }

  /** @throws SyntaxError where the file ends too soon. */
  end(): void {
    if (this.#state === "element")
      throw new SyntaxError(`record ${this.#number} is torn, for the file ends in its middle`);
    if (this.#isArray && this.#state !== "over") throw new SyntaxError("the file ends before its array does");
  }

  /** Looks at a byte between two elements; whether an element begins with it. */
  #between(byte: number, place: number): boolean {
    if (isSpace(byte)) return false;
    switch (this.#state) {
      case "start":
        if (place < 3 && byte === BYTE_ORDER_MARK[place]) return false;
        this.#isArray = byte === OPEN_ARRAY;
        if (!this.#isArray) return this.#begin(byte, place);
        this.#state = "first";
        return false;
      case "first":
        if (byte !== CLOSE_ARRAY) return this.#begin(byte, place);
        this.#state = "over";
        return false;
      case "next":
        return this.#begin(byte, place);
      case "after":
        if (byte === OPEN_OBJECT && !this.#isArray) return this.#begin(byte, place);
        if (this.#isArray === false || (byte !== COMMA && byte !== CLOSE_ARRAY)) {
          throw unexpected(byte, place, "where a comma or the end of the array should be");
        }
        this.#isArray = true;
        this.#state = byte === COMMA ? "next" : "over";
        return false;
      default:
        throw unexpected(byte, place, "after the end of the array");
    }
  }

  #begin(byte: number, place: number): true {
    if (byte === COMMA || byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) {
      throw unexpected(byte, place, "where a record should be");
    }
    const isOpen = byte === OPEN_OBJECT || byte === OPEN_ARRAY;
    this.#depth = isOpen ? 1 : 0;
    this.#inString = byte === QUOTE;
    this.#isScalar = !isOpen && !this.#inString;
    this.#state = "element";
    return true;
  }

  /** The place of the quote that ends the string, or the last one of the chunk. */
  #endOfString(bytes: Buffer, start: number): number {
    for (let i = start; i < bytes.length; i++) {
      const byte = bytes[i];
      if (this.#isEscaped) this.#isEscaped = false;
      else if (byte === BACKSLASH) this.#isEscaped = true;
      else if (byte === QUOTE) {
        this.#inString = false;
        return i;
      }
    }
    return bytes.length;
  }

  #hold(bytes: Buffer): void {
    this.#length += bytes.length;
    if (this.#length > this.#maxLength) this.#held = [];
    else this.#held.push(bytes);
  }

  #finish(rest: Buffer, end: number): void {
    this.#hold(rest);
    const [only, more] = this.#held;
    const bytes = more === undefined ? only : Buffer.concat(this.#held);
    this.#found.push({ bytes, number: this.#number++, end: this.#at + end, length: this.#length });
    this.#held = [];
    this.#length = 0;
    this.#isScalar = false;
    this.#state = "after";
  }
}

function unexpected(byte: number, place: number, where: string): SyntaxError {
  const shown = byte > 0x20 && byte < 0x7f ? `"${String.fromCharCode(byte)}"` : `the byte ${byte}`;
  return new SyntaxError(`${shown} stands ${where}, at byte ${place}`);
}
