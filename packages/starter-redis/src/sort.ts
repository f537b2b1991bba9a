import {
  compareRecords,
  type JsonValue,
  matches,
  P2PError,
  type P2PRecord,
  type P2PValue,
  setField,
} from "@omni/p2p-core";
import { type KeySource, listedKeys } from "./key-source.ts";
import { compareKeys, type Key } from "./keys.ts";
import type { RedisQuery } from "./query.ts";
import { toRecord, UnreadableKey } from "./records.ts";
import { keyPages } from "./scan.ts";
import type { RedisSource } from "./source.ts";
import { ValueReader } from "./values.ts";

interface Entry {
  readonly key: Key;
  /** The record's id and the fields it is sorted by; a key that could not be read has its id alone. */
  readonly record: P2PRecord;
}

/**
 * The keys of a sorted query. Redis cannot sort keys by what is in them, so all records are read once, and of each the
 * fields to sort by are kept in memory; with a limit only of as many as can be needed. A cursor is the rank.
 */
export async function sortedByFields(
  source: RedisSource,
  query: RedisQuery,
  after: JsonValue | undefined,
  signal: AbortSignal,
): Promise<KeySource> {
  const from = rankAfter(after) ?? query.offset;
  const most = from + query.limit;
  const compare = (a: Entry, b: Entry) =>
    compareRecords(query.orderBy, a.record, b.record) || compareKeys(a.key, b.key);
  let entries: Entry[] = [];
  for await (const found of readEntries(source, query, signal)) {
    for (const entry of found) entries.push(entry);
    if (entries.length > 2 * most + 1000) entries = inOrder(entries).sort(compare).slice(0, most);
  }
  entries = inOrder(entries).sort(compare);
  const keys = entries.slice(from, most).map(({ key }) => key);
  return listedKeys(keys, (i) => ({ rank: from + i + 1 }));
}

/**
 * In the order of keys, each once. Values of different types have no order between each other and stay as they are, so
 * where they start from must not change.
 */
function inOrder(entries: Entry[]): Entry[] {
  entries.sort((a, b) => compareKeys(a.key, b.key));
  return entries.filter(({ key }, i) => i === 0 || compareKeys(entries[i - 1]!.key, key) !== 0);
}

function rankAfter(after: JsonValue | undefined): number | undefined {
  if (after === undefined) return undefined;
  const rank = (after as { readonly rank?: unknown } | null)?.rank;
  if (typeof rank === "number") return rank;
  throw new P2PError("CHECKPOINT_INVALID", "The cursor is not one of a sorted Redis source; start the transfer anew");
}

async function* readEntries(
  { link, settings, tellsExpiry }: RedisSource,
  query: RedisQuery,
  signal: AbortSignal,
): AsyncGenerator<Entry[]> {
  const reader = new ValueReader(link, settings, tellsExpiry);
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
