/** Parquet: the codec of a columnar file, read and written by row groups. */
import { type P2PValue, setField } from "@omni/p2p-core/starter";
import { parquetScan, type RowGroup } from "hyparquet";
import { parquetValueTypes } from "../types.ts";
import type { Format, FormatInput, Item } from "./format.ts";
import { withoutNulls } from "./nulls.ts";
import { DECOMPRESSORS } from "./parquet-codecs.ts";
import { openParquet, type ParquetFile, RAW_PARSERS, typeName, unreadable } from "./parquet-schema.ts";
import { decoderOf } from "./parquet-values.ts";
import { writeParquet } from "./parquet-write.ts";

export const parquet: Format = {
  name: "parquet",
  endings: ["parquet"],
  unit: "Record",
  valueTypes: parquetValueTypes,
  read: readItems,
  comparable: (record) => withoutNulls(record),
  split: async (input, parts) => splitByRowGroups(await openParquet(input), parts),
  count: async (input) => (await openParquet(input)).rows,
  schema: async (input) =>
    (await openParquet(input)).columns.map((column) => ({ name: column.element.name, type: typeName(column) })),
  convert: writeParquet,
};

/** Places between row groups that divide the rows into parts of about one size. */
function splitByRowGroups({ metadata, rows }: ParquetFile, parts: number): number[] {
  const places: number[] = [];
  let at = 0;
  for (const { num_rows: more } of metadata.row_groups) {
    if (at > 0 && at >= (rows * (places.length + 1)) / parts && places.length + 1 < parts) places.push(at);
    at += Number(more);
  }
  return [...new Set(places)];
}

/** Rows that are read at a time: a row group, or a part of it. */
interface Window {
  readonly group: RowGroup;
  /** The row of the file with which the group begins. */
  readonly groupAt: number;
  readonly from: number;
  readonly to: number;
}

/** Bytes of a row group that are decoded at a time, where its pages can be found. */
const WINDOW_BYTES = 33_554_432;
/** A column of fewer bytes is decoded as a whole. */
const SMALL_COLUMN_BYTES = 4_194_304;

/** Row groups that are so large and have an index of their pages are read in parts. */
function rowsOfWindow({ total_byte_size: size, num_rows: rows, columns }: RowGroup): number {
  const parts = Math.ceil(Number(size) / WINDOW_BYTES);
  const hasPages = columns.every(
    ({ meta_data: column, offset_index_offset: index }) =>
      index !== undefined || Number(column?.total_uncompressed_size ?? 0) <= SMALL_COLUMN_BYTES,
  );
  return parts > 1 && hasPages ? Math.ceil(Number(rows) / parts) : Number(rows);
}

function* windowsOf({ metadata }: ParquetFile, start: number, end: number): Generator<Window> {
  let groupAt = 0;
  for (const group of metadata.row_groups) {
    const after = groupAt + Number(group.num_rows);
    const step = Math.max(1, rowsOfWindow(group));
    const to = Math.min(after, end);
    for (let from = Math.max(groupAt, start); from < to; from += step) {
      yield { group, groupAt, from, to: Math.min(to, from + step) };
    }
    groupAt = after;
  }
}

/** Items that are made at a time of rows that were read. */
const SLICE = 1000;

async function* readItems(input: FormatInput): AsyncGenerator<Item[]> {
  const { label, signal, start, upTo = Number.POSITIVE_INFINITY } = input;
  const file = await openParquet(input);
  const columns = file.columns.map((column) => {
    const { name } = column.element;
    const hint = file.hints.get(name);
    return { name, decode: decoderOf(column, hint), isAbsent: hint?.absent === true };
  });
  for (const window of windowsOf(file, start?.at ?? 0, upTo)) {
    signal.throwIfAborted();
    const rows = window.to - window.from;
    const bytes = Math.max(1, Math.round(Number(window.group.total_byte_size) / Number(window.group.num_rows)));
    const values = await readWindow(file, window, columns, label);
    for (let from = 0; from < rows; from += SLICE) {
      signal.throwIfAborted();
      const items: Item[] = [];
      for (let row = from; row < Math.min(rows, from + SLICE); row++) {
        const fields: Record<string, P2PValue> = {};
        for (let i = 0; i < columns.length; i++) {
          const { name, decode, isAbsent } = columns[i]!;
          const value = decode(values[i]![row]);
          if (value !== null || !isAbsent) setField(fields, name, value);
        }
        const line = window.from + row + 1;
        items.push({ fields, line, end: { at: line, line: line + 1 }, bytes });
      }
      yield items;
    }
  }
}

async function readWindow(
  { file, metadata }: ParquetFile,
  { group, groupAt, from, to }: Window,
  columns: readonly { readonly name: string }[],
  label: string,
): Promise<ArrayLike<unknown>[]> {
  try {
    // Of this row group alone, so that a plan does not go through all of them each time.
    const scan = await parquetScan({
      file,
      metadata: { ...metadata, row_groups: [group], num_rows: group.num_rows },
      compressors: DECOMPRESSORS,
      parsers: RAW_PARSERS,
      utf8: false,
      geoparquet: false,
    });
    const read: ArrayLike<unknown>[] = [];
    for (const { name } of columns) {
      const values = await scan.readColumn({ column: name, rowStart: from - groupAt, rowEnd: to - groupAt });
      if (values.length !== to - from)
        throw new Error(`column "${name}" has ${values.length} values for ${to - from} rows`);
      read.push(values);
    }
    return read;
  } catch (error) {
    throw unreadable(label, error);
  }
}
