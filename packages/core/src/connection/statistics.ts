/** Statistics of a connection, with percentiles over its last transfers. */
import type { FollowCounts } from "../live/follow-options.ts";
import type { TransferResult } from "../transfer/result.ts";

/** What a connection has done, under the guide's names. Times in ms, rates in records per second. */
export interface ConnectionStatistics {
  readonly connection_id: string;
  readonly total_transfers: number;
  /** Transfers that an error, a timeout or a cancellation ended. */
  readonly failed_transfers: number;
  /** Records that reached the target. */
  readonly total_records_transferred: number;
  readonly success_count: number;
  readonly failure_count: number;
  readonly skipped_count: number;
  readonly retry_count: number;
  /** Records that mirrors took out of the target. */
  readonly deleted_count: number;
  /** Ids that the feeds of follows told, each as often as it came. */
  readonly change_count: number;
  /** Of the last change that a follow applied, from its commit to the target's acknowledgement; `null` where none was, or the feed does not tell. */
  readonly change_lag_ms: number | null;
  /** As the targets count them, else as the transfers estimate the records. */
  readonly total_bytes: number;
  readonly avg_duration_ms: number;
  readonly p50_duration_ms: number;
  readonly p95_duration_ms: number;
  readonly max_duration_ms: number;
  /** Over the time spent in transfers. */
  readonly records_per_second: number;
  /** End of the last transfer, ISO 8601. */
  readonly last_transfer_time: string | null;
  readonly last_error: string | null;
  readonly established_time: string;
  readonly reconnect_count: number;
}

/** Durations kept for the percentiles: the last so many. */
const KEPT_DURATIONS = 1024;

/** Adds up what a connection does. */
export class StatisticsBook {
  readonly #establishedAt = new Date();
  readonly #recent: number[] = [];
  #transfers = 0;
  #failedTransfers = 0;
  #success = 0;
  #failure = 0;
  #skipped = 0;
  #retries = 0;
  #deleted = 0;
  #bytes = 0;
  #totalMs = 0;
  #maxMs = 0;
  #lastTransfer: Date | undefined;
  #lastError: string | undefined;
  #changes = 0;
  #lagMs: number | undefined;
  reconnects = 0;

  /** Enters a transfer, ended well or, with an error, early. */
  enter(result: TransferResult, error?: Error): void {
    // What a resumed transfer tells of its earlier runs has been entered with them.
    const { resumed } = result;
    this.#transfers++;
    this.#success += result.successCount - (resumed?.successCount ?? 0);
    this.#failure += result.failureCount - (resumed?.failureCount ?? 0);
    this.#skipped += result.skippedCount - (resumed?.skippedCount ?? 0);
    this.#retries += result.retryCount - (resumed?.retryCount ?? 0);
    this.#deleted += result.deletedCount ?? 0;
    this.#bytes += result.bytes;
    this.#totalMs += result.durationMs;
    this.#maxMs = Math.max(this.#maxMs, result.durationMs);
    this.#recent[(this.#transfers - 1) % KEPT_DURATIONS] = result.durationMs;
    this.#lastTransfer = new Date();
    if (error) {
      this.#failedTransfers++;
      this.#lastError = error.message;
    } else {
      this.#lastError = result.errors.at(-1)?.reason ?? this.#lastError;
    }
  }

  /** Enters a follow at its end. */
  followed({ changes, written, failures, skipped, deleted }: FollowCounts, lagMs: number | undefined): void {
    this.#changes += changes;
    this.#success += written;
    this.#failure += failures;
    this.#skipped += skipped;
    this.#deleted += deleted;
    this.#lagMs = lagMs ?? this.#lagMs;
  }

  /** Notes an error outside any transfer. */
  noteError(error: Error): void {
    this.#lastError = error.message;
  }

  /** @param following the follow under way. */
  read(
    connectionId: string,
    following?: { readonly counts: FollowCounts; readonly lagMs: number | undefined },
  ): ConnectionStatistics {
    const { changes = 0, written = 0, failures = 0, skipped = 0, deleted = 0 } = following?.counts ?? {};
    const sorted = this.#recent.toSorted((a, b) => a - b);
    return {
      connection_id: connectionId,
      total_transfers: this.#transfers,
      failed_transfers: this.#failedTransfers,
      total_records_transferred: this.#success + written,
      success_count: this.#success + written,
      failure_count: this.#failure + failures,
      skipped_count: this.#skipped + skipped,
      retry_count: this.#retries,
      deleted_count: this.#deleted + deleted,
      change_count: this.#changes + changes,
      change_lag_ms: following?.lagMs ?? this.#lagMs ?? null,
      total_bytes: this.#bytes,
      avg_duration_ms: this.#transfers === 0 ? 0 : this.#totalMs / this.#transfers,
      p50_duration_ms: percentile(sorted, 0.5),
      p95_duration_ms: percentile(sorted, 0.95),
      max_duration_ms: this.#maxMs,
      records_per_second: this.#totalMs === 0 ? 0 : (this.#success * 1000) / this.#totalMs,
      last_transfer_time: this.#lastTransfer?.toISOString() ?? null,
      last_error: this.#lastError ?? null,
      established_time: this.#establishedAt.toISOString(),
      reconnect_count: this.reconnects,
    };
  }
}

/** Nearest-rank percentile of sorted numbers; 0 when there are none. */
function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}
