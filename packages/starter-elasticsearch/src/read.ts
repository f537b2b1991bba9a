import {
  type JsonValue,
  matches,
  type P2PQuery,
  type P2PRecord,
  type P2PValue,
  type ReadOptions,
  type RecordBatch,
  setField,
} from "@omni/p2p-core";
import { BatchBuilder, pageLimits } from "./batching.ts";
import { positionOf, readChanges } from "./changes.ts";
import { readCursor, writeCursor, writeOrderedCursor } from "./cursor.ts";
import { isPlainName } from "./names.ts";
import { locateOrdered } from "./ordered.ts";
import { type OpenedQuery, openQuery, type SourceIndex } from "./source-index.ts";
import { SIDECAR } from "./types.ts";

/** The documents that a query asks for, as records in batches. */
export async function* readBatches(
  source: SourceIndex,
  query: P2PQuery,
  options: ReadOptions,
): AsyncGenerator<RecordBatch> {
  options.signal.throwIfAborted();
  const opened = await openQuery(source, query, options.signal);
  const batches = opened.plan.query.orderBy.length > 0 ? readOrdered(opened, options) : readUnordered(opened, options);
  for await (const batch of batches) {
    yield batch;
    options.signal.throwIfAborted();
  }
}

/** In the order of the last change, which is the cheapest of those that outlive a view of the index. */
async function* readUnordered(opened: OpenedQuery, options: ReadOptions): AsyncGenerator<RecordBatch> {
  const { query, filter } = opened.plan;
  const { conditions, fields } = query;
  const filtered = conditions.length > 0;
  const after = options.after === undefined ? undefined : readCursor(options.after);
  let skip = after === undefined ? query.offset : 0;
  let left = query.limit;
  const batches = new BatchBuilder(options);
  const request = {
    filter,
    after,
    source: wantedFields(opened),
    // One more than that: the document of the cursor may come along.
    most: filtered ? Infinity : skip + left + 1,
    ...pageLimits(options),
  };
  if (left === 0) return;
  for await (const page of readChanges(opened, request, options.signal)) {
    for (const { hit, record, error } of page.hits) {
      const wanted = record === undefined || !filtered || matches(conditions, record);
      if (wanted && skip === 0 && left === 0) break;
      if (wanted && skip > 0) {
        skip--;
      } else if (wanted) {
        left--;
        const size = record === undefined ? 0 : batches.sizeIn(page, record);
        const full = batches.before(size);
        if (full !== undefined) yield full;
        if (record === undefined) batches.fail({ id: hit._id, error: error! });
        else batches.add(project(record, fields), size);
      }
      batches.passed(writeCursor(positionOf(hit)));
    }
    if (left === 0) break;
  }
  const last = batches.end();
  if (last !== undefined) yield last;
}

async function* readOrdered(opened: OpenedQuery, options: ReadOptions): AsyncGenerator<RecordBatch> {
  const { fields, offset, limit } = opened.plan.query;
  let skip = options.after === undefined ? offset : 0;
  let left = limit;
  const batches = new BatchBuilder(options);
  if (left === 0) return;
  for await (const { id, record, error, size, position } of locateOrdered(opened, wantedFields(opened), options)) {
    const cursor: JsonValue = writeOrderedCursor(position);
    if (skip > 0) {
      skip--;
    } else {
      const full = batches.before(size);
      if (full !== undefined) yield full;
      if (record === undefined) batches.fail({ id, error: error! });
      else batches.add(project(record, fields), size);
      left--;
    }
    batches.passed(cursor);
    if (left === 0) break;
  }
  const last = batches.end();
  if (last !== undefined) yield last;
}

/** The source fields to ask for; `undefined` for all, also where a name would be taken for a pattern. */
function wantedFields({ plan: { query } }: OpenedQuery): readonly string[] | undefined {
  if (query.fields === undefined) return undefined;
  const needed = [...query.conditions, ...query.orderBy].map(({ field }) => field);
  const wanted = [...new Set(["id", SIDECAR, ...query.fields, ...needed])];
  return wanted.every(isPlainName) ? wanted : undefined;
}

/** The record with the fields that were asked for. It belongs to nobody yet, so nothing is copied. */
function project(record: P2PRecord, fields: readonly string[] | undefined): P2PRecord {
  if (fields === undefined) return record;
  const projected: Record<string, P2PValue> = { id: record.id };
  for (const field of fields) if (Object.hasOwn(record, field)) setField(projected, field, record[field]);
  return projected as P2PRecord;
}
