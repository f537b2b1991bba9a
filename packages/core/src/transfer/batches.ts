/** Batches on their way to the target: read, validated and transformed, with what failed beside them. */
import { Yielder } from "../async/yielder.ts";
import type { JsonValue } from "../model/json-value.ts";
import type { P2PQuery } from "../storage/query.ts";
import type { DeadLetter } from "./dead-letters/dead-letter.ts";
import type { Lane, LaneBatch, Sifted } from "./lane.ts";
import type { ResolvedTransfer } from "./options.ts";
import type { Pace } from "./pace.ts";
import { type ReadStart, resumingRead } from "./resuming-read.ts";
import { type OnRetry, RetryBudget } from "./retry.ts";
import { idText } from "./transform.ts";

/** A failure on the way to the target, not yet given a time. */
export type Letter = Omit<DeadLetter, "transferId" | "at">;

/** A run of items in a batch that come from one read. */
interface BatchPart {
  /** Where it begins among the items of the batch. */
  readonly from: number;
  /** The number of the first record of the read, among all records read. */
  readonly firstPosition: number;
  /** For each item its place in the read; `undefined` when the two are the same. */
  readonly origins: readonly number[] | undefined;
}

/** Items ready to be written, with what is needed to account for them. */
export interface TransferBatch {
  /** Records or documents: the lane knows. */
  items: unknown[];
  readonly parts: BatchPart[];
  /** What failed before the target was asked. */
  readonly letters: Letter[];
  dropped: number;
  /** Records read up to the end of this batch, since the beginning of the transfer. */
  recordsRead: number;
  cursor: JsonValue;
  bytes: number;
  /** No item has the id of another one of the transfer, as the target keeps ids. */
  distinct: boolean;
}

/** Bytes of a batch that is read, at most, roughly. */
const BATCH_BYTES = 8 * 1024 * 1024;

/** A batch is passed on when it is at least this full; a transform that drops much would else make many tiny writes. */
const FULL_ENOUGH = 0.5;

/** Batches read into one, at most: so that a checkpoint comes now and then even when everything is dropped. */
const MAX_MERGED = 50;

/**
 * Reads the source by a lane, which transforms what it gives. A source that fails for the moment is read again from the last
 * cursor.
 */
export async function* transferBatches(
  lane: Lane,
  query: P2PQuery,
  start: ReadStart,
  pace: Pace,
  options: ResolvedTransfer,
  signal: AbortSignal,
  onRetry?: OnRetry,
): AsyncGenerator<TransferBatch> {
  const { limiter } = options;
  const bytes = batchBytes(options);
  const yielder = new Yielder();
  let batch = emptyBatch(start.recordsRead);
  let merged = 0;
  const source = {
    read: lane.read,
    lengthOf: ({ items, failures }: LaneBatch) => items.length + (failures?.length ?? 0),
    batchSize: () => limiter?.page(pace.page) ?? pace.page,
    batchBytes: bytes,
    budget: new RetryBudget(options.config, onRetry),
  };
  const reads = resumingRead(source, query, start, signal);
  for await (const { read, sifted } of siftedReads(reads, lane, options, signal)) {
    const made = await sifted;
    append(batch, read, made, options);
    merged++;
    if (limiter) await limiter.take(read.items.length + (read.failures?.length ?? 0), read.bytes ?? made.bytes, signal);
    const enough = Math.max(pace.enough, options.transform ? pace.page * FULL_ENOUGH : 0);
    // What waits for its turn is not held back for more to come.
    const full =
      limiter !== undefined ||
      batch.items.length >= enough ||
      batch.letters.length >= pace.page ||
      batch.bytes >= bytes;
    if (!full && merged < MAX_MERGED) continue;
    yield batch;
    signal.throwIfAborted();
    await yielder.yieldIfDue();
    batch = emptyBatch(batch.recordsRead);
    merged = 0;
  }
  if (merged > 0) yield batch;
}

function batchBytes({ config, limiter }: ResolvedTransfer): number {
  const most = Math.min(BATCH_BYTES, config.maxBytesInFlight);
  return limiter?.pageBytes(most) ?? most;
}

function emptyBatch(recordsRead: number): TransferBatch {
  return { items: [], parts: [], letters: [], dropped: 0, recordsRead, cursor: null, bytes: 0, distinct: true };
}

/** A batch as it was read, and what of it goes to the target. */
interface SiftedRead {
  readonly read: LaneBatch;
  readonly sifted: Sifted | Promise<Sifted>;
}

/**
 * Sifts what is read. With a transform the next batch is read and begun while the last records of one are still under way,
 * so that no slow record holds up those of the next batch.
 */
async function* siftedReads(
  reads: AsyncGenerator<LaneBatch>,
  lane: Lane,
  { transform }: ResolvedTransfer,
  signal: AbortSignal,
): AsyncGenerator<SiftedRead> {
  if (!transform) {
    for await (const read of reads) yield { read, sifted: lane.sift(read, signal) };
    return;
  }
  const next = async (): Promise<SiftedRead | undefined> => {
    const { done, value: read } = await reads.next();
    return done ? undefined : { read, sifted: heard(lane.sift(read, signal)) };
  };
  try {
    for (let current = await next(); current; ) {
      const following = heard(next());
      await current.sifted;
      yield current;
      current = await following;
    }
  } finally {
    await reads.return(undefined);
  }
}

/** The promise, whose rejection somebody hears even where nobody comes to wait for it. */
function heard<T>(promise: T | Promise<T>): T | Promise<T> {
  if (promise instanceof Promise) promise.catch(() => {});
  return promise;
}

function append(batch: TransferBatch, read: LaneBatch, sifted: Sifted, options: ResolvedTransfer): void {
  const first = batch.recordsRead;
  const { items, origins, dropped, failures, bytes } = sifted;
  batch.parts.push({ from: batch.items.length, firstPosition: first, origins });
  if (batch.items.length === 0) batch.items = items;
  else for (const item of items) batch.items.push(item);
  for (const { index, record, error } of failures) {
    batch.letters.push({
      id: idText(record),
      phase: error.code === "TRANSFORM_FAILED" || options.transform ? "transform" : "read",
      code: error.code,
      reason: error.message,
      attempts: 0,
      position: first + index,
      record,
    });
  }
  for (const [i, { id, error }] of (read.failures ?? []).entries()) {
    const position = first + read.items.length + i;
    batch.letters.push({ id, phase: "read", code: error.code, reason: error.message, attempts: 0, position });
  }
  batch.dropped += dropped;
  batch.recordsRead += read.items.length + (read.failures?.length ?? 0);
  batch.cursor = read.cursor;
  batch.bytes += bytes;
  batch.distinct &&= read.distinct ?? false;
}

/** The number of an item of the batch among all records read. */
export function positionOf({ parts }: TransferBatch, index: number): number {
  const part = parts.findLast(({ from }) => from <= index)!;
  const place = index - part.from;
  return part.firstPosition + (part.origins?.[place] ?? place);
}
