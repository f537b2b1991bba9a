/** The options of delimited text, checked: the dialect as far as it was given, and the names and types of columns. */
import { P2PError } from "@omni/p2p-core/starter";
import type { FileOptions } from "../endpoint.ts";
import { COLUMN_TYPES, type ColumnType } from "./csv-cells.ts";
import { encodingName, isSafeDelimiter } from "./csv-encoding.ts";

/** What was given of a dialect; what was not is found by a sample, or has a default. */
export interface CsvOptions {
  readonly delimiter: string | undefined;
  readonly quote: string;
  readonly encoding: string | undefined;
  readonly columns: readonly string[] | undefined;
  /** By the name of the column; `*` for all others. */
  readonly types: ReadonlyMap<string, ColumnType>;
}

const DELIMITERS: Readonly<Record<string, string>> = {
  comma: ",",
  semicolon: ";",
  tab: "\t",
  "\\t": "\t",
  pipe: "|",
  space: " ",
};

/**
 * Checks the options.
 *
 * @param delimiter of the format, where none is given.
 * @throws P2PError `INVALID_ENDPOINT`
 */
export function parseCsvOptions(label: string, options: FileOptions, delimiter: string | undefined): CsvOptions {
  const invalid = (what: string) => new P2PError("INVALID_ENDPOINT", `Invalid endpoint ${label}: ${what}`);
  const given = options.delimiter === undefined ? delimiter : (DELIMITERS[options.delimiter] ?? options.delimiter);
  const quote = options.quote === "none" ? "" : options.quote;
  if (given !== undefined && !isMark(given)) {
    throw invalid("delimiter must be one ASCII character, or a word for it: comma, semicolon, tab, pipe, space");
  }
  if (quote !== "" && !isMark(quote)) throw invalid('quote must be one ASCII character, or "none"');
  if (quote === given) throw invalid("delimiter and quote are the same character");
  const encoding = options.encoding === undefined ? undefined : encodingName(options.encoding);
  if (options.encoding !== undefined && encoding === undefined) {
    throw invalid(
      `the encoding "${options.encoding}" is not known here; take utf-8, utf-16le, utf-16be, windows-1252, gb18030 or another of the WHATWG's`,
    );
  }
  if (encoding !== undefined && given !== undefined && !isSafeDelimiter(encoding, given)) {
    throw invalid(`in ${encoding} the delimiter "${given}" can be a part of another character`);
  }
  return { delimiter: given, quote, encoding, columns: columnsOf(options, invalid), types: typesOf(options, invalid) };
}

/** Whether a text can be a delimiter or a quote. */
function isMark(text: string): boolean {
  return /^[\t\x20-\x7e]$/.test(text);
}

function columnsOf({ columns }: FileOptions, invalid: (what: string) => P2PError): readonly string[] | undefined {
  if (columns === undefined) return undefined;
  const names = columns.split(",").map((name) => name.trim());
  if (names.includes("")) throw invalid("columns has an empty name; write the names with commas between");
  const twice = duplicates(names);
  if (twice.length > 0) throw invalid(`columns names ${twice.join(", ")} more than once`);
  return names;
}

function typesOf({ types }: FileOptions, invalid: (what: string) => P2PError): ReadonlyMap<string, ColumnType> {
  const given = new Map<string, ColumnType>();
  for (const part of types === undefined ? [] : types.split(",")) {
    const colon = part.lastIndexOf(":");
    const name = part.slice(0, Math.max(0, colon)).trim();
    const type = COLUMN_TYPES.find((known) => known === part.slice(colon + 1).trim());
    if (name === "" || type === undefined) {
      throw invalid(
        `types has "${part.trim()}"; write name:type with commas between, types are ${COLUMN_TYPES.join(", ")}, and * names all other columns`,
      );
    }
    given.set(name, type);
  }
  return given;
}

/** The names that come more than once, each once. */
export function duplicates(names: readonly string[]): string[] {
  const seen = new Set<string>();
  const twice = new Set<string>();
  for (const name of names) (seen.has(name) ? twice : seen).add(name);
  return [...twice];
}
