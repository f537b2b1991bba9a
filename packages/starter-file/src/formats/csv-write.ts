/**
 * Serialises records as delimited text: one header, then a row for each record.
 *
 * Text stands in quotes and nothing else does, so that "42" and 42 are told apart when the file is read again; what CSV cannot
 * say is JSON, with the tags of dead letters.
 */
import {
  getField,
  isoText,
  JSON_TAG,
  type JsonValue,
  P2PError,
  type P2PId,
  type P2PRecord,
  type P2PValue,
  suggest,
  valueType,
  type WriteFailure,
} from "@omni/p2p-core/starter";
import { jsonOfValue } from "../values/json-text.ts";
import { jsonOf, looksLikeJson, TEXT_TAG } from "./csv-cells.ts";
import { byteOrderMark, type TextEncoding, textEncoding } from "./csv-encoding.ts";
import { readHead } from "./csv-head.ts";
import { type CsvOptions, parseCsvOptions } from "./csv-options.ts";
import type { Encoded, FormatWriter, WriterStart } from "./format.ts";

/** What a writer needs to know to go on. */
interface WriterState {
  readonly columns: readonly string[];
  readonly delimiter: string;
  readonly encoding: string;
  /** What is there before the first row ends within a line. */
  readonly isTorn?: boolean;
}

/**
 * Begins to write.
 *
 * @throws P2PError `INVALID_ENDPOINT` for options that are not possible; `READ_FAILED` where a file that is appended to cannot
 * be made out.
 */
export async function csvWriter(start: WriterStart, delimiter: string | undefined): Promise<FormatWriter> {
  const { label, options, appendTo } = start;
  const given = parseCsvOptions(label, options, delimiter);
  if (start.state !== undefined && start.state !== null) return new CsvWriter(start, given, start.state as never);
  if (appendTo !== undefined) {
    const { layout, rest, isEmpty } = await readHead(appendTo, delimiter);
    await rest.return?.();
    if (!isEmpty) {
      const { dialect, columns } = layout;
      const { name } = dialect.encoding;
      const isTorn = !(await endsALine(appendTo, name));
      return new CsvWriter(start, given, { columns, delimiter: dialect.delimiter, encoding: name, isTorn });
    }
  }
  return new CsvWriter(start, given);
}

/** Whether a file ends with the end of a line. */
async function endsALine({ random, bytes }: NonNullable<WriterStart["appendTo"]>, encoding: string): Promise<boolean> {
  const unit = encoding.startsWith("utf-16") ? 2 : 1;
  let last: Uint8Array = new Uint8Array(0);
  if (random !== undefined) last = await random.read(Math.max(0, random.size - unit), unit);
  else {
    // A chunk may have less than a unit.
    for await (const chunk of bytes(0)) last = Buffer.concat([last, chunk.subarray(-unit)]).subarray(-unit);
  }
  const [first = 0, second = 0] = last;
  const code = unit === 1 ? first : encoding === "utf-16le" ? first + 256 * second : 256 * first + second;
  return code === 0x0a || code === 0x0d;
}

class CsvWriter implements FormatWriter {
  readonly #label: string;
  readonly #delimiter: string;
  readonly #quote: string;
  readonly #encoding: string;
  readonly #encode: TextEncoding;
  readonly #hasHeader: boolean;
  readonly #mark: string;
  #columns: readonly string[] | undefined;
  /** The names once more, to find those that are not there. */
  #known: ReadonlySet<string> = new Set();
  /** It goes on behind a line that has no end yet. */
  readonly #isTorn: boolean;
  /** What must stand before the next row. */
  #before = "";

  constructor(start: WriterStart, given: CsvOptions, state?: WriterState) {
    const { label, options } = start;
    this.#label = label;
    this.#delimiter = state?.delimiter ?? given.delimiter ?? ",";
    this.#quote = given.quote;
    this.#encoding = state?.encoding ?? given.encoding ?? "utf-8";
    const encode = textEncoding(this.#encoding);
    if (encode === undefined) {
      throw new P2PError(
        "INVALID_ENDPOINT",
        `Invalid endpoint ${label}: files in ${this.#encoding} are read and not written; take encoding=utf-8`,
      );
    }
    this.#encode = encode;
    this.#hasHeader = options.header;
    const hasMark = options.bom ?? this.#encoding.startsWith("utf-16");
    this.#mark = hasMark ? byteOrderMark(this.#encoding) : "";
    if (state !== undefined) this.#setColumns(state.columns);
    else if (given.columns !== undefined) this.#begin(given.columns);
    this.#isTorn = state?.isTorn === true;
    if (this.#isTorn) this.#before = "\n";
  }

  get state(): JsonValue {
    if (this.#columns === undefined || (this.#before !== "" && !this.#isTorn)) return null;
    const state = { columns: this.#columns, delimiter: this.#delimiter, encoding: this.#encoding };
    return this.#before === "" ? state : { ...state, isTorn: true };
  }

  encode(records: readonly P2PRecord[]): Encoded {
    const failures: WriteFailure[] = [];
    if (this.#columns === undefined) this.#begin(fieldsOf(records));
    const columns = this.#columns!;
    const chunks: Buffer[] = [];
    let text = "";
    for (let index = 0; index < records.length; index++) {
      const record = records[index]!;
      const row = this.#row(record, columns);
      if (typeof row === "string") text += row;
      else failures.push({ index, id: getField(record, "id") as P2PId | undefined, error: row });
      // Text of more than this is one string too many beside its bytes.
      if (text.length > CHUNK_LENGTH) {
        chunks.push(this.#bytes(text));
        text = "";
      }
    }
    if (text !== "") chunks.push(this.#bytes(text));
    return { chunks, failures };
  }

  end(): readonly Uint8Array[] {
    // A file without records has its header where the columns are known.
    const rest = this.#columns === undefined ? this.#mark : this.#isTorn ? "" : this.#before;
    this.#before = "";
    return rest === "" ? [] : [this.#encode(rest)!];
  }

  #setColumns(columns: readonly string[]): void {
    this.#columns = columns;
    this.#known = new Set(columns);
  }

  #begin(columns: readonly string[]): void {
    this.#setColumns(columns);
    const header = columns.map((name) => this.#cell(name, false));
    this.#before = this.#hasHeader ? `${this.#mark}${header.join(this.#delimiter)}\n` : this.#mark;
    if (this.#encode(this.#before) === undefined) {
      throw new P2PError(
        "TYPE_MISMATCH",
        `${this.#label}: names of columns have characters that ${this.#encoding} lacks; take encoding=utf-8`,
      );
    }
  }

  #bytes(text: string): Buffer {
    const whole = this.#before + text;
    this.#before = "";
    return this.#encode(whole)!;
  }

  #row(record: P2PRecord, columns: readonly string[]): string | P2PError {
    let row = "";
    let found = 0;
    try {
      for (let i = 0; i < columns.length; i++) {
        const value = getField(record, columns[i]!);
        if (i > 0) row += this.#delimiter;
        if (value === undefined) continue;
        found++;
        row += this.#value(value);
      }
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      return new P2PError("TYPE_MISMATCH", `${this.#label} cannot hold the record: ${error.message}`);
    }
    const unknown = this.#unknown(record, found);
    if (unknown !== undefined) return unknown;
    if (row === "") {
      return new P2PError(
        "TYPE_MISMATCH",
        `${this.#label} cannot hold a row of one empty cell, since it would be a blank line`,
      );
    }
    if (!this.#encoding.startsWith("utf-") && this.#encode(row) === undefined) {
      return new P2PError(
        "TYPE_MISMATCH",
        `${this.#label}: the record has characters that ${this.#encoding} lacks; take encoding=utf-8`,
      );
    }
    return `${row}\n`;
  }

  /** A field that is not among the columns. */
  #unknown(record: P2PRecord, found: number): P2PError | undefined {
    const fields = Object.keys(record).filter((field) => record[field] !== undefined);
    if (fields.length === found) return undefined;
    const field = fields.find((name) => !this.#known.has(name))!;
    if (field === "") {
      return new P2PError(
        "TYPE_MISMATCH",
        `${this.#label}: the record has a field without a name, which no column can have`,
      );
    }
    return new P2PError(
      "TYPE_MISMATCH",
      `${this.#label} has no column "${field}"${suggest(field, [...this.#known])}: its columns are those of its header, or of the first records that were written. Name all of them by the option columns, leave the field out by --fields or a transform, or write NDJSON, which has no columns`,
    );
  }

  #value(value: P2PValue): string {
    switch (typeof value) {
      case "string":
        return this.#text(looksLikeJson(value) && jsonOf(value) !== undefined ? textTag(value) : value);
      case "number":
        return numberText(value);
      case "bigint":
      case "boolean":
        return String(value);
      default:
        if (value === null) return "";
        return valueType(value) === "date" ? isoText(value as Date) : this.#text(jsonOfValue(value));
    }
  }

  #text(text: string): string {
    return this.#cell(text, true);
  }

  /** @param isText whether quotes are to tell that this is text, or stand where they must alone. */
  #cell(text: string, isText: boolean): string {
    const quote = this.#quote;
    if (quote === "") {
      if (text.includes(this.#delimiter) || /[\r\n]/.test(text)) {
        throw new TypeError(
          "a text has a delimiter or a line break in it, and quote=none leaves nothing to put around it",
        );
      }
      return text;
    }
    const isMarked = text.includes(quote);
    if (!isText && !isMarked && text !== "" && !text.includes(this.#delimiter) && !/[\r\n]/.test(text)) return text;
    return quote + (isMarked ? text.replaceAll(quote, quote + quote) : text) + quote;
  }
}

/** Characters that are made bytes of at a time. */
const CHUNK_LENGTH = 1_048_576;

/** The fields of all records, in the order in which they come. A column needs a name. */
function fieldsOf(records: readonly P2PRecord[]): string[] {
  const fields = new Set<string>();
  for (const record of records) {
    for (const field of Object.keys(record)) if (record[field] !== undefined && field !== "") fields.add(field);
  }
  return [...fields];
}

/** A text that would be taken for JSON. */
function textTag(text: string): string {
  return JSON.stringify({ [JSON_TAG]: TEXT_TAG, value: text });
}

/** A number so that it is read as one: large ones with an exponent, since digits alone are a bigint. */
function numberText(value: number): string {
  if (Object.is(value, -0)) return "-0";
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? value.toExponential() : String(value);
}
