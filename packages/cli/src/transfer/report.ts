import type { TransferResult } from "@omni/p2p-core";
import type { ResultEvent } from "../events.ts";
import { ExitCode } from "../exit-code.ts";
import { formatCount, formatDuration, records } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import { printable } from "../output/printable.ts";
import type { TransferJob } from "./job.ts";

/** Failures shown on the screen; all of them are in the dead letters. */
const SHOWN_FAILURES = 5;

/** Tells how a transfer ended that came to its end. */
export function reportResult(job: TransferJob, result: TransferResult, out: Output): ExitCode {
  const partial = result.failureCount > 0;
  out.event(resultEvent(job, result, partial ? "partial" : "completed", false));
  const rate = result.durationMs > 0 ? (result.successCount * 1000) / result.durationMs : 0;
  const others = [
    partial && `${formatCount(result.failureCount)} failed`,
    result.skippedCount > 0 && `${formatCount(result.skippedCount)} skipped`,
    result.retryCount > 0 && `${formatCount(result.retryCount)} sent again`,
  ].filter((part) => part !== false);
  out.line(
    [
      `${records(result.successCount)} written in ${formatDuration(result.durationMs)} (${formatCount(rate)}/s)`,
      ...others,
    ].join(", "),
  );
  reportFailures(job, result, out);
  return partial ? ExitCode.PARTIAL : ExitCode.OK;
}

/** Names the first records that failed, and where all of them are. */
export function reportFailures(job: TransferJob, result: TransferResult, out: Output): void {
  if (result.failureCount === 0) return;
  for (const { id, phase, code, reason } of result.errors.slice(0, SHOWN_FAILURES)) {
    out.note(printable(`  ${id === "" ? "a record without id" : id} (${phase}, ${code}): ${reason}`));
  }
  const more = result.failureCount - Math.min(SHOWN_FAILURES, result.errors.length);
  if (more > 0) out.note(`  and ${formatCount(more)} more`);
  if (result.deadLetters !== undefined) {
    out.note(`The records that failed are in ${result.deadLetters}`);
    if (typeof job.deadLetters !== "object") out.note(`  Next: ${job.replayCommand(result.deadLetters)}`);
  }
}

/** Tells how far a transfer came that was interrupted, and how to go on. */
export function reportInterruption(job: TransferJob, result: TransferResult | undefined, out: Output): void {
  const resumable = result !== undefined && result.checkpoint.recordsRead > 0;
  if (result) out.event(resultEvent(job, result, "interrupted", resumable));
  if (!resumable) {
    out.note("Stopped before anything was copied.");
    return;
  }
  out.line(`Stopped after ${records(result.checkpoint.recordsRead)}; ${formatCount(result.successCount)} written.`);
  out.note(`Go on with: ${job.resumeCommand}`);
}

export function resultEvent(
  job: TransferJob,
  result: TransferResult,
  status: ResultEvent["status"],
  resumable: boolean,
): ResultEvent {
  const { checkpoint: _, ...told } = result;
  return { event: "result", name: job.name, status, ...told, ...(resumable && { resume: job.resumeCommand }) };
}
