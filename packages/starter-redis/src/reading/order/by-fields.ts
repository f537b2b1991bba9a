import {
  compareRecords,
  foreignCursor,
  type JsonValue,
  matches,
  type P2PRecord,
  type P2PValue,
  recordAt,
  setField,
  sortPosition,
} from "@omni/p2p-core/starter";
import { compareKeys, type Key, keyName, keySuffix } from "../../client/keys.ts";
import type { Keyspace } from "../../client/keyspace.ts";
import type { RedisQuery } from "../../query/query.ts";
import { STORE } from "../../types.ts";
import { toRecord, UnreadableKey } from "../../values/read-record.ts";
import { keyPages } from "../scan.ts";
import { ValueReader } from "../value-reader.ts";
import { keyFromJson, keyToJson } from "./key-cursor.ts";
import { type KeySource, listedKeys } from "./key-source.ts";

interface Entry {
  readonly key: Key;
  /** The record's id and the fields it is sorted by; a key that could not be read has its id alone. */
  readonly record: P2PRecord;
}

/**
 * The keys of a sorted query. Redis cannot sort keys by what is in them, so all records are read once, and of each the
 * fields to sort by are kept in memory; with a limit only of as many as can be needed. A cursor is the place of a record
 * in the order: its sort fields, its id and its key.
 */
export async function keysByFields(
  source: Keyspace,
  query: RedisQuery,
  after: JsonValue | undefined,
  signal: AbortSignal,
): Promise<KeySource> {
  const { orderBy } = query;
  const { prefix } = source.settings;
  const compare = (a: Entry, b: Entry) => compareRecords(orderBy, a.record, b.record) || compareKeys(a.key, b.key);
  const last = after === undefined ? undefined : entryAt(query, after, prefix);
  const from = last === undefined ? query.offset : 0;
  const most = from + query.limit;
  let entries: Entry[] = [];
  for await (const found of readEntries(source, query, signal)) {
    for (const entry of found) if (last === undefined || compare(entry, last) > 0) entries.push(entry);
    if (entries.length > 2 * most + 1000) entries = inOrder(entries, compare).slice(0, most);
  }
  const kept = inOrder(entries, compare).slice(from, most);
  return listedKeys(
    kept.map(({ key }) => key),
    (i) => {
      const { key, record } = kept[i]!;
      return { ...(sortPosition(orderBy, record) as object), key: keyToJson(keySuffix(key, prefix)) };
    },
  );
}

/** Sorts, and leaves out keys that the scan has given twice. */
function inOrder(entries: Entry[], compare: (a: Entry, b: Entry) => number): Entry[] {
  const seen = new Set<string>();
  return entries
    .filter(({ key }) => {
      const name = keyName(key);
      return !seen.has(name) && seen.add(name);
    })
    .sort(compare);
}

/** @throws P2PError `CHECKPOINT_INVALID` for a cursor by rank too, as earlier versions made them. */
function entryAt({ orderBy }: RedisQuery, after: JsonValue, prefix: string): Entry {
  const { key } = (after ?? {}) as { readonly key?: JsonValue };
  const record = recordAt(STORE, orderBy, after);
  if (key === undefined) throw foreignCursor(STORE);
  const suffix = keyFromJson(key);
  return { record, key: typeof suffix === "string" ? prefix + suffix : Buffer.concat([Buffer.from(prefix), suffix]) };
}

async function* readEntries(source: Keyspace, query: RedisQuery, signal: AbortSignal): AsyncGenerator<Entry[]> {
  const { link, settings } = source;
  const reader = new ValueReader(source);
  for await (const keys of keyLists()) {
    const { values, expiries } = await reader.fetch(keys, signal);
    const entries: Entry[] = [];
    for (const [i, key] of keys.entries()) {
      const result = toRecord(key, values[i], expiries[i], settings);
      if (result === undefined) continue;
      if (result instanceof UnreadableKey) entries.push({ key, record: { id: result.id } });
      else if (matches(query.conditions, result)) entries.push({ key, record: sortFields(result, query) });
    }
    yield entries;
  }

  async function* keyLists(): AsyncGenerator<readonly Key[]> {
    const { request } = query;
    if (request.keys) {
      if (request.keys.length > 0) yield request.keys;
      return;
    }
    for await (const { keys } of keyPages(link, request, settings.scanCount, undefined, signal)) {
      if (keys.length > 0) yield keys;
    }
  }
}

function sortFields(record: P2PRecord, { orderBy }: RedisQuery): P2PRecord {
  const kept: Record<string, P2PValue> = { id: record.id };
  for (const { field } of orderBy) {
    const value = Object.hasOwn(record, field) ? record[field] : undefined;
    if (value !== undefined) setField(kept, field, value);
  }
  return kept as unknown as P2PRecord;
}
