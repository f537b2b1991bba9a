import type { TransferResult } from "@omni/p2p-core";
import type { Checkpoint } from "@omni/p2p-core/engine";
import { ExitCode } from "../exit-code.ts";
import type { ReplayPhase } from "../flags/replay.ts";
import type { ResultEvent } from "../output/events.ts";
import { formatCount, formatDuration, records } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import { printable } from "../output/printable.ts";
import type { TransferJob } from "./job.ts";
import { mayGoOn } from "./pipe-target.ts";

/** Failures shown on the screen; all of them are in the dead letters. */
const SHOWN_FAILURES = 5;

/**
 * Tells how a transfer ended that came to its end.
 *
 * @param earlier the checkpoint from which it went on; the counts of a result include those of the runs before it.
 */
export function reportResult(
  job: TransferJob,
  result: TransferResult,
  earlier: Checkpoint | undefined,
  out: Output,
): ExitCode {
  const partial = result.failureCount > 0;
  out.event(resultEvent(job, result, partial ? "partial" : "completed", false));
  const others = [
    partial && `${formatCount(result.failureCount)} failed`,
    result.skippedCount > 0 && `${formatCount(result.skippedCount)} skipped`,
    result.retryCount > 0 && `${formatCount(result.retryCount)} sent again`,
  ].filter((part) => part !== false);
  out.line([writtenText(result, earlier), ...others].join(", "));
  for (const note of result.notes ?? []) out.note(printable(note));
  reportFailures(job, result, out);
  return partial ? ExitCode.PARTIAL : ExitCode.OK;
}

function writtenText({ successCount, resumed, durationMs }: TransferResult, earlier: Checkpoint | undefined): string {
  if (earlier?.status === "completed") return `${records(successCount)} written by the earlier run`;
  // Nothing where the source cannot be read on from a checkpoint.
  const before = resumed?.successCount ?? 0;
  const now = successCount - before;
  const rate = durationMs > 0 ? (now * 1000) / durationMs : 0;
  const time = `in ${formatDuration(durationMs)} (${formatCount(rate)}/s)`;
  return before > 0
    ? `${records(successCount)} written, ${formatCount(now)} of them now ${time}`
    : `${records(successCount)} written ${time}`;
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
    if (typeof job.deadLetters === "object") return;
    for (const phase of replayable(result)) out.note(`  Next: ${job.replayCommand(result.deadLetters, phase)}`);
  }
}

/** The phases to replay, as far as the listed failures show them. What could not be read is in no letter. */
function replayable({ errors }: TransferResult): ReplayPhase[] {
  return (["transform", "write"] as const).filter((phase) => errors.some((error) => error.phase === phase));
}

/** Tells how far a transfer came that was interrupted, and how to go on. */
export function reportInterruption(job: TransferJob, result: TransferResult | undefined, out: Output): void {
  const resumable = result !== undefined && mayGoOn(job, result.checkpoint);
  if (result) out.event(resultEvent(job, result, "interrupted", resumable));
  if (result === undefined || result.checkpoint.recordsRead === 0) {
    out.note("Stopped before anything was copied.");
    return;
  }
  out.line(`Stopped after ${records(result.checkpoint.recordsRead)}; ${formatCount(result.successCount)} written.`);
  for (const note of result.notes ?? []) out.note(printable(note));
  out.note(
    resumable
      ? `Go on with: ${job.resumeCommand}`
      : "What was written to a pipe cannot be gone on with; start the transfer anew.",
  );
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
