import { encodeJson, isIndivisible, type P2PId, type P2PQuery } from "@omni/p2p-core/starter";
import type { Document } from "mongodb";
import { assertCollectionExists } from "../client/collections.ts";
import { mongodbError } from "../client/errors.ts";
import { partitionOf } from "../values/id-order.ts";
import type { OpenCollection } from "./open-collection.ts";
import { parseMongodbQuery } from "./query.ts";

/** Ids drawn for each part, so that parts drawn by chance come out about equal. */
const SAMPLES_PER_PART = 20;

/** What servers without `$sample` answer: NotImplemented, unknown stage, CommandNotFound, CommandNotSupported. */
const NO_SAMPLE = new Set([238, 40324, 59, 115]);

/**
 * Parts of a query by ranges of ids, about equal in documents of the collection. The first is open below and the last
 * above, so that together they are the whole whatever comes in meanwhile.
 */
export async function partitionQuery(
  opened: OpenCollection,
  query: P2PQuery,
  parts: number,
  signal: AbortSignal,
): Promise<P2PQuery[]> {
  if (isIndivisible(parseMongodbQuery(query, opened.dialect), parts)) return [query];
  try {
    const ids = distinct(await sampleIds(opened, parts * SAMPLES_PER_PART, signal));
    if (ids.length === 0) await assertCollectionExists(opened, signal);
    const bounds = quantiles(ids, parts);
    return [undefined, ...bounds].map((after, i) => ({
      ...query,
      partition: partitionOf({ after, upTo: bounds[i] }),
    }));
  } catch (error) {
    signal.throwIfAborted();
    throw mongodbError(error, "read", opened.label);
  }
}

/** Ids of the collection in BSON's order: some by chance, or each so-manieth. */
async function sampleIds(opened: OpenCollection, size: number, signal: AbortSignal): Promise<P2PId[]> {
  if (opened.dialect.complete) {
    try {
      const pipeline: Document[] = [{ $sample: { size } }, { $project: { _id: 1 } }, { $sort: { _id: 1 } }];
      const drawn = await opened.collection.aggregate(pipeline, { raw: true, signal }).toArray();
      return drawn.map((document) => opened.decoder.decode(document as Uint8Array).id);
    } catch (error) {
      if (!NO_SAMPLE.has(Number((error as { code?: unknown }).code))) throw error;
    }
  }
  return everySoManieth(opened, size, signal);
}

async function everySoManieth(opened: OpenCollection, size: number, signal: AbortSignal): Promise<P2PId[]> {
  const total = await opened.collection.countDocuments({}, { signal });
  const step = Math.max(1, Math.floor(total / size));
  const cursor = opened.collection.find(
    {},
    { projection: { _id: 1 }, sort: { _id: 1 }, raw: true, batchSize: 10_000, signal },
  );
  const ids: P2PId[] = [];
  let seen = 0;
  for await (const document of cursor) {
    if (seen++ % step === 0) ids.push(opened.decoder.decode(document as unknown as Uint8Array).id);
  }
  return ids;
}

/** A sample by chance may hold an id twice. */
function distinct(ids: readonly P2PId[]): P2PId[] {
  return ids.filter((id, i) => i === 0 || encodeJson(id) !== encodeJson(ids[i - 1]!));
}

/** At most `parts - 1` ids, in order, that cut the list into equal pieces. */
function quantiles(ids: readonly P2PId[], parts: number): P2PId[] {
  const bounds = new Set<P2PId>();
  for (let part = 1; part < parts; part++) {
    const index = Math.floor((part * ids.length) / parts) - 1;
    if (index >= 0 && index < ids.length - 1) bounds.add(ids[index]!);
  }
  return [...bounds];
}
