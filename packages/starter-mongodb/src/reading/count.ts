import type { P2PQuery } from "@omni/p2p-core/starter";
import type { Document } from "mongodb";
import { mongodbError } from "../client/errors.ts";
import { assertCollectionExists, type Place } from "../client/open-collection.ts";
import { type MongodbQuery, parseMongodbQuery } from "../query/query.ts";
import { readBatches } from "../read.ts";
import { filterFrom, planRead } from "./read-plan.ts";

const READ_BATCH = 1000;

/**
 * How many records a query gives. The server counts them; what it cannot tell exactly is read, ids and the fields in
 * question alone.
 */
export async function countRecords(place: Place, query: P2PQuery, signal: AbortSignal): Promise<number> {
  const parsed = parseMongodbQuery(query, place.dialect);
  try {
    const found = await countMatching(place, query, parsed, signal);
    if (found === 0) await assertCollectionExists(place, signal);
    return Math.min(Math.max(found - parsed.offset, 0), parsed.limit);
  } catch (error) {
    signal.throwIfAborted();
    throw mongodbError(error, "read", place.label);
  }
}

async function countMatching(
  place: Place,
  query: P2PQuery,
  parsed: MongodbQuery,
  signal: AbortSignal,
): Promise<number> {
  const plan = planRead(place, parsed);
  const filter = filterFrom(place, plan, undefined);
  const hint = parsed.hint === undefined ? {} : { hint: parsed.hint };
  if (plan.where.exact) {
    // The server keeps the number of all documents; counting them anew would take as long as reading an index.
    if (Object.keys(filter).length === 0) return estimatedCount(place, signal);
    return place.collection.countDocuments(filter, { ...hint, signal });
  }
  return countByReading(place, query, signal);
}

/** The driver's `estimatedDocumentCount` takes no signal. */
async function estimatedCount({ db, collection }: Place, signal: AbortSignal): Promise<number> {
  const { n } = (await db.command({ count: collection.collectionName }, { signal })) as Document & { n: number };
  return Number(n);
}

async function countByReading(place: Place, query: P2PQuery, signal: AbortSignal): Promise<number> {
  const { orderBy: _, offset: __, limit: ___, ...rest } = query;
  let count = 0;
  const batches = readBatches(place, { ...rest, fields: [] }, { batchSize: READ_BATCH, signal });
  for await (const { records, failures } of batches) count += records.length + (failures?.length ?? 0);
  return count;
}
