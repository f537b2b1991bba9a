import type { ProgressMeter, TransferProgress } from "../transfer/progress.ts";
import type { TransferResult } from "../transfer/result.ts";

/**
 * A transfer under way: the promise of its result, which can be asked at any time how far it is.
 *
 * @example
 * ```ts
 * const running = connection.transfer({ type: "knowledge" });
 * const timer = setInterval(() => console.log(running.progress().records), 1000);
 * const { successCount } = await running.finally(() => clearInterval(timer));
 * ```
 */
export interface RunningTransfer extends Promise<TransferResult> {
  /** The same as in its events, its result and its dead letters. */
  readonly transferId: string;
  /**
   * How far it is now; after its end, how far it came. Who asks first lets the source count its records, beside the
   * transfer, so that `total` is known a little later.
   */
  progress(): TransferProgress;
}

/** The promise of a result, as a transfer that can be asked how far it is. */
export function runningTransfer(result: Promise<TransferResult>, meter: ProgressMeter): RunningTransfer {
  return Object.assign(result, { transferId: meter.transferId, progress: () => meter.read() });
}
