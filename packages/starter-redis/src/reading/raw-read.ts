import type { P2PQuery, RawBatch, ReadOptions } from "@omni/p2p-core/starter";
import type { Keyspace } from "../client/keyspace.ts";
import { parseRedisQuery } from "../query/query.ts";
import { type RedisDocument, toDocument } from "../values/raw-document.ts";
import { UnreadableKey } from "../values/read-record.ts";
import { type Make, readItems, recordsOf } from "./read-items.ts";

/** The raw lane: what a query asks for as documents. What must be looked into is a record still. */
export async function* readDocuments(
  source: Keyspace,
  query: P2PQuery,
  options: ReadOptions,
): AsyncGenerator<RawBatch> {
  const { settings } = source;
  const parsed = parseRedisQuery(query, settings);
  const toItem = recordsOf(source, parsed);
  const whole = !parsed.filtered && parsed.fields === undefined;
  const make: Make<RedisDocument> = (key, fetched, expiry) => {
    const document = whole ? toDocument(key, fetched, expiry, settings) : undefined;
    if (document) return document;
    const record = toItem(key, fetched, expiry);
    return record === undefined || record instanceof UnreadableKey ? record : { record };
  };
  for await (const { items, valid: _, ...rest } of readItems(source, parsed, options, make)) {
    yield { documents: items, ...rest };
  }
}
