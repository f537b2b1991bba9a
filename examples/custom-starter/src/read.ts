import { join } from "node:path";
import {
  cursorPosition,
  foreignCursor,
  type JsonValue,
  matches,
  P2PError,
  type P2PQuery,
  type P2PRecord,
  type ParsedQuery,
  parseQuery,
  projectRecord,
  type ReadFailure,
  type ReadOptions,
  type RecordBatch,
  storeCursor,
} from "@omni/p2p-core/starter";
import { readRecordFile } from "./client/record-file.ts";
import { filesOn, SHELVES, type ShelfRange } from "./client/shelves.ts";
import { STORAGE_TYPE } from "./endpoint.ts";

/** The records that a query asks for, in batches. The cursor of a batch is the last file that it looked at. */
export async function* readBatches(
  folder: string,
  query: P2PQuery,
  { batchSize, batchBytes = Number.POSITIVE_INFINITY, after, signal }: ReadOptions,
): AsyncGenerator<RecordBatch> {
  const { conditions, fields, offset, limit, range } = parseFilesQuery(query);
  const behind = after === undefined ? "" : fileBehind(after);
  let toSkip = after === undefined ? offset : 0;
  let left = limit;
  let batch = emptyBatch();
  for await (const file of filesOn(folder, range, behind, signal)) {
    if (left <= 0) break;
    signal.throwIfAborted();
    const found = await readRecordFile(join(folder, file), file);
    // Removed since its name was read.
    if (found === undefined) continue;
    const { record, size } = found;
    const failed = record instanceof P2PError;
    if (!failed && !matches(conditions, record)) continue;
    if (toSkip > 0) {
      toSkip--;
      continue;
    }
    if (batch.size > 0 && batch.bytes + size > batchBytes) {
      yield batch;
      batch = emptyBatch();
    }
    if (failed) batch.failures.push({ id: file, error: record });
    else batch.records.push(projectRecord(record, fields));
    batch.bytes += size;
    batch.size++;
    batch.cursor = storeCursor(STORAGE_TYPE, file);
    left--;
    if (batch.size < batchSize) continue;
    yield batch;
    batch = emptyBatch();
  }
  if (batch.size > 0) yield batch;
}

/** The file in a cursor. One that another store made must not be taken for the beginning. */
function fileBehind(cursor: JsonValue): string {
  const file = cursorPosition(STORAGE_TYPE, cursor);
  if (typeof file === "string" && /^[0-9a-f]{2}\/[0-9a-f]+\.json$/.test(file)) return file;
  throw foreignCursor(STORAGE_TYPE);
}

/** How many records a query gives. Without conditions the names of the files tell. */
export async function countRecords(folder: string, query: P2PQuery, signal: AbortSignal): Promise<number> {
  const { conditions, offset, limit, range } = parseFilesQuery(query);
  let count = 0;
  if (conditions.length === 0) {
    for await (const _ of filesOn(folder, range, "", signal)) count++;
    return Math.min(limit, Math.max(0, count - offset));
  }
  for await (const { records } of readBatches(folder, query, { batchSize: 1000, signal })) count += records.length;
  return count;
}

/** Parts of a query: ranges of shelves, which are as good as equal, since a hash spreads the records. */
export function partitionQuery(query: P2PQuery, parts: number): P2PQuery[] {
  const { offset, limit, partition } = parseFilesQuery(query);
  // Offset and limit count over the whole.
  if (offset > 0 || limit < Number.POSITIVE_INFINITY || partition !== undefined) return [query];
  const number = Math.min(parts, SHELVES);
  const start = (part: number) => Math.floor((part * SHELVES) / number);
  return Array.from({ length: number }, (_, part) => ({
    ...query,
    partition: { from: start(part), to: start(part + 1) - 1 },
  }));
}

/** A query that files can answer. */
export interface FilesQuery extends ParsedQuery {
  readonly range: ShelfRange;
}

/** @throws P2PError `INVALID_QUERY`, or `UNSUPPORTED_QUERY` for what files cannot do: an error and not a wrong answer. */
export function parseFilesQuery(query: P2PQuery): FilesQuery {
  const parsed = parseQuery(query);
  if (parsed.orderBy.length > 0) throw unsupported("orderBy needs an index, and files have none");
  const [native] = Object.keys(parsed.native);
  if (native !== undefined) throw unsupported(`native.${native} has no meaning for files`);
  return { ...parsed, range: (parsed.partition as unknown as ShelfRange | undefined) ?? { from: 0, to: SHELVES - 1 } };
}

/** The error of a query that files cannot answer. */
function unsupported(why: string): P2PError {
  return new P2PError("UNSUPPORTED_QUERY", `A json-files endpoint cannot answer this query: ${why}`);
}

/** Records are valid: each has been checked when it was parsed. */
function emptyBatch() {
  return {
    records: [] as P2PRecord[],
    failures: [] as ReadFailure[],
    bytes: 0,
    size: 0,
    cursor: null as JsonValue,
    valid: true,
  };
}
