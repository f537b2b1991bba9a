/**
 * Type inference and type conversion of CSV cells: what kind of value a text is, of which type a column is by a sample of its
 * cells, and the value that a cell means.
 */
import {
  dateOfText,
  fromJson,
  JSON_TAG,
  type JsonValue,
  MAX_BIGINT_DIGITS,
  type P2PValue,
} from "@omni/p2p-core/starter";
import { parseExactJson } from "../values/json-text.ts";

/** The types that can be given to a column. */
export const COLUMN_TYPES = ["text", "number", "bigint", "boolean", "date", "json", "auto"] as const;

/** One of {@link COLUMN_TYPES}; `auto` is found by a sample. */
export type ColumnType = (typeof COLUMN_TYPES)[number];

/** The kinds of value that a cell can be taken for by its looks. */
type CellKind = "text" | "number" | "boolean" | "date" | "json";

/** Makes a value of a cell. @throws TypeError with the end of a sentence, where a given type does not fit. */
export type CellReader = (cell: string, quoted: boolean) => P2PValue;

/** The field of a tag by which a text that looks like JSON is told from JSON; see {@link looksLikeJson}. */
export const TEXT_TAG = "text";

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
/** `12E5` is rather an article number; programs write exponents with a sign or behind a fraction. */
const BARE_EXPONENT = /^-?\d+[eE]\d/;
const INTEGER = /^-?\d+$/;
const DATE = /^(?:\d{4}|[+-]\d{6})-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d))?$/;
/** Digits that a number of 64 bits keeps, at most, and those that it always keeps. */
const MAX_DIGITS = 17;
const SAFE_DIGITS = 15;
/** Numbers nearer to zero keep fewer digits, or none. */
const SMALLEST = 1e-300;
/** The shortest cell of such a number has as many characters, as `1e-301` has. */
const SMALLEST_LENGTH = 6;

/** The number that a cell is by its looks, where none of its digits is lost; `undefined` for other texts. */
function numberOf(cell: string): number | bigint | undefined {
  const first = cell.charCodeAt(0);
  // Most texts begin with a letter: neither a digit nor a minus, I of Infinity or N of NaN.
  if (!(first >= 0x30 && first <= 0x39) && first !== 0x2d) {
    if (cell === "NaN") return Number.NaN;
    return cell === "Infinity" ? Number.POSITIVE_INFINITY : undefined;
  }
  if (!NUMBER.test(cell)) return cell === "-Infinity" ? Number.NEGATIVE_INFINITY : undefined;
  const value = Number(cell);
  if (!Number.isFinite(value) && !INTEGER.test(cell)) return undefined;
  if (BARE_EXPONENT.test(cell)) return undefined;
  if (cell.length <= SAFE_DIGITS && (cell.length < SMALLEST_LENGTH || Math.abs(value) >= SMALLEST)) return value;
  if (INTEGER.test(cell)) {
    if (Number.isSafeInteger(value)) return value;
    return cell.length > MAX_BIGINT_DIGITS ? undefined : BigInt(cell);
  }
  const digits = digitsOf(cell);
  if (digits.length > MAX_DIGITS) return undefined;
  const significant = digits.replace(/0+$/, "");
  const isNormal = Math.abs(value) >= SMALLEST || significant === "";
  if (significant.length <= SAFE_DIGITS && isNormal) return value;
  // Next to a power of two the shortest text of a number and the nearest of as many digits may be two.
  const isKept =
    digitsOf(value.toPrecision(Math.max(1, significant.length))) === significant ||
    digitsOf(String(value)).replace(/0+$/, "") === significant;
  return isKept ? value : undefined;
}

/** The digits of a number's text from the first that is no zero on, without its exponent. */
function digitsOf(text: string): string {
  return text
    .replace(/[eE].*$/, "")
    .replace(/[-.]/g, "")
    .replace(/^0+/, "");
}

function booleanOf(cell: string): boolean | undefined {
  if (cell === "true" || cell === "TRUE" || cell === "True") return true;
  return cell === "false" || cell === "FALSE" || cell === "False" ? false : undefined;
}

function dateOf(cell: string): Date | undefined {
  return DATE.test(cell) ? dateOfText(cell) : undefined;
}

/** Whether a text could be the JSON of an object or an array. */
export function looksLikeJson(text: string): boolean {
  const first = text.charCodeAt(0);
  return first === 0x7b || first === 0x5b;
}

function isTextTag(json: JsonValue): json is { readonly value: string } {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return false;
  const { [JSON_TAG]: tag, value, ...rest } = json as { readonly [key: string]: JsonValue };
  return tag === TEXT_TAG && typeof value === "string" && Object.keys(rest).length === 0;
}

/** The value of a text of JSON, tags included; `undefined` where it is none. */
export function jsonOf(text: string): P2PValue | undefined {
  let json: JsonValue;
  try {
    json = parseExactJson(text);
    return isTextTag(json) ? json.value : fromJson(json);
  } catch {
    return undefined;
  }
}

function kindOf(cell: string, quoted: boolean): CellKind {
  if (looksLikeJson(cell)) return jsonOf(cell) === undefined ? "text" : "json";
  if (quoted) return "text";
  if (numberOf(cell) !== undefined) return "number";
  if (booleanOf(cell) !== undefined) return "boolean";
  return dateOf(cell) === undefined ? "text" : "date";
}

/** The value that a cell has by its looks alone; `undefined` where it is just text. */
function looksOf(cell: string): P2PValue | undefined {
  return numberOf(cell) ?? booleanOf(cell) ?? dateOf(cell);
}

function plainText(cell: string, quoted: boolean): P2PValue {
  return cell === "" && !quoted ? null : cell;
}

/** What quotes tell in a file. */
export type Quoting =
  /** Text stands in quotes and nothing else does, as in files of this starter: each cell tells what it is. */
  | "text"
  /** Quotes stand where they must; a cell in quotes is text. */
  | "needed"
  /** They stand around everything, and tell nothing. */
  | "all";

/** The cells of a sample of rows: what is to be known of them before the first is read. */
export interface Sample {
  readonly header: { readonly cells: readonly string[]; readonly quoted: readonly boolean[] | undefined } | undefined;
  readonly rows: readonly { readonly cells: readonly string[]; readonly quoted: readonly boolean[] | undefined }[];
}

/** How quotes are used in a file. */
export function quotingOf({ header, rows }: Sample): Quoting {
  let bare = header?.cells.some((_, i) => header.quoted?.[i] !== true) ?? false;
  let bareText = false;
  for (const { cells, quoted } of rows) {
    for (let i = 0; i < cells.length; i++) {
      if (quoted?.[i] === true || cells[i] === "") continue;
      bare = true;
      bareText ||= kindOf(cells[i]!, false) === "text";
    }
  }
  if (!bare) return "all";
  return bareText ? "needed" : "text";
}

/** The kinds of value that a column has in a sample. */
function kindsOf({ rows }: Sample, column: number, quoting: Quoting): Set<CellKind> {
  const kinds = new Set<CellKind>();
  for (const { cells, quoted } of rows) {
    const cell = cells[column];
    if (cell === undefined || cell === "") continue;
    kinds.add(kindOf(cell, quoting !== "all" && quoted?.[column] === true));
    if (kinds.has("text")) break;
  }
  return kinds;
}

/**
 * Finds out what the cells of a column mean. A cell that is not of the column's type stays text: nothing is lost, and
 * `types` makes a failure of it.
 */
export function inferReader(sample: Sample, column: number, quoting: Quoting): CellReader {
  if (quoting === "text") {
    return (cell, quoted) => {
      if (looksLikeJson(cell)) return jsonOf(cell) ?? cell;
      if (quoted) return cell;
      return cell === "" ? null : (looksOf(cell) ?? cell);
    };
  }
  const kinds = kindsOf(sample, column, quoting);
  if (kinds.size === 0 || kinds.has("text")) return plainText;
  const marks = quoting === "needed";
  return (cell, quoted) => {
    if (cell === "") return quoted && (marks || kinds.has("json")) ? "" : null;
    if (kinds.has("json") && looksLikeJson(cell)) return jsonOf(cell) ?? cell;
    if (quoted && marks) return cell;
    if (kinds.has("number")) {
      const number = numberOf(cell);
      if (number !== undefined) return number;
    }
    if (kinds.has("boolean")) {
      const boolean = booleanOf(cell);
      if (boolean !== undefined) return boolean;
    }
    return (kinds.has("date") ? dateOf(cell) : undefined) ?? cell;
  };
}

const WORDS: Readonly<Record<string, boolean>> = {
  true: true,
  t: true,
  yes: true,
  y: true,
  "1": true,
  false: false,
  f: false,
  no: false,
  n: false,
  "0": false,
};

function shown(cell: string): string {
  return JSON.stringify(cell.length > 40 ? `${cell.slice(0, 40)}…` : cell);
}

function givenNumber(cell: string): number {
  const value = Number(cell);
  const isNumber = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/.test(cell) && Number.isFinite(value);
  if (!isNumber && !/^(?:NaN|-?Infinity)$/.test(cell)) throw new TypeError(`${shown(cell)} is no number`);
  if (/^[+-]?\d{16,}$/.test(cell) && BigInt(cell.replace("+", "")) !== BigInt(value)) {
    throw new TypeError(`${shown(cell)} has more digits than a number keeps; bigint keeps them`);
  }
  return value;
}

function givenBigint(cell: string): bigint {
  if (!/^[+-]?\d+$/.test(cell) || cell.length > MAX_BIGINT_DIGITS) throw new TypeError(`${shown(cell)} is no integer`);
  return BigInt(cell.replace("+", ""));
}

function givenBoolean(cell: string): boolean {
  const word = cell.toLowerCase();
  if (!Object.hasOwn(WORDS, word)) throw new TypeError(`${shown(cell)} is neither true nor false`);
  return WORDS[word]!;
}

function givenDate(cell: string): Date {
  if (/\.\d{3}\d*[1-9]/.test(cell)) {
    throw new TypeError(`${shown(cell)} is finer than a millisecond, which a date does not hold; text keeps it`);
  }
  // A day alone is UTC, and so is a time without a zone.
  const [, day, time, zone] =
    /^([+-]?\d+-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?) ?(Z|[+-]\d\d:?\d\d)?)?$/.exec(cell) ?? [];
  const iso = time === undefined ? day : `${day}T${time}${(zone ?? "Z").replace(/(\d\d)(\d\d)$/, "$1:$2")}`;
  const date = iso === undefined ? undefined : dateOfText(iso);
  if (date === undefined)
    throw new TypeError(`${shown(cell)} is no date of ISO 8601 (2024-02-29, 2024-02-29T10:00:00Z)`);
  return date;
}

function givenJson(cell: string): P2PValue {
  const value = jsonOf(cell);
  if (value === undefined) throw new TypeError(`${shown(cell)} is no JSON`);
  return value;
}

const GIVEN: Readonly<Record<Exclude<ColumnType, "auto" | "text">, (cell: string) => P2PValue>> = {
  number: givenNumber,
  bigint: givenBigint,
  boolean: givenBoolean,
  date: givenDate,
  json: givenJson,
};

/** Reads a column of a type that was given. An empty cell is null; one in quotes is an empty text in a column of text. */
export function givenReader(type: Exclude<ColumnType, "auto">): CellReader {
  if (type === "text") return plainText;
  const read = GIVEN[type];
  return (cell) => (cell === "" ? null : read(cell));
}
