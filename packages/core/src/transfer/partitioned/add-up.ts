/** Adds up the results of parallel parts. */
import type { TransferCounts } from "../counts.ts";
import { MAX_LISTED_ERRORS, type TransferFailure, type TransferResult } from "../result.ts";

/** What became of one part of a transfer. */
export interface PartOutcome {
  readonly counts: TransferCounts;
  readonly recordsRead: number;
  readonly bytes: number;
  readonly errors: readonly TransferFailure[];
  /** The share of the counts that earlier runs did. */
  readonly resumed?: TransferCounts | undefined;
}

/** Counts of nothing. */
export const NO_COUNTS: TransferCounts = {
  totalRecords: 0,
  successCount: 0,
  failureCount: 0,
  skippedCount: 0,
  retryCount: 0,
};

/** The outcome of a part that ended, well or not. */
export function outcomeOf({ checkpoint, bytes, errors, resumed }: TransferResult): PartOutcome {
  return { counts: checkpoint.counts, recordsRead: checkpoint.recordsRead, bytes, errors, resumed };
}

/** Adds up the outcomes of all parts, each of which is given once. */
export function addUp(parts: readonly PartOutcome[]): PartOutcome {
  const resumed = parts.flatMap((part) => part.resumed ?? []);
  return {
    counts: addCounts(parts.map(({ counts }) => counts)),
    recordsRead: parts.reduce((sum, { recordsRead }) => sum + recordsRead, 0),
    bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
    errors: parts.flatMap(({ errors }) => errors).slice(0, MAX_LISTED_ERRORS),
    ...(resumed.length > 0 && { resumed: addCounts(resumed) }),
  };
}

/** The counts of all of them together. */
export function addCounts(all: readonly TransferCounts[]): TransferCounts {
  const sum = (key: keyof TransferCounts) => all.reduce((total, counts) => total + counts[key], 0);
  return {
    totalRecords: sum("totalRecords"),
    successCount: sum("successCount"),
    failureCount: sum("failureCount"),
    skippedCount: sum("skippedCount"),
    retryCount: sum("retryCount"),
  };
}
