import { compareRecords, matches, type P2PError, type P2PRecord, type ReadOptions } from "@omni/p2p-core/starter";
import { isPlainName } from "../mapping/names.ts";
import { allOf, type Clause, NONE, not } from "../query/clause.ts";
import type { OpenedQuery } from "../query/source-index.ts";
import { SIDECAR } from "../types.ts";
import { type DecodedPage, decodePage, type Hit, type ReadHit } from "../values/decode.ts";
import { pageLimits } from "./batching.ts";
import { readChanges } from "./change-cursor.ts";
import { type OrderedPosition, readOrderedCursor } from "./cursor.ts";
import { readPages } from "./pages.ts";
import { MOST_ODD, type ServerOrder, serverOrder, tooManyToSort } from "./sorting.ts";

/** A document and where it stands in an order. */
export interface LocatedRecord {
  readonly hit: Hit;
  readonly record: P2PRecord | undefined;
  readonly error: P2PError | undefined;
  /** Characters, about. */
  readonly size: number;
  /** The position after it. */
  readonly position: OrderedPosition;
}

/** A document that is sorted here: its key, and nothing of it that the order does not need. */
interface OddKey {
  readonly id: string;
  readonly key: P2PRecord;
}

/**
 * The documents of a query in its order. The server sorts those whose values it has indexed as they are. The others,
 * which are few, are sorted here, and the two rows are made one.
 */
export async function* locateOrdered(
  opened: OpenedQuery,
  fields: readonly string[] | undefined,
  options: ReadOptions,
): AsyncGenerator<LocatedRecord> {
  const { query, filter } = opened.plan;
  const order = serverOrder(query, opened.schemas, opened.link.dialect.ties);
  const start = options.after === undefined ? { after: undefined, odd: undefined } : readOrderedCursor(options.after);
  const keys = order.odd === NONE ? [] : await sortedKeys(opened, order, options);
  const native = nativeRow(opened, allOf([filter, not(order.odd)]), order, start, fields, options);
  const odd = oddRow(opened, keys, start.odd, fields, options);
  try {
    yield* merge(opened, native, odd, start);
  } finally {
    await Promise.all([native.return(undefined), odd.return(undefined)]);
  }
}

interface Candidate {
  readonly hit: ReadHit<P2PRecord>;
  /** What it is compared by. */
  readonly key: P2PRecord | undefined;
  readonly size: number;
}

async function* merge(
  { plan: { query } }: OpenedQuery,
  native: AsyncGenerator<Candidate>,
  odd: AsyncGenerator<Candidate>,
  start: OrderedPosition,
): AsyncGenerator<LocatedRecord> {
  let position = start;
  let [left, right] = [await native.next(), await odd.next()];
  while (!left.done || !right.done) {
    const takeLeft =
      right.done ||
      (!left.done &&
        // A document that could not be read has no place of its own, and is told at once.
        (left.value.key === undefined || compareRecords(query.orderBy, left.value.key, right.value.key!) <= 0));
    const { hit, size, key } = (takeLeft ? left.value : right.value) as Candidate;
    position = takeLeft ? { ...position, after: hit.hit.sort } : { ...position, odd: key };
    yield { hit: hit.hit, record: hit.item, error: hit.error, size, position };
    if (takeLeft) left = await native.next();
    else right = await odd.next();
  }
}

/** The documents that the server puts in order. */
async function* nativeRow(
  opened: OpenedQuery,
  filter: Clause,
  { sort }: ServerOrder,
  { after }: OrderedPosition,
  source: readonly string[] | undefined,
  options: ReadOptions,
): AsyncGenerator<Candidate> {
  if (filter === NONE) return;
  const { conditions, offset, limit } = opened.plan.query;
  const request = {
    filter,
    sort,
    after: after && { values: after, view: undefined },
    source,
    most: conditions.length > 0 ? Infinity : offset + limit,
    ...pageLimits(options),
  };
  for await (const page of readPages(opened, request, options.signal)) {
    for (const hit of page.hits) {
      if (hit.item !== undefined && !matches(conditions, hit.item)) continue;
      yield { hit, key: hit.item, size: page.size / page.hits.length };
    }
  }
}

/** The keys of the documents that the server cannot put in order, in order. */
async function sortedKeys(opened: OpenedQuery, order: ServerOrder, options: ReadOptions): Promise<OddKey[]> {
  const { conditions, orderBy } = opened.plan.query;
  const needed = [...new Set(["id", SIDECAR, ...[...conditions, ...orderBy].map(({ field }) => field)])];
  const request = {
    filter: allOf([opened.plan.filter, order.odd]),
    source: needed.every(isPlainName) ? needed : undefined,
    ...pageLimits({ batchSize: 1000, signal: options.signal }),
  };
  const keys: OddKey[] = [];
  const names = new Set(["id", ...orderBy.map(({ field }) => field)]);
  for await (const page of readChanges(opened, request, options.signal, decodePage)) {
    for (const { hit, item, error } of page.hits) {
      if (error !== undefined) throw error;
      if (!matches(conditions, item!)) continue;
      const key = Object.fromEntries(Object.entries(item!).filter(([name]) => names.has(name))) as P2PRecord;
      if (keys.push({ id: hit._id, key }) > MOST_ODD) throw tooManyToSort(order, opened);
    }
  }
  return keys.sort((a, b) => compareRecords(orderBy, a.key, b.key));
}

/** Documents fetched at a time by their ids. */
const FETCH_SIZE = 100;

/** The documents of the keys, in their order, behind the one with this key. */
async function* oddRow(
  opened: OpenedQuery,
  keys: readonly OddKey[],
  after: P2PRecord | undefined,
  source: readonly string[] | undefined,
  options: ReadOptions,
): AsyncGenerator<Candidate> {
  const { orderBy } = opened.plan.query;
  const next = after === undefined ? 0 : keys.findIndex(({ key }) => compareRecords(orderBy, key, after) > 0);
  for (let start = next < 0 ? keys.length : next; start < keys.length; start += FETCH_SIZE) {
    const part = keys.slice(start, start + FETCH_SIZE);
    const found = await fetchByIds(opened, part, source, options);
    for (const { id, key } of part) {
      const candidate = found.get(id);
      if (candidate !== undefined) yield { ...candidate, key };
    }
  }
}

async function fetchByIds(
  opened: OpenedQuery,
  keys: readonly OddKey[],
  source: readonly string[] | undefined,
  options: ReadOptions,
): Promise<Map<string, Candidate>> {
  const request = {
    filter: { ids: { values: keys.map(({ id }) => id) } },
    source,
    ...pageLimits(options),
  };
  const found = new Map<string, Candidate>();
  for await (const page of readChanges(opened, request, options.signal, decodePage)) {
    for (const hit of page.hits) found.set(hit.hit._id, candidateOf(hit, page));
  }
  return found;
}

function candidateOf(hit: ReadHit<P2PRecord>, page: DecodedPage): Candidate {
  return { hit, key: hit.item, size: page.size / page.hits.length };
}
