import type { TransferProgress } from "@omni/p2p-core";
import { formatBytes, formatCount, formatDuration } from "./format.ts";

/** What there is to say of a transfer under way, the most important first. */
export function progressParts(progress: TransferProgress): string[] {
  const { records, total, rate, etaMs, failures } = progress;
  const share = shareOf(progress);
  return [
    total === undefined
      ? `${formatCount(records)} records`
      : `${formatCount(records)} of ${formatCount(total)} records${share === undefined ? "" : ` (${Math.floor(share * 100)}%)`}`,
    `${formatCount(rate)}/s`,
    ...(etaMs === undefined || share === 1 ? [] : [`ETA ${formatDuration(etaMs)}`]),
    `${formatCount(failures)} failed`,
    formatBytes(process.memoryUsage.rss()),
  ];
}

/** How much is done, from 0 to 1, where the total is known. */
export function shareOf({ records, total }: TransferProgress): number | undefined {
  return total === undefined || total === 0 ? undefined : Math.min(1, records / total);
}
