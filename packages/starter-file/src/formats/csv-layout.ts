/** Dialect detection: what a delimited text is like, told by the options and by the beginning of the file. */
import { P2PError, suggest } from "@omni/p2p-core/starter";
import { type CellReader, givenReader, inferReader, quotingOf, type Sample } from "./csv-cells.ts";
import { encodingOf } from "./csv-encoding.ts";
import { type CsvOptions, duplicates } from "./csv-options.ts";
import { type Dialect, type Row, RowScanner } from "./csv-scan.ts";
import type { Position } from "./format.ts";

/** Bytes from which everything is inferred: always the same ones, so that a resumed run infers the same. */
export const HEAD_BYTES = 1_048_576;
/** Bytes and rows by which a delimiter is judged. */
const SNIFFED_BYTES = 65_536;
const SNIFFED_ROWS = 50;
const DELIMITERS = [",", ";", "\t", "|"] as const;

/** A file, as far as it must be known before its first record is read. */
export interface Layout {
  readonly dialect: Dialect;
  readonly columns: readonly string[];
  readonly readers: readonly CellReader[];
  /** The header as it stands; absent where there is none. */
  readonly header: readonly string[] | undefined;
  /** Where records begin. */
  readonly start: Position;
}

/** What of the options matters here. */
export interface LayoutOptions extends CsvOptions {
  readonly label: string;
  readonly header: boolean;
  readonly sample: number;
  readonly maxLine: number;
}

/**
 * Finds out what a file is like.
 *
 * @param head its first {@link HEAD_BYTES}, or all of it.
 * @param whole whether that is all of it.
 * @throws P2PError `READ_FAILED` where columns have the same name; `INVALID_ENDPOINT` where options do not fit the file.
 */
export function layoutOf(head: Buffer, whole: boolean, options: LayoutOptions): Layout {
  const encoding = encodingOf(options.encoding, head);
  const bytes = head.subarray(encoding.markLength);
  const { text } = encoding.segment(bytes.subarray(0, SNIFFED_BYTES));
  const newline = !text.includes("\n") && text.includes("\r") ? "\r" : "\n";
  // Excel says the delimiter on a line of its own.
  const [separated, told] = /^sep=([^\r\n])\r?\n/.exec(text) ?? [];
  const from = {
    at: encoding.markLength + encoding.unit * (separated?.length ?? 0),
    line: separated === undefined ? 1 : 2,
  };
  const body = bytes.subarray(from.at - encoding.markLength);
  const rowsBy = (delimiter: string, length: number): Row[] => {
    const scanner = new RowScanner({ encoding, delimiter, quote: options.quote, newline }, from, options.maxLine);
    return scanner.scan(body.subarray(0, length), whole && length >= body.length).filter((row) => !isBlank(row));
  };
  const delimiter = options.delimiter ?? told ?? sniff((tried) => rowsBy(tried, SNIFFED_BYTES));
  const dialect: Dialect = { encoding, delimiter, quote: options.quote, newline };
  const rows = rowsBy(delimiter, body.length);
  const header = options.header ? rows.shift() : undefined;
  if (header?.trouble !== undefined) {
    throw new P2PError(
      "READ_FAILED",
      `${options.label} has no header that can be read: its line ${header.line} ${header.trouble}`,
    );
  }
  if (!whole && header === undefined && rows.length === 0 && (options.header || options.columns === undefined)) {
    throw new P2PError(
      "READ_FAILED",
      `${options.label} has no end of a row within its first ${HEAD_BYTES} bytes, so its columns cannot be told; is it CSV, and are delimiter and quote the right ones?`,
    );
  }
  const columns = columnsOf(header, rows, options);
  const isHeader = ({ cells }: Row): boolean => cells.every((cell, i) => cell === header?.cells[i]);
  const sample: Sample = {
    header,
    rows: rows
      .slice(0, options.sample)
      .filter((row) => row.trouble === undefined && row.cells.length === columns.length && !isHeader(row)),
  };
  return {
    dialect,
    columns,
    readers: readersOf(columns, sample, options),
    header: header?.cells,
    start: header === undefined ? from : { at: header.end, line: header.nextLine },
  };
}

/** Whether a row is a blank line, which is no record. */
export function isBlank({ cells, quoted, trouble }: Row): boolean {
  return cells.length === 1 && cells[0] === "" && quoted === undefined && trouble === undefined;
}

/** The delimiter by which most rows have as many cells as the first, and that not just one; the first of equal ones. */
function sniff(rowsBy: (delimiter: string) => readonly Row[]): string {
  let best: string = DELIMITERS[0];
  let bestScore = 0;
  for (const delimiter of DELIMITERS) {
    const rows = rowsBy(delimiter).slice(0, SNIFFED_ROWS);
    const cells = rows[0]?.cells.length ?? 0;
    if (cells < 2) continue;
    const alike = rows.filter((row) => row.trouble === undefined && row.cells.length === cells).length / rows.length;
    // Agreement counts most, and of delimiters that agree the one that divides more.
    const score = Math.round(alike * 20) * 1000 + Math.min(cells, 999);
    if (score <= bestScore) continue;
    best = delimiter;
    bestScore = score;
  }
  return best;
}

function columnsOf(header: Row | undefined, rows: readonly Row[], options: LayoutOptions): readonly string[] {
  const found = header ?? rows.find((row) => row.trouble === undefined);
  const { columns: given, label } = options;
  if (given !== undefined) {
    if (header === undefined || header.cells.length === given.length) return given;
    throw new P2PError(
      "INVALID_ENDPOINT",
      `Invalid endpoint ${label}: columns names ${given.length} columns, and line ${header.line} of the file has ${header.cells.length}`,
    );
  }
  if (found === undefined) return [];
  if (header === undefined) return found.cells.map((_, i) => `column${i + 1}`);
  // A column without a name, as of row numbers, gets one by its place.
  const names = header.cells.map((name, i) => (name === "" ? `column${i + 1}` : name));
  const twice = duplicates(names);
  if (twice.length === 0) return names;
  throw new P2PError(
    "READ_FAILED",
    `${label} has several columns of one name in its header: ${twice.join(", ")}. Give names of your own by the option columns, ${names.length} with commas between`,
  );
}

function readersOf(columns: readonly string[], sample: Sample, options: LayoutOptions): readonly CellReader[] {
  const { types, label } = options;
  for (const name of types.keys()) {
    if (name === "*" || columns.length === 0 || columns.includes(name)) continue;
    throw new P2PError(
      "INVALID_ENDPOINT",
      `Invalid endpoint ${label}: types names the column "${name}", which the file does not have${suggest(name, [...columns])}`,
    );
  }
  const quoting = options.sample === 0 ? "needed" : quotingOf(sample);
  return columns.map((name, i) => {
    const type = types.get(name) ?? types.get("*") ?? "auto";
    return type === "auto" ? inferReader(sample, i, quoting) : givenReader(type);
  });
}
