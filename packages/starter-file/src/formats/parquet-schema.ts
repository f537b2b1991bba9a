/** The schema of a Parquet file: its footer read, its columns named, and the types by which it says what its bytes are. */
import { MAX_BIGINT_DIGITS, P2PError } from "@omni/p2p-core/starter";
import {
  type AsyncBuffer,
  type FileMetaData,
  parquetMetadataAsync,
  parquetSchema,
  type SchemaElement,
  type SchemaTree,
} from "hyparquet";
import { duplicates } from "./csv-options.ts";
import type { FormatInput, RandomAccess } from "./format.ts";

/** The kinds of value of columns that this starter wrote, where the types of Parquet do not tell them. */
export interface ColumnHint {
  readonly kind: "number" | "bigint" | "json" | "other";
  /** A null is a field that the record did not have. */
  readonly absent: boolean;
}

/** A Parquet file that can be read. */
export interface ParquetFile {
  readonly file: AsyncBuffer;
  readonly metadata: FileMetaData;
  readonly columns: readonly SchemaTree[];
  readonly hints: ReadonlyMap<string, ColumnHint>;
  readonly rows: number;
}

/** The name of this starter's entry among the key-value metadata of a file. */
export const HINTS_KEY = "omni-p2p";

function bufferOf({ size, read }: RandomAccess): AsyncBuffer {
  return {
    byteLength: size,
    async slice(start, end = size) {
      const bytes = await read(start, end - start);
      const { buffer, byteOffset, byteLength } = bytes;
      return byteOffset === 0 && byteLength === buffer.byteLength
        ? (buffer as ArrayBuffer)
        : (buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer);
    },
  };
}

/**
 * Reads the footer.
 *
 * @throws P2PError `READ_FAILED` for what is no Parquet; `UNSUPPORTED_OPERATION` where the file cannot be read at any place.
 */
export async function openParquet({ label, random }: FormatInput): Promise<ParquetFile> {
  if (random === undefined) {
    throw new P2PError(
      "UNSUPPORTED_OPERATION",
      `${label}: Parquet has its table of contents at its end, so it is read neither from a pipe nor compressed as a whole; give the file itself`,
    );
  }
  const file = bufferOf(random);
  if (random.size < 12) throw unreadable(label, new Error("it is too short"));
  let metadata: FileMetaData;
  try {
    metadata = await parquetMetadataAsync(file, { parsers: RAW_PARSERS, geoparquet: false });
  } catch (error) {
    throw unreadable(label, error);
  }
  for (const element of metadata.schema) {
    normalise(element);
    const { logical_type: logical, name } = element;
    // Each value would have as many digits, or be multiplied by ten as often.
    if (logical?.type === "DECIMAL" && Math.abs(logical.scale) > MAX_BIGINT_DIGITS)
      throw unreadable(label, new Error(`column "${name}" has decimals of scale ${logical.scale}`));
  }
  const columns = parquetSchema(metadata).children;
  const twice = duplicates(columns.map(({ element }) => element.name));
  if (twice.length > 0) {
    throw new P2PError("READ_FAILED", `${label} has several columns of one name: ${twice.join(", ")}`);
  }
  return { file, metadata, columns, hints: hintsOf(metadata), rows: Number(metadata.num_rows) };
}

/** What was thrown when a file was read. */
export function unreadable(label: string, cause: unknown): P2PError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new P2PError("READ_FAILED", `${label} cannot be read as Parquet: ${reason}`, { cause });
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Bytes that say they are text, as text where they are. */
function textOf(bytes: Uint8Array | undefined): unknown {
  if (bytes === undefined) return undefined;
  try {
    return decoder.decode(bytes);
  } catch {
    return bytes;
  }
}

const same = (value: unknown): never => value as never;

/** Leaves values as they are in the file: what they mean is said once, in `parquet-values.ts`, and without loss. */
export const RAW_PARSERS = {
  timestampFromMilliseconds: same,
  timestampFromMicroseconds: same,
  timestampFromNanoseconds: same,
  dateFromDays: same,
  stringFromBytes: textOf as (bytes: Uint8Array) => never,
  jsonFromBytes: same,
  geometryFromBytes: same,
  geographyFromBytes: same,
};

/**
 * Says by the logical type alone what the reader would convert with loss (decimals to numbers) or refuse (BSON), and by the
 * converted type what it knows by that alone (lists and maps of new writers).
 */
function normalise(element: SchemaElement): void {
  const { converted_type: converted, logical_type: logical } = element;
  if (converted === "DECIMAL") {
    element.logical_type = { type: "DECIMAL", precision: element.precision ?? 0, scale: element.scale ?? 0 };
  } else if (converted === "TIME_MILLIS" || converted === "TIME_MICROS") {
    element.logical_type ??= {
      type: "TIME",
      isAdjustedToUTC: true,
      unit: converted === "TIME_MILLIS" ? "MILLIS" : "MICROS",
    };
  } else if (converted === "INTERVAL") {
    element.logical_type = { type: "INTERVAL" };
  } else if (converted === "BSON") {
    element.logical_type = { type: "BSON" };
  } else {
    if (converted === undefined && (logical?.type === "LIST" || logical?.type === "MAP"))
      element.converted_type = logical.type;
    return;
  }
  delete element.converted_type;
}

function hintsOf({ key_value_metadata: entries = [] }: FileMetaData): ReadonlyMap<string, ColumnHint> {
  const text = entries.find(({ key }) => key === HINTS_KEY)?.value;
  if (text === undefined) return new Map();
  try {
    return new Map((JSON.parse(text) as { columns: [string, ColumnHint][] }).columns);
  } catch {
    // Somebody else's entry of that name.
    return new Map();
  }
}

/** The type of a column as people write it. */
export function typeName({ element, children }: SchemaTree): string {
  const { type, logical_type: logical, converted_type: converted } = element;
  if (logical?.type === "DECIMAL") return `DECIMAL(${logical.precision},${logical.scale})`;
  if (logical?.type === "TIMESTAMP" || logical?.type === "TIME") return `${logical.type}(${logical.unit})`;
  if (logical?.type === "INTEGER") return `${logical.isSigned ? "" : "U"}INT${logical.bitWidth}`;
  if (converted === "UTF8") return "STRING";
  return converted ?? logical?.type ?? type ?? (children.length > 0 ? "STRUCT" : "NULL");
}
