import type { TransferProgress } from "@omni/p2p-core";
import { formatBytes, formatCount, formatDuration } from "./format.ts";
import { printable } from "./printable.ts";
import type { DatabaseShown, FollowProgress, MirrorProgress, StartedJob } from "./reporter.ts";

/** What there is to say of a transfer under way, the most important first. */
export function progressParts(progress: TransferProgress): string[] {
  const { records, total, bytes, rate, etaMs, failures } = progress;
  const share = shareOf(progress);
  return [
    total === undefined
      ? `${formatCount(records)} records${bytes === undefined ? "" : `, ${formatBytes(bytes.done)} of ${formatBytes(bytes.total)} (${Math.floor((share ?? 0) * 100)}%)`}`
      : `${formatCount(records)} of ${formatCount(total)} records${share === undefined ? "" : ` (${Math.floor(share * 100)}%)`}`,
    `${formatCount(rate)}/s`,
    ...(etaMs === undefined || share === 1 ? [] : [`ETA ${formatDuration(etaMs)}`]),
    `${formatCount(failures)} failed`,
    formatBytes(process.memoryUsage.rss()),
  ];
}

/** How much is done, from 0 to 1, where the total is known. */
export function shareOf({ records, total, bytes }: TransferProgress): number | undefined {
  if (total === undefined && bytes !== undefined && bytes.total > 0) return Math.min(1, bytes.done / bytes.total);
  return total === undefined || total === 0 ? undefined : Math.min(1, records / total);
}

/**
 * What there is to say of a comparison under way.
 *
 * @param count records read so far, of both sides.
 * @param total records that both hold, where that is known; where they differ, more are read.
 * @param again records that differed and are looked at again, once both sides are read.
 */
export function comparing(count: number, total: number | undefined, again?: number): string {
  if (again !== undefined) return `looking again at ${formatCount(again)} that differed`;
  const of = total === undefined ? "" : ` of about ${formatCount(Math.max(count, total))}`;
  return `comparing: ${formatCount(count)}${of} records read`;
}

/** What there is to say of a mirror under way. */
export function mirroring({ phase, records, total }: MirrorProgress): string {
  if (phase === "comparing") return comparing(records, total);
  return `${phase}: ${formatCount(records)}${total === undefined ? "" : ` of ${formatCount(total)}`} records`;
}

/**
 * What there is to say of a follow under way, the most important first.
 *
 * @param rate records written and deleted a second, lately.
 */
export function followParts(
  { status, changes, written, deleted, failures, lagMs, pausedBy }: FollowProgress,
  rate: number,
): string[] {
  if (status === "paused") return pausedParts(pausedBy);
  return [
    status,
    `${formatCount(rate)}/s`,
    ...(lagMs === undefined ? [] : [`lag ${formatDuration(lagMs)}`]),
    `${formatCount(changes)} changes`,
    `${formatCount(written)} written`,
    `${formatCount(deleted)} deleted`,
    ...(failures === 0 ? [] : [`${formatCount(failures)} failed`]),
    formatBytes(process.memoryUsage.rss()),
  ];
}

/** Why a follow is paused, and what lets it go on. */
function pausedParts(by: string | undefined): string[] {
  const waits = by === "TOO_MANY_DELETES" || by === "EMPTY_SOURCE";
  return [
    "paused",
    waits ? "Enter: go on" : "goes on by itself",
    ...(waits ? ["Ctrl-C: stop"] : []),
    ...(by ? [by] : []),
  ];
}

/** What there is to say of a job over a database under way, the most important first. */
export function databaseParts(progress: DatabaseShown): string[] {
  const { collections, collectionsDone, records, total, rate, etaMs, failures } = progress;
  const of = total === undefined ? "" : ` of about ${formatCount(Math.max(total, records))}`;
  return [
    `${formatCount(collectionsDone)} of ${formatCount(collections)} done`,
    `${formatCount(records)}${of} records`,
    `${formatCount(rate)}/s`,
    ...(etaMs === undefined ? [] : [`ETA ${formatDuration(etaMs)}`]),
    ...(failures === 0 ? [] : [`${formatCount(failures)} failed`]),
    formatBytes(process.memoryUsage.rss()),
  ];
}

/** `orders: 1,200 of about 5,000 records` */
export function underWay({ name, records, total }: DatabaseShown["underWay"][number]): string {
  const of = total === undefined ? "" : ` of about ${formatCount(Math.max(total, records))}`;
  return printable(`${name}: ${formatCount(records)}${of} records`);
}

/** `copy sqlite:a.db?table=docs → redis://localhost (transfer sqlite-redis-0a1b2c3d)` */
export function startLine({ name, source, target, transferId }: StartedJob, resumed: boolean): string {
  return `${name}: ${source.shown} → ${target.shown} (${resumed ? "resuming" : "transfer"} ${transferId})`;
}
