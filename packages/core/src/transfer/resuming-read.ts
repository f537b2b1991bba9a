/** Reading that resumes from its last cursor after an error that may pass. */
import { toP2PError } from "../errors.ts";
import type { JsonValue } from "../model/json-value.ts";
import type { P2PQuery } from "../storage/query.ts";
import type { ReadOptions } from "../storage/service.ts";
import type { RetryBudget } from "./retry.ts";

/** Where reading starts. */
export interface ReadStart {
  readonly cursor: JsonValue | undefined;
  readonly recordsRead: number;
}

/** What can be read on from a cursor, and how. */
export interface ResumableSource<B extends { readonly cursor: JsonValue }> {
  read(query: P2PQuery, options: ReadOptions): AsyncIterable<B>;
  /** Records of a batch, those included that could not be made out. */
  lengthOf(batch: B): number;
  /** Asked before each reading. */
  batchSize(): number;
  readonly batchBytes: number;
  readonly budget: RetryBudget;
}

/**
 * Reads a query to its end: a source that fails for the moment is read again from the last cursor.
 *
 * @throws P2PError what the source throws when no try is left, or the signal's reason.
 */
export async function* resumingRead<B extends { readonly cursor: JsonValue }>(
  { read, lengthOf, batchSize, batchBytes, budget }: ResumableSource<B>,
  query: P2PQuery,
  start: ReadStart,
  signal: AbortSignal,
): AsyncGenerator<B> {
  let after = start.cursor;
  let count = start.recordsRead;
  for (;;) {
    try {
      const limit = query.limit === undefined ? undefined : query.limit - count;
      if (limit !== undefined && limit <= 0) return;
      const rest = limit === undefined ? query : { ...query, limit };
      for await (const batch of read(rest, { batchSize: batchSize(), batchBytes, after, signal })) {
        budget.succeeded();
        after = batch.cursor;
        count += lengthOf(batch);
        yield batch;
      }
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (await budget.again(error, signal)) continue;
      signal.throwIfAborted();
      throw toP2PError(error, "READ_FAILED", "The source could not be read on");
    }
  }
}
