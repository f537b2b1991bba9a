/** CSV and TSV: the codec of delimited text (RFC 4180), a row a record. */
import { P2PError, type P2PObject, type P2PValue, setField } from "@omni/p2p-core/starter";
import { csvValueTypes } from "../types.ts";
import { readHead } from "./csv-head.ts";
import { isBlank, type Layout } from "./csv-layout.ts";
import { type Row, RowScanner } from "./csv-scan.ts";
import { csvWriter } from "./csv-write.ts";
import type { Format, FormatInput, Item } from "./format.ts";
import { withoutNulls } from "./nulls.ts";

/** CSV, of which the delimiter is found where it is not given. */
export const csv: Format = delimited("csv", ["csv"], undefined);

/** CSV with tabs. */
export const tsv: Format = delimited("tsv", ["tsv", "tab"], "\t");

function delimited(name: "csv" | "tsv", endings: readonly string[], delimiter: string | undefined): Format {
  return {
    name,
    endings,
    valueTypes: csvValueTypes,
    read: (input) => readItems(input, delimiter),
    comparable: (record) => withoutNulls(record, (value) => (isSmallBigint(value) ? Number(value) : value)),
    writer: (start) => csvWriter(start, delimiter),
  };
}

async function* readItems(input: FormatInput, delimiter: string | undefined): AsyncGenerator<Item[]> {
  const { layout, head, rest } = await readHead(input, delimiter);
  const { start, upTo, signal } = input;
  const toItem = itemMaker(layout);
  const resumes = start !== undefined && start.at > layout.start.at;
  if (resumes) await rest.return?.();
  const from = resumes ? start : layout.start;
  const scanner = new RowScanner(layout.dialect, from, input.options.maxLine);
  const chunks = resumes ? input.bytes(start.at) : followedBy(head.subarray(layout.start.at), rest);
  for await (const items of scanned(chunks, scanner, toItem)) {
    signal.throwIfAborted();
    const end = upTo === undefined ? -1 : items.findIndex((item) => item.end.at - item.bytes >= upTo);
    yield end === -1 ? items : items.slice(0, end);
    if (end !== -1) return;
  }
}

async function* followedBy(head: Buffer, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield head;
    for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

async function* scanned(
  chunks: AsyncIterable<Uint8Array>,
  scanner: RowScanner,
  toItem: (row: Row) => Item,
): AsyncGenerator<Item[]> {
  for await (const chunk of chunks) {
    for (const piece of pieces(chunk)) yield toItems(scanner.scan(piece, false), toItem);
  }
  yield toItems(scanner.scan(new Uint8Array(0), true), toItem);
}

/** Whether digits alone are read as a number. */
function isSmallBigint(value: P2PValue): boolean {
  return typeof value === "bigint" && Number.isSafeInteger(Number(value));
}

/** Bytes that are made records of at a time. */
const PIECE_BYTES = 65_536;

function* pieces(chunk: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < chunk.length; at += PIECE_BYTES) yield chunk.subarray(at, at + PIECE_BYTES);
}

function toItems(rows: readonly Row[], toItem: (row: Row) => Item): Item[] {
  const items: Item[] = [];
  for (const row of rows) if (!isBlank(row)) items.push(toItem(row));
  return items;
}

/** How a row of a file becomes an item. */
function itemMaker({ columns, readers, header }: Layout): (row: Row) => Item {
  const width = columns.length;
  const isPlain = !columns.includes("__proto__");
  return (row) => {
    const { cells, quoted, line, at, end, nextLine } = row;
    const place = { line, end: { at: end, line: nextLine }, bytes: end - at };
    const failed = (what: string): Item => ({
      ...place,
      error: new P2PError("INVALID_RECORD", `Line ${line} ${what}`),
    });
    if (row.trouble !== undefined) return failed(row.trouble);
    if (cells.length !== width) {
      return failed(
        `has ${cells.length} ${cells.length === 1 ? "cell" : "cells"} where there are ${width} columns; a cell that holds a delimiter or a line break must be quoted`,
      );
    }
    if (header !== undefined && cells[0] === header[0] && cells.every((cell, i) => cell === header[i])) {
      return failed("is the header once more, as where files were put one behind the other; it is no record");
    }
    const fields: Record<string, P2PValue> = {};
    for (let i = 0; i < width; i++) {
      let value: P2PValue;
      try {
        value = readers[i]!(cells[i]!, quoted?.[i] === true);
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
        return failed(`has in column "${columns[i]}" what is not of its type: ${error.message}`);
      }
      if (isPlain) fields[columns[i]!] = value;
      else setField(fields, columns[i]!, value);
    }
    return { fields: fields as P2PObject, line: place.line, end: place.end, bytes: place.bytes };
  };
}
