import { resolve } from "node:path";
import {
  type EndpointInfo,
  endpointLabel,
  type OptionSpecs,
  type OptionsOf,
  P2PError,
  parseOptions,
} from "@omni/p2p-core/starter";

/** The options of a `file:` endpoint. */
export const fileOptions = {
  format: {
    type: "string",
    values: ["ndjson", "json", "csv", "tsv", "parquet"],
    description: "How records are written in the file. Default: what its name ends in, as `.csv` or `.ndjson.gz`.",
  },
  compression: {
    type: "string",
    values: ["none", "gzip", "zstd"],
    description: "How the file is compressed. Default: gzip for a name that ends in `.gz`, zstd for `.zst`, else none.",
  },
  key: {
    type: "string",
    description:
      "The field that names a record, or several with commas between. Default: `id`, else `_id`, whichever the first record has; else records are named by their line.",
  },
  ifExists: {
    type: "string",
    values: ["fail", "replace", "append"],
    default: "fail",
    description:
      "What becomes of a target that is there already: the transfer is refused, the file is replaced once all is written, or records are added at its end.",
  },
  partSize: {
    type: "number",
    min: 1024,
    max: 1_000_000_000_000,
    description:
      "Bytes after which a target goes on in another file: `dump.ndjson.gz` becomes `dump-00001.ndjson.gz` and so on, with `dump.manifest.json`, by which it is read as a whole. Default: one file without a manifest.",
  },
  level: {
    type: "number",
    min: 1,
    max: 22,
    description:
      "How hard a target is compressed: 1 to 9 with gzip, 1 to 22 with zstd. Default: that of the format, 6 and 3.",
  },
  maxLine: {
    type: "number",
    min: 1024,
    max: 268_435_456,
    default: 67_108_864,
    description: "Bytes that a record may have in the file, at most; a longer one is a failure, and the next is read.",
  },
  delimiter: {
    type: "string",
    description:
      "CSV: what stands between cells, a character or `comma`, `semicolon`, `tab`, `pipe`, `space`. Default: that of comma, semicolon, tab and pipe which divides the first rows alike; when writing a comma, in TSV a tab.",
  },
  quote: {
    type: "string",
    default: '"',
    description: "CSV: what stands around a cell that holds a delimiter or a line break, or `none`.",
  },
  header: {
    type: "boolean",
    default: true,
    description:
      "CSV: whether the first row has the names of the columns. Without it they are `columns`, else column1, column2, and so on.",
  },
  encoding: {
    type: "string",
    description:
      "CSV: the character encoding by its WHATWG name, as `utf-16le`, `windows-1252` or `gb18030`. Default: that of the byte-order mark, else UTF-8.",
  },
  bom: {
    type: "boolean",
    description:
      "CSV: whether a file that is made begins with a byte-order mark, by which Excel knows UTF-8. Default: in UTF-16 alone.",
  },
  columns: {
    type: "string",
    description:
      "CSV: the names of the columns with commas between: in place of the header when reading; those that are written when writing. Default: the header's; the fields of the first batch.",
  },
  types: {
    type: "string",
    description:
      "CSV: types of columns, as `price:number,released:date,*:text`, of text, number, bigint, boolean, date, json and auto. A cell that is not of a type given so is a failure. Default: auto, by a sample.",
  },
  sample: {
    type: "number",
    min: 0,
    max: 1_000_000,
    default: 1000,
    description:
      "CSV: rows, within the first MiB, by which the types of columns are found; with 0 each column is text.",
  },
  codec: {
    type: "string",
    values: ["snappy", "zstd", "gzip", "none"],
    default: "snappy",
    description: "Parquet: how the pages of a file that is made are compressed.",
  },
  rowGroup: {
    type: "number",
    min: 1,
    max: 10_000_000,
    default: 100_000,
    description:
      "Parquet: records in a row group of a file that is made, at most; it ends at about 8 MiB of records in any case.",
  },
} as const satisfies OptionSpecs;

/** The options as they hold for one endpoint, defaults filled in. */
export type FileOptions = OptionsOf<typeof fileOptions>;

/** A `file:` endpoint, checked. */
export interface FileEndpoint {
  /** Absolute, and it may hold the wildcards of a glob; `-` for standard input or output. */
  readonly path: string;
  /** How messages call it. */
  readonly label: string;
  readonly options: FileOptions;
}

/**
 * Checks an endpoint and spells it out.
 *
 * @throws P2PError `INVALID_ENDPOINT`
 */
export function parseFileEndpoint(endpoint: EndpointInfo): FileEndpoint {
  const options = parseOptions(fileOptions, endpoint);
  const label = endpointLabel(endpoint);
  const invalid = (what: string) => new P2PError("INVALID_ENDPOINT", `Invalid endpoint ${label}: ${what}`);
  const { database, host } = endpoint;
  if (host !== undefined) {
    throw invalid('a file has no host; write "file:./data.ndjson" or "file:/folder/data.ndjson", without //');
  }
  if (database === undefined || database.trim() === "") {
    throw invalid('the path of the file is missing; write "file:./data.ndjson", or "file:-?format=ndjson" for a pipe');
  }
  if (database.includes("\0")) throw invalid("its path holds a NUL character");
  return { path: database === "-" ? "-" : resolve(database), label, options };
}
