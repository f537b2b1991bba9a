/**
 * The format contract: a codec between records and the bytes of a file. A format knows nothing of files, compression, globs,
 * cursors and temporary names; it is given bytes, or a handle for random access, and gives records with where they end.
 */
import type {
  JsonValue,
  P2PError,
  P2PObject,
  P2PRecord,
  ValueSupport,
  ValueType,
  WriteFailure,
} from "@omni/p2p-core/starter";
import type { FileOptions } from "../endpoint.ts";

/** Where reading stands in a file: between two records. */
export interface Position {
  /** Uncompressed bytes before it; for a format of random access the number of records before it. */
  readonly at: number;
  /** The number of the next line, from 1 on (the line of the file, or the record's own number), for messages. */
  readonly line: number;
}

/** A record of a file, or the reason why there is none. */
export interface Item {
  /** As it stands in the file: its fields, among which the id is found by the option `key`. Absent with an error. */
  readonly fields?: P2PObject;
  /** Why it is none: names the line, and what to do. */
  readonly error?: P2PError;
  /** The line that it begins on. */
  readonly line: number;
  /** The position after it. */
  readonly end: Position;
  /** Bytes that it has in the file. */
  readonly bytes: number;
}

/** Reading at any place, for formats that need it. */
export interface RandomAccess {
  /** Bytes of the file. */
  readonly size: number;
  /** @returns as many bytes as were asked for; fewer only at the end of the file. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** A file that is read, by the format's own measure. */
export interface FormatInput {
  /** How messages call the file. */
  readonly label: string;
  readonly options: FileOptions;
  /**
   * The uncompressed bytes from an offset on, in chunks of 64 KiB or so that belong to whoever takes them. May be called
   * several times (for the head of a file that is read from its middle), except on a pipe, where only one call is served.
   */
  bytes(from: number): AsyncIterable<Uint8Array>;
  /** Absent where the file is compressed or a pipe. */
  readonly random?: RandomAccess;
  /** Where to begin. Default: at the beginning. */
  readonly start?: Position;
  /** Where to end: items that begin at this `at` or beyond are not wanted. Default: at the end. */
  readonly upTo?: number;
  readonly signal: AbortSignal;
}

/** What a batch of records became. */
export interface Encoded {
  /** In their order, to be written after all that was encoded before. */
  readonly chunks: readonly Uint8Array[];
  /** Those that the format cannot hold; none of their bytes are among the chunks. */
  readonly failures: readonly WriteFailure[];
}

/** Writes records as a stream. */
export interface FormatWriter {
  /** A header comes with the first records. Each record must have been encoded wholly: nothing is held back. */
  encode(records: readonly P2PRecord[]): Encoded | Promise<Encoded>;
  /** What ends the file; also that of one without records. */
  end(): readonly Uint8Array[];
  /** Bytes that stay of a file that is appended to; what follows them, such as the end of an array, is cut off. Default: all. */
  readonly keep?: number;
  /** What {@link WriterStart.state} needs to go on after what was encoded so far, for instance the columns. Small, plain JSON. */
  readonly state: JsonValue;
}

/** Where a writer begins. */
export interface WriterStart {
  /** How messages call the file. */
  readonly label: string;
  readonly options: FileOptions;
  /** `state` of the writer that wrote what is there, when a file is gone on with after a kill. */
  readonly state?: JsonValue;
  /** A file to append to, with records; the writer looks at its head and tail (the columns, whether a line is torn). */
  readonly appendTo?: FormatInput;
}

/** Writing at the end of a file, for a format that is made in one go. */
export interface Sink {
  write(bytes: Uint8Array): Promise<void>;
}

/** Records that were spooled to a file of their own, for a format that must know all of them before it can begin. */
export interface Spool {
  /** All of them, in order, from the beginning at each call. */
  records(): AsyncIterable<readonly P2PRecord[]>;
}

/** A format of files. */
export interface Format {
  /** The value of the option `format`. */
  readonly name: FormatName;
  /** The ends of names that mean it, without a dot; the first is that of files which are made. */
  readonly endings: readonly string[];
  /** What {@link Item.line} counts, for messages. Default `Line`. */
  readonly unit?: "Record";
  /** What becomes of each kind of value. */
  readonly valueTypes: Readonly<Record<ValueType, ValueSupport>>;
  /**
   * The items of a file, some at a time (an empty list does no harm), in bounded memory. An item that is wrong is told by its
   * `error` and the next one follows where that can be found; what makes all the rest unreadable is thrown as `READ_FAILED`.
   */
  read(input: FormatInput): AsyncIterable<readonly Item[]>;
  /**
   * Places (`at`) that divide the file between two records into parts of about one size, each one once and in order, without
   * the beginning and the end. Absent where a file cannot be divided.
   */
  split?(input: FormatInput, parts: number): Promise<readonly number[]>;
  /** How many records there are, where the file says so itself. */
  count?(input: FormatInput): Promise<number>;
  /** The fields with the format's own types, where the file says so itself. */
  schema?(input: FormatInput): Promise<readonly { readonly name: string; readonly type: string }[]>;
  /**
   * The record as it is compared, where the format does not tell apart what others do (a field that is null, and one that is
   * not there). Given the records of either side. Absent where it tells all apart.
   */
  comparable?(record: P2PRecord): P2PRecord;
  /** Writes a stream. Absent where the format is only read, or made in one go. */
  writer?(start: WriterStart): FormatWriter | Promise<FormatWriter>;
  /** Writes a file of records that were spooled (which is how such a file is resumed after a kill). */
  convert?(
    spool: Spool,
    sink: Sink,
    context: { readonly label: string; readonly options: FileOptions; readonly signal: AbortSignal },
  ): Promise<void>;
}

/** Names of formats, as the option `format` has them. */
export type FormatName = NonNullable<FileOptions["format"]>;
