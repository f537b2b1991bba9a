/**
 * Character encodings of delimited text. A stretch of bytes becomes text of which every index leads back to a byte, so that
 * a cursor can say where a row ends, whatever the encoding.
 */
import { isAscii, isUtf8 } from "node:buffer";
import { TextDecoder } from "node:util";

/** A character encoding, by what it takes to find the rows of a text in it. */
export interface CharacterEncoding {
  /** As WHATWG calls it. */
  readonly name: string;
  /** Bytes of the mark at the beginning of the file, which are no text. */
  readonly markLength: number;
  /** Bytes of a unit of text: two in UTF-16, else one. */
  readonly unit: 1 | 2;
  /** Makes text of whole characters; `undefined` where the file ends within one. */
  segment(bytes: Buffer): Segment;
}

/** A stretch of a file as text. */
export interface Segment {
  readonly text: string;
  /** Bytes that a part of the text has in the file. */
  bytesOf(from: number, to: number): number;
  /**
   * What a part of the text says, where {@link text} does not say it itself, since it has a character for each byte.
   *
   * @throws TypeError when its bytes are of no character.
   */
  decode?(part: string): string;
  /** Whether a part of {@link text} may hold what is no character. */
  readonly suspect?: boolean;
}

const singleUnit = (from: number, to: number): number => to - from;
const doubleUnit = (from: number, to: number): number => 2 * (to - from);

/** Text of a character for each byte, which is decoded cell by cell. */
function byteSegment(bytes: Buffer, decoder: TextDecoder): Segment {
  return {
    text: bytes.toString("latin1"),
    bytesOf: singleUnit,
    // biome-ignore lint/suspicious/noControlCharactersInRegex: whether there is anything else than ASCII is the question
    decode: (part) => (/[^\x00-\x7f]/.test(part) ? decoder.decode(Buffer.from(part, "latin1")) : part),
  };
}

function utf8(markLength: number): CharacterEncoding {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  return {
    name: "utf-8",
    markLength,
    unit: 1,
    segment(bytes) {
      if (isAscii(bytes)) return { text: bytes.toString("latin1"), bytesOf: singleUnit };
      if (!isUtf8(bytes)) return byteSegment(bytes, decoder);
      const text = bytes.toString("utf8");
      return { text, bytesOf: (from, to) => Buffer.byteLength(text.slice(from, to)) };
    },
  };
}

function utf16(name: "utf-16le" | "utf-16be", markLength: number): CharacterEncoding {
  return {
    name,
    markLength,
    unit: 2,
    segment(bytes) {
      const whole = bytes.subarray(0, bytes.length - (bytes.length % 2));
      const text = (name === "utf-16le" ? whole : Buffer.from(whole).swap16()).toString("utf16le");
      return { text, bytesOf: doubleUnit, suspect: !text.isWellFormed() };
    },
  };
}

/** Encodings that have bytes below 128 in characters of several bytes, where a delimiter above `?` could be one of them. */
const OVERLAPPING = new Set(["gbk", "gb18030", "big5", "shift_jis"]);
/** Encodings in which a byte means another thing after an escape sequence. */
const STATEFUL = new Set(["iso-2022-jp", "replacement", "x-user-defined"]);

/** Whether an ASCII character always is that character in an encoding. */
export function isSafeDelimiter(encoding: string, delimiter: string): boolean {
  return !OVERLAPPING.has(encoding) || delimiter.charCodeAt(0) < 0x40;
}

/** The name under which an encoding is known; `undefined` where there is none of it, or rows cannot be found in it. */
export function encodingName(label: string): string | undefined {
  try {
    const name = new TextDecoder(label).encoding;
    return STATEFUL.has(name) ? undefined : name;
  } catch {
    return undefined;
  }
}

/** The encodings of a byte for each character, in which text can be written too. */
const SINGLE_BYTE = /^(?:windows-|iso-8859-|koi8-|macintosh$|ibm866$|x-mac-cyrillic$)/;

/** Makes bytes of text; `undefined` where a character has none. */
export type TextEncoding = (text: string) => Buffer | undefined;

/** How text is written in an encoding; `undefined` for one that is only read. */
export function textEncoding(name: string): TextEncoding | undefined {
  if (name === "utf-8") return (text) => Buffer.from(text, "utf8");
  if (name === "utf-16le") return (text) => Buffer.from(text, "utf16le");
  if (name === "utf-16be") return (text) => Buffer.from(text, "utf16le").swap16();
  if (!SINGLE_BYTE.test(name)) return undefined;
  const decoder = new TextDecoder(name);
  const codes = new Map<string, number>();
  for (let code = 0; code < 256; code++) codes.set(decoder.decode(Uint8Array.of(code)), code);
  codes.delete("\ufffd");
  return (text) => {
    const bytes = Buffer.allocUnsafe(text.length);
    for (let i = 0; i < text.length; i++) {
      const code = codes.get(text[i]!);
      if (code === undefined) return undefined;
      bytes[i] = code;
    }
    return bytes;
  };
}

/** The byte-order mark of an encoding, as text; none where it has none. */
export function byteOrderMark(name: string): string {
  return name.startsWith("utf-") ? "\ufeff" : "";
}

/** The encoding that a file has by its mark, or else by where its first character has its zero byte. */
function recognise(head: Buffer): { readonly name: string; readonly markLength: number } | undefined {
  if (head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf) return { name: "utf-8", markLength: 3 };
  if (head[0] === 0xff && head[1] === 0xfe) return { name: "utf-16le", markLength: 2 };
  if (head[0] === 0xfe && head[1] === 0xff) return { name: "utf-16be", markLength: 2 };
  if (head.length < 4) return undefined;
  if (head[0] !== 0 && head[1] === 0 && head[2] !== 0 && head[3] === 0) return { name: "utf-16le", markLength: 0 };
  if (head[0] === 0 && head[1] !== 0 && head[2] === 0 && head[3] !== 0) return { name: "utf-16be", markLength: 0 };
  return undefined;
}

/**
 * The encoding of a file.
 *
 * @param named what {@link encodingName} gave. A mark in the file that says otherwise is no mark then.
 * @param head its first bytes, 4 or more where it has as many.
 */
export function encodingOf(named: string | undefined, head: Buffer): CharacterEncoding {
  const recognised = recognise(head);
  const name = named ?? recognised?.name ?? "utf-8";
  const markLength = recognised?.name === name ? recognised.markLength : 0;
  if (name === "utf-8") return utf8(markLength);
  if (name === "utf-16le" || name === "utf-16be") return utf16(name, markLength);
  const decoder = new TextDecoder(name, { fatal: true, ignoreBOM: true });
  return { name, markLength, unit: 1, segment: (bytes) => byteSegment(bytes, decoder) };
}
