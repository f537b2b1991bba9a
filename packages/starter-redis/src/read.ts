import { isNoBytesKey, type P2PId, type P2PQuery, type ReadOptions, type RecordBatch } from "@omni/p2p-core/starter";
import type { Keyspace } from "./client/keyspace.ts";
import { parseRedisQuery } from "./query/query.ts";
import { readItems, recordsOf } from "./reading/read-items.ts";

/** The records that a query asks for, in batches. */
export async function* readBatches(
  source: Keyspace,
  query: P2PQuery,
  options: ReadOptions,
): AsyncGenerator<RecordBatch> {
  const parsed = parseRedisQuery(query, source.settings);
  for await (const { items, ...rest } of readItems(source, parsed, options, recordsOf(source, parsed))) {
    yield { records: items, ...rest, distinct: items.every(({ id }) => isDistinct(id)) };
  }
}

/** The text of an id is its key, whatever the type of the id; keys that are not UTF-8 are bytes. */
function isDistinct(id: P2PId): boolean {
  return typeof id === "string" && isNoBytesKey(id);
}
