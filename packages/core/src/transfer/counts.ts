/** The counts of a transfer; always `totalRecords = successCount + failureCount + skippedCount`. */
export interface TransferCounts {
  /** Records read; a record of which the transform makes several counts as so many. */
  readonly totalRecords: number;
  readonly successCount: number;
  readonly failureCount: number;
  /** Dropped by the transform, or left alone by `mode: "skip"`. */
  readonly skippedCount: number;
  /** Records that were sent again, each time counted. */
  readonly retryCount: number;
}
