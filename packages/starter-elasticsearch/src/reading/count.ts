import { matches, type P2PQuery } from "@omni/p2p-core/starter";
import { allOf, NONE, not } from "../query/clause.ts";
import { countDocuments, type OpenedQuery, openQuery, type SourceIndex } from "../query/source-index.ts";
import { decodePage } from "../values/decode.ts";
import { pageLimits } from "./batching.ts";
import { readChanges } from "./change-cursor.ts";

/** Most documents that are looked at one by one for a count. */
const MOST_LOOKED_AT = 10_000;

/** How many records a query gives; `undefined` when too many documents would have to be looked at to tell. */
export async function countRecords(
  source: SourceIndex,
  query: P2PQuery,
  signal: AbortSignal,
): Promise<number | undefined> {
  const opened = await openQuery(source, query, signal);
  const { offset, limit } = opened.plan.query;
  const total = await countMatching(opened, signal);
  return total === undefined ? undefined : Math.min(Math.max(0, total - offset), limit);
}

async function countMatching(opened: OpenedQuery, signal: AbortSignal): Promise<number | undefined> {
  const { filter, exact, odd, query } = opened.plan;
  if (query.conditions.length === 0) return countDocuments(opened, filter, signal);
  // The server's number is right for all but the documents in which it does not see what the record means.
  const unsure = exact ? allOf([filter, odd]) : filter;
  const toLookAt = odd === NONE && exact ? 0 : await countDocuments(opened, unsure, signal);
  if (toLookAt > MOST_LOOKED_AT) return undefined;
  const sure = exact ? await countDocuments(opened, allOf([filter, not(odd)]), signal) : 0;
  if (toLookAt === 0) return sure;
  const request = { filter: unsure, ...pageLimits({ batchSize: 1000, signal }) };
  let found = 0;
  for await (const page of readChanges(opened, request, signal, decodePage)) {
    // A document that cannot be read is told of by reading, so it counts.
    for (const { item } of page.hits) if (item === undefined || matches(query.conditions, item)) found++;
  }
  return sure + found;
}
