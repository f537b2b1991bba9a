import { matches, type P2PQuery } from "@omni/p2p-core/starter";
import type { Document } from "mongodb";
import { assertCollectionExists } from "../client/collections.ts";
import { mongodbError } from "../client/errors.ts";
import type { OpenCollection } from "../query/open-collection.ts";
import { type MongodbQuery, parseMongodbQuery } from "../query/query.ts";
import { answerSize } from "./answer-size.ts";
import { readAhead } from "./read-ahead.ts";
import { filterFrom, planRead, type ReadPlan } from "./read-plan.ts";

const READ_BATCH = 1000;

/**
 * How many records a query gives. The server counts them; what it cannot tell exactly is read, ids and the fields in
 * question alone.
 */
export async function countRecords(opened: OpenCollection, query: P2PQuery, signal: AbortSignal): Promise<number> {
  const parsed = parseMongodbQuery(query, opened.dialect);
  try {
    const found = await countMatching(opened, parsed, signal);
    if (found === 0) await assertCollectionExists(opened, signal);
    return Math.min(Math.max(found - parsed.offset, 0), parsed.limit);
  } catch (error) {
    signal.throwIfAborted();
    throw mongodbError(error, "read", opened.label);
  }
}

async function countMatching(opened: OpenCollection, parsed: MongodbQuery, signal: AbortSignal): Promise<number> {
  const plan = planRead(opened, { ...parsed, orderBy: [], fields: [] });
  const filter = filterFrom(opened, plan, undefined);
  const hint = parsed.hint === undefined ? {} : { hint: parsed.hint };
  if (plan.where.exact) {
    // The server keeps the number of all documents; counting them anew would take as long as reading an index.
    if (Object.keys(filter).length === 0) return estimatedCount(opened, signal);
    return opened.collection.countDocuments(filter, { ...hint, signal });
  }
  return countByReading(opened, plan, signal);
}

/** The driver's `estimatedDocumentCount` takes no signal. */
async function estimatedCount({ db, collection }: OpenCollection, signal: AbortSignal): Promise<number> {
  const { n } = (await db.command({ count: collection.collectionName }, { signal })) as Document & { n: number };
  return Number(n);
}

/** A document that cannot be made out counts, as it does in reading. */
async function countByReading(opened: OpenCollection, plan: ReadPlan, signal: AbortSignal): Promise<number> {
  const { sort: _, ...options } = plan.options;
  const batchSize = await answerSize(opened, READ_BATCH, signal);
  const filter = filterFrom(opened, plan, undefined);
  const cursor = opened.collection.find(filter, { ...options, raw: true, batchSize, signal });
  let count = 0;
  try {
    for await (const documents of readAhead(cursor)) {
      for (const document of documents) if (isCounted(opened, plan, document)) count++;
    }
  } finally {
    await cursor.close().catch(() => {});
  }
  return count;
}

function isCounted({ decoder }: OpenCollection, { query }: ReadPlan, document: Uint8Array): boolean {
  try {
    return matches(query.conditions, decoder.decode(document));
  } catch {
    return true;
  }
}
