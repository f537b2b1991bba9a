import { foreignCursor, type JsonValue } from "@omni/p2p-core/starter";
import { compareKeys, type Key } from "../../client/keys.ts";
import type { Keyspace } from "../../client/keyspace.ts";
import type { RedisQuery } from "../../query/query.ts";
import { STORE } from "../../types.ts";
import { type KeyPage, keyPages } from "../scan.ts";
import { keysByFields } from "./by-fields.ts";
import { firstKeys, keysByName, sortedKeys } from "./by-name.ts";
import { isPagePosition, keysByScan } from "./by-scan.ts";
import { keyFromJson, keyToJson } from "./key-cursor.ts";
import { type KeySource, listedKeys } from "./key-source.ts";

/**
 * The keys of a query in the order in which they are read:
 * - by the values of fields, where the query says so;
 * - by their names, where there is an offset or a limit, or where they are few enough to be sorted in memory;
 * - else in the order of SCAN.
 * A cursor tells in which of these orders the reading goes on.
 */
export async function keysInOrder(
  source: Keyspace,
  query: RedisQuery,
  after: JsonValue | undefined,
  signal: AbortSignal,
): Promise<KeySource> {
  const { link, settings } = source;
  if (query.orderBy.length > 0) return keysByFields(source, query, after, signal);
  const cursor = (after ?? {}) as { readonly key?: JsonValue; readonly scan?: JsonValue };
  const last = cursor.key === undefined ? undefined : keyFromJson(cursor.key);
  const pages = () => keyPages(link, query.request, settings.scanCount, undefined, signal);
  const inKeyOrder = () => {
    const most = mostKeys(query, after === undefined ? query.offset : 0, settings.maxSortedKeys);
    return keysByName((from) => firstKeys(pages(), from, most), last);
  };

  if (query.request.keys) {
    const keys = query.request.keys.filter((key) => last === undefined || compareKeys(key, last) > 0);
    return listedKeys(keys, (i) => ({ key: keyToJson(keys[i]!) }));
  }
  if (isPagePosition(cursor.scan)) {
    const from = cursor.scan;
    return keysByScan(keyPages(link, query.request, settings.scanCount, from, signal), from);
  }
  if (after !== undefined && last === undefined) {
    throw foreignCursor(STORE);
  }
  if (last !== undefined || query.offset > 0 || query.limit < Infinity) return inKeyOrder();
  // A scan of all keys tells beforehand whether they are few.
  const { pattern, type, slots } = query.request;
  const whole = pattern === undefined && type === undefined && slots === undefined;
  const total = await link.size(signal);
  const { maxSortedKeys, scanCount } = settings;
  const many = whole && total !== undefined && total > maxSortedKeys;
  // Where the number is not known, all of them may be few until they are many.
  return many ? keysByScan(pages(), undefined) : keyOrderIfFew(pages(), maxSortedKeys, (total ?? 0) / scanCount);
}

/** How many names are worth keeping. */
function mostKeys({ filtered, limit }: RedisQuery, offset: number, most: number): number {
  return filtered ? most : Math.max(1, Math.min(most, offset + limit));
}

/** Names that tell well enough how many there are in all: keys lie in the server's table by chance. */
const SAMPLE = 2000;
/** How far beyond the limit a guess must be to be believed. */
const CLEARLY = 1.25;

/** @param expectedPages pages that the scan has, about; while they are counted no record is read yet, so it stops early */
async function keyOrderIfFew(
  pages: AsyncGenerator<KeyPage, undefined>,
  most: number,
  expectedPages: number,
): Promise<KeySource> {
  const seen: KeyPage[] = [];
  const names: Key[] = [];
  const clearlyMany = () => names.length >= SAMPLE && (names.length / seen.length) * expectedPages > most * CLEARLY;
  while (names.length <= most && !clearlyMany()) {
    const { value, done } = await pages.next();
    if (done) {
      const found = { keys: sortedKeys(names), more: false };
      return keysByName(async () => found, undefined);
    }
    seen.push(value);
    for (const key of value.keys) names.push(key);
  }
  return keysByScan(chained(seen, pages), undefined);
}

async function* chained(seen: KeyPage[], rest: AsyncGenerator<KeyPage, undefined>): AsyncGenerator<KeyPage, undefined> {
  for (let page = seen.shift(); page; page = seen.shift()) yield page;
  yield* rest;
}
