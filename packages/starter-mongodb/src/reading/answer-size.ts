import type { OpenCollection } from "../query/open-collection.ts";

/** Documents that an answer brings at most; MongoDB stops at 16 MB anyway. */
const MOST = 10_000;
/** Bytes that an answer of a server without a limit of its own is to bring, about. */
const FAIR_BYTES = 8 * 1024 * 1024;
/** Documents that are looked at to know how large they are. */
const SAMPLE = 20;

/**
 * How many documents to ask for at a time. FerretDB sends as many as it is asked for, however large they are, so their
 * number is set by the size of the first ones.
 */
export async function answerSize(
  { dialect, collection }: OpenCollection,
  wanted: number,
  signal: AbortSignal,
): Promise<number> {
  const most = Math.min(wanted, MOST);
  if (dialect.complete || most <= SAMPLE) return most;
  const sample = await collection.find({}, { limit: SAMPLE, batchSize: SAMPLE, raw: true, signal }).toArray();
  const bytes = (sample as unknown[] as Uint8Array[]).reduce((sum, { length }) => sum + length, 0);
  return Math.max(1, Math.min(most, Math.floor((FAIR_BYTES * sample.length) / bytes) || most));
}
