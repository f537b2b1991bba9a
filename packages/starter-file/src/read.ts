import {
  BatchBuilder,
  type JsonValue,
  matches,
  P2PError,
  type P2PQuery,
  type P2PRecord,
  pickFields,
  type ReadOptions,
  type RecordBatch,
  toP2PError,
} from "@omni/p2p-core/starter";
import type { SourceFile } from "./client/source-file.ts";
import type { Item, Position } from "./formats/format.ts";
import { cursorOf, type FileCursor, type FileRange, parseCursor, rangeOf } from "./query/cursor.ts";
import { parseFileQuery } from "./query/query.ts";
import type { FileSource, InputRange, OpenInput } from "./reading/source.ts";
import { type Key, recordOf } from "./values/key.ts";

/** The records of files that a query asks for, in batches. */
export async function* readBatches(
  source: FileSource,
  query: P2PQuery,
  options: ReadOptions,
): AsyncGenerator<RecordBatch> {
  const { signal, after } = options;
  signal.throwIfAborted();
  const parsed = parseFileQuery(query);
  const range = rangeOf(parsed);
  const from = after === undefined ? undefined : parseCursor(after);
  const { conditions, fields } = parsed;
  let { limit } = parsed;
  let skip = from === undefined ? parsed.offset : 0;
  if (limit === 0) return;
  const builder = new BatchBuilder<P2PRecord>(options);
  let last: (() => JsonValue) | undefined;
  let key: Key | undefined;
  const take = (): RecordBatch => {
    const { items: records, failures, bytes } = builder.take()!;
    return { records, cursor: last!(), bytes, ...(failures && { failures }) };
  };
  for await (const { items, open, number, print } of openedItems(source, range, from, signal)) {
    for (const item of items) {
      const { bytes, end } = item;
      // The first record of the first file tells how all are named.
      if (item.fields && !key)
        key = await source.key(signal, number === 0 && !open.input.start ? item.fields : undefined);
      const found = recordOrError(source, item, open.file.file, key);
      if (found instanceof P2PError) {
        if (!builder.hasRoomFor(0)) yield take();
        builder.fail({ id: `${open.file.file.name}:${item.line}`, error: found });
      } else {
        if (conditions.length > 0 && !matches(conditions, found)) continue;
        if (skip > 0) {
          skip--;
          continue;
        }
        if (!builder.hasRoomFor(bytes)) yield take();
        builder.add(pickFields(found, fields), bytes, false);
        limit--;
      }
      last = () => cursorAfter(end, open, number, print);
      if (!builder.isFull && limit > 0) continue;
      yield take();
      signal.throwIfAborted();
      if (limit === 0) return;
    }
  }
  if (!builder.isEmpty) yield take();
}

interface OpenedItems {
  readonly items: readonly Item[];
  readonly open: OpenInput;
  /** Of the file. */
  readonly number: number;
  readonly print: string;
}

/** The items of a range, file by file. */
async function* openedItems(
  source: FileSource,
  { from, to }: FileRange,
  after: FileCursor | undefined,
  signal: AbortSignal,
): AsyncGenerator<OpenedItems> {
  const first = after?.file ?? from[0];
  if (after !== undefined) assertSameName(source, after);
  for (let number = first; number < source.files.length && number <= (to?.[0] ?? number); number++) {
    const upTo = number === to?.[0] ? to[1] : undefined;
    if (upTo === 0) return;
    const file =
      after !== undefined && number === first ? resumed(source.files[number]!, after) : source.files[number]!;
    await using open = await source.openInput(file, inputRange(number, from, upTo, after), signal);
    const print = open.file.isPipe ? "" : await open.file.print(file.size);
    if (after !== undefined && number === first && after.print !== print) throw changed(file);
    let count = 0;
    for await (const items of source.format.read(open.input)) {
      count += items.length;
      yield { items, open, number, print };
    }
    if (open.input.start === undefined && upTo === undefined) open.file.assertExpected(count);
    await open.file.assertUnchanged(print);
  }
}

function inputRange(
  number: number,
  [file, at]: FileRange["from"],
  upTo: number | undefined,
  after: FileCursor | undefined,
): InputRange {
  if (after?.file === number) {
    const { at, line, member: [compressed, plain] = [0, 0] } = after;
    return { start: { at, line }, member: { compressed, plain }, upTo };
  }
  return file === number && at > 0 ? { start: { at, line: 1 }, upTo } : { upTo };
}

/** The file with the size that it had when it was begun: what was added since is not part of it. */
function resumed(file: SourceFile, { size }: FileCursor): SourceFile {
  if (file.size < size) throw changed(file);
  return { ...file, size };
}

function changed({ name }: SourceFile): P2PError {
  return new P2PError(
    "CHECKPOINT_MISMATCH",
    `${name} was written over since it was read in part; start the transfer anew without resume`,
  );
}

function assertSameName({ files }: FileSource, { file, name }: FileCursor): void {
  if (files[file]?.name === name) return;
  throw new P2PError(
    "CHECKPOINT_MISMATCH",
    `The files are no longer those that were read in part: "${name}" is not number ${file + 1} of them; start the transfer anew without resume`,
  );
}

function recordOrError(
  { files, format }: FileSource,
  { fields, error, line }: Item,
  { name }: SourceFile,
  key: Key | undefined,
): P2PRecord | P2PError {
  if (fields === undefined) return error!;
  try {
    return recordOf(fields, key!, () => (files.length > 1 ? `${name}:${line}` : line));
  } catch (cause) {
    const { code, message } = toP2PError(cause, "INVALID_RECORD", "it cannot be made out");
    return new P2PError(code, `${format.unit ?? "Line"} ${line} of ${name}: ${message}`, { cause });
  }
}

function cursorAfter(
  { at, line }: Position,
  { bytes, file: { file, isPipe } }: OpenInput,
  number: number,
  print: string,
): JsonValue {
  const { compressed, plain } = bytes.memberAt(at);
  return cursorOf({
    file: number,
    name: file.name,
    at,
    line,
    ...(bytes.compression !== "none" && { member: [compressed, plain] as const, read: bytes.compressedRead }),
    size: isPipe ? 0 : file.size,
    print,
  });
}

/** How many records a query gives, where the files say it themselves. */
export async function countRecords(
  source: FileSource,
  query: P2PQuery,
  signal: AbortSignal,
): Promise<number | undefined> {
  signal.throwIfAborted();
  const { conditions, offset, limit, partition } = parseFileQuery(query);
  if (limit === 0) return 0;
  const told = source.expectedRecords;
  if (told !== undefined && conditions.length === 0 && partition === undefined) {
    return Math.min(limit, Math.max(0, told - offset));
  }
  if (source.isPipe || !source.format.count || conditions.length > 0 || partition !== undefined) return undefined;
  let count = 0;
  for (const file of source.files) {
    await using open = await source.openInput(file, {}, signal);
    count += await source.format.count(open.input);
  }
  return Math.min(limit, Math.max(0, count - offset));
}
