/**
 * The tokenizer of delimited text (RFC 4180): finds the rows of a stream of bytes and the cells of each row.
 *
 * A row that is malformed is told as such, and the next one is looked for on the line after the one that it begins on: a
 * quote which is never closed makes one row wrong, and not all that follow. Libraries end there, or pass over rows in silence.
 */
import type { CharacterEncoding, Segment } from "./csv-encoding.ts";

/** What marks rows and cells. */
export interface Dialect {
  readonly encoding: CharacterEncoding;
  /** One ASCII character. */
  readonly delimiter: string;
  /** One ASCII character, or none where quotes mean nothing. */
  readonly quote: string;
  /** What ends a row; a carriage return before a line feed belongs to the end. */
  readonly newline: "\n" | "\r";
}

/** A row. */
export interface Row {
  /** As they read, without quotes. */
  readonly cells: readonly string[];
  /** Which of them stood in quotes; absent where none did. */
  readonly quoted: readonly boolean[] | undefined;
  /** The line that it begins on. */
  readonly line: number;
  /** Bytes before it in the file. */
  readonly at: number;
  /** Bytes before what follows it. */
  readonly end: number;
  /** The line that follows it. */
  readonly nextLine: number;
  /** What is wrong with it, as the end of a sentence that begins with the line. The cells are of no use then. */
  readonly trouble: string | undefined;
}

const CARRIAGE_RETURN = 0x0d;
const NONE: readonly string[] = [];

/** A row in quotes, as far as it was made out within a text. */
interface QuotedRow {
  readonly cells: string[];
  readonly quoted: boolean[];
  /** The index after it; -1 where the text ends before the row does. */
  readonly end: number;
  readonly trouble?: string;
}

/** Finds rows in text that comes in pieces. */
export class RowScanner {
  readonly #dialect: Dialect;
  readonly #maxBytes: number;
  #at: number;
  #line: number;
  /** Bytes that belong to a row of which the end has not come yet. */
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  /** Bytes that must be there before looking once more is worth it: rows are looked at in doubling lengths, not at each chunk. */
  #worthwhile = 0;
  /** Where the row began which is too long, while the rest of its line is gone past. */
  #skipping: { readonly line: number; readonly at: number } | undefined;

  /** @param start where the bytes begin. @param maxBytes of a row; a longer one is malformed. */
  constructor(dialect: Dialect, start: { readonly at: number; readonly line: number }, maxBytes: number) {
    this.#dialect = dialect;
    this.#at = start.at;
    this.#line = start.line;
    this.#maxBytes = maxBytes;
  }

  /** The rows that end with these bytes. @param last whether these are the last ones of the file, so that all rows end. */
  scan(bytes: Uint8Array, last: boolean): Row[] {
    if (bytes.length > 0) this.#pending.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    this.#pendingBytes += bytes.length;
    const rows: Row[] = [];
    if (!last && this.#pendingBytes < this.#worthwhile) return rows;
    let buffer = this.#pending.length === 1 ? this.#pending[0]! : Buffer.concat(this.#pending);
    for (;;) {
      const before = this.#at;
      if (this.#skipping !== undefined) this.#skip(buffer, last, rows);
      if (this.#skipping === undefined) this.#rows(buffer.subarray(this.#at - before), last, rows);
      buffer = buffer.subarray(this.#at - before);
      if (this.#skipping !== undefined || buffer.length <= this.#maxBytes) break;
      this.#skipping = { line: this.#line, at: this.#at };
    }
    // What is left is copied, or a few bytes would hold the whole chunk.
    this.#pending = buffer.length === 0 ? [] : [Buffer.from(buffer)];
    this.#pendingBytes = buffer.length;
    this.#worthwhile = Math.min(2 * buffer.length, this.#maxBytes + 1);
    return rows;
  }

  /** Where a row ends, as a text of which all bytes of a character are there. */
  #complete(bytes: Buffer, last: boolean): Buffer {
    if (last) return bytes;
    const { encoding, newline } = this.#dialect;
    const end = lastIndexOf(bytes, newline, encoding);
    return bytes.subarray(0, end);
  }

  #rows(bytes: Buffer, last: boolean, rows: Row[]): void {
    const complete = this.#complete(bytes, last);
    if (complete.length === 0) return;
    const segment = this.#dialect.encoding.segment(complete);
    const { text } = segment;
    const { delimiter, quote, newline } = this.#dialect;
    let pos = 0;
    let nextQuote = quote === "" ? -1 : text.indexOf(quote);
    while (pos < text.length) {
      const newlineAt = text.indexOf(newline, pos);
      if (newlineAt === -1 && !last) break;
      const lineEnd = newlineAt === -1 ? text.length : newlineAt;
      const afterLine = newlineAt === -1 ? text.length : newlineAt + 1;
      if (nextQuote !== -1 && nextQuote < pos) nextQuote = text.indexOf(quote, pos);
      if (nextQuote === -1 || nextQuote >= lineEnd) {
        const end = lineEnd > pos && text.charCodeAt(lineEnd - 1) === CARRIAGE_RETURN ? lineEnd - 1 : lineEnd;
        this.#push(rows, segment, pos, afterLine, 1, text.slice(pos, end).split(delimiter), undefined);
        pos = afterLine;
        continue;
      }
      const row = this.#quotedRow(text, pos, last);
      if (row.end === -1) break;
      if (row.trouble !== undefined) {
        // As when it comes in small pieces, of which one would have been the last that it may have.
        const lineOfTrouble = text.indexOf(newline, row.end);
        const seen = lineOfTrouble === -1 ? text.length : lineOfTrouble + 1;
        const tooLong = segment.bytesOf(pos, seen) > this.#maxBytes;
        this.#push(rows, segment, pos, afterLine, 1, NONE, undefined, tooLong ? this.#longTrouble() : row.trouble);
        pos = afterLine;
      } else if (segment.bytesOf(pos, row.end) > this.#maxBytes) {
        this.#push(rows, segment, pos, afterLine, 1, NONE, undefined, this.#longTrouble());
        pos = afterLine;
      } else {
        this.#push(rows, segment, pos, row.end, linesIn(text, newline, pos, row.end), row.cells, row.quoted);
        pos = row.end;
      }
    }
    const rest = complete.length % this.#dialect.encoding.unit;
    if (last && rest > 0) {
      const half: Segment = { text: "", bytesOf: () => rest };
      this.#push(rows, half, 0, 0, 1, NONE, undefined, "ends within a character");
    }
  }

  #quotedRow(text: string, start: number, last: boolean): QuotedRow {
    const { delimiter, quote, newline } = this.#dialect;
    const quoteCode = quote.charCodeAt(0);
    const delimiterCode = delimiter.charCodeAt(0);
    const newlineCode = newline.charCodeAt(0);
    const cells: string[] = [];
    const quoted: boolean[] = [];
    const unfinished: QuotedRow = { cells, quoted, end: -1 };
    let at = start;
    for (;;) {
      if (text.charCodeAt(at) === quoteCode) {
        const from = at + 1;
        let close = text.indexOf(quote, from);
        let doubled = false;
        while (close !== -1 && text.charCodeAt(close + 1) === quoteCode) {
          doubled = true;
          close = text.indexOf(quote, close + 2);
        }
        if (close === -1) {
          return last ? { ...unfinished, end: text.length, trouble: "has a quote that is never closed" } : unfinished;
        }
        const inner = text.slice(from, close);
        cells.push(doubled ? inner.replaceAll(quote + quote, quote) : inner);
        quoted.push(true);
        at = close + 1;
        // The next piece may begin with another quote.
        if (at === text.length && !last) return unfinished;
      } else {
        const from = at;
        while (at < text.length) {
          const code = text.charCodeAt(at);
          if (code === delimiterCode || code === newlineCode) break;
          at++;
        }
        if (at === text.length && !last) return unfinished;
        const isBeforeEnd = text.charCodeAt(at) !== delimiterCode;
        const end = isBeforeEnd && at > from && text.charCodeAt(at - 1) === CARRIAGE_RETURN ? at - 1 : at;
        cells.push(text.slice(from, end));
        quoted.push(false);
      }
      const code = text.charCodeAt(at);
      if (code === delimiterCode) {
        at++;
        continue;
      }
      if (at >= text.length || code === newlineCode) return { cells, quoted, end: Math.min(at + 1, text.length) };
      if (code === CARRIAGE_RETURN) {
        if (at + 1 === text.length) return last ? { cells, quoted, end: text.length } : unfinished;
        if (text.charCodeAt(at + 1) === newlineCode) return { cells, quoted, end: at + 2 };
      }
      return {
        cells,
        quoted,
        end: at,
        trouble: "has text between a closing quote and the next delimiter; a quote within quotes is written twice",
      };
    }
  }

  #push(
    rows: Row[],
    segment: Segment,
    from: number,
    to: number,
    lines: number,
    cells: readonly string[],
    quoted: readonly boolean[] | undefined,
    trouble?: string,
  ): void {
    const at = this.#at;
    const line = this.#line;
    const bytes = segment.bytesOf(from, to);
    const end = at + bytes;
    const nextLine = line + lines;
    this.#at = end;
    this.#line = nextLine;
    let told = cells;
    let wrong = trouble;
    if (wrong === undefined && bytes > this.#maxBytes) wrong = this.#longTrouble();
    if (wrong === undefined && segment.suspect && !segment.text.slice(from, to).isWellFormed())
      wrong = this.#undecodable();
    if (wrong === undefined && segment.decode !== undefined) {
      try {
        told = cells.map((cell) => segment.decode!(cell));
      } catch {
        wrong = this.#undecodable();
      }
    }
    rows.push({ cells: wrong === undefined ? told : NONE, quoted, line, at, end, nextLine, trouble: wrong });
  }

  #longTrouble(): string {
    return `begins a record of more than ${this.#maxBytes} bytes, the most that maxLine allows; a quote that is never closed makes one as well`;
  }

  #undecodable(): string {
    return `holds bytes that are no ${this.#dialect.encoding.name}; say which encoding it is, for instance encoding=windows-1252`;
  }

  /** Goes past the rest of the line that a row began which is too long, and tells of it when that is over. */
  #skip(bytes: Buffer, last: boolean, rows: Row[]): void {
    const { encoding, newline } = this.#dialect;
    const end = indexAfter(bytes, newline, encoding);
    // Not into the middle of a pair.
    if (end !== -1) this.#at += end;
    else this.#at += last ? bytes.length : bytes.length - (bytes.length % encoding.unit);
    if (end === -1 && !last) return;
    const { line, at } = this.#skipping!;
    this.#line = line + 1;
    this.#skipping = undefined;
    const trouble = this.#longTrouble();
    rows.push({ cells: NONE, quoted: undefined, line, at, end: this.#at, nextLine: this.#line, trouble });
  }
}

function linesIn(text: string, newline: string, from: number, to: number): number {
  let lines = 0;
  for (let at = text.indexOf(newline, from); at !== -1 && at < to; at = text.indexOf(newline, at + 1)) lines++;
  return Math.max(1, lines);
}

/** The offset after the first newline; -1 where there is none. */
function indexAfter(bytes: Buffer, newline: string, encoding: CharacterEncoding): number {
  const code = newline.charCodeAt(0);
  if (encoding.unit === 1) return bytes.indexOf(code) + 1 || -1;
  for (let at = bytes.indexOf(code); at !== -1; at = bytes.indexOf(code, at + 1)) {
    const end = endOfPair(bytes, at, encoding);
    if (end !== -1) return end;
  }
  return -1;
}

/** The offset after the last newline; 0 where there is none. */
function lastIndexOf(bytes: Buffer, newline: string, encoding: CharacterEncoding): number {
  const code = newline.charCodeAt(0);
  if (encoding.unit === 1) return bytes.lastIndexOf(code) + 1;
  for (let at = bytes.lastIndexOf(code); at !== -1; at = at === 0 ? -1 : bytes.lastIndexOf(code, at - 1)) {
    const end = endOfPair(bytes, at, encoding);
    if (end !== -1) return end;
  }
  return 0;
}

/** Where the pair of bytes ends of which this is the lower one; -1 where it is the higher one, or the other is not zero. */
function endOfPair(bytes: Buffer, at: number, encoding: CharacterEncoding): number {
  const low = encoding.name === "utf-16le" ? 0 : 1;
  if (at % 2 !== low || bytes[low === 0 ? at + 1 : at - 1] !== 0) return -1;
  return at - low + 2;
}
