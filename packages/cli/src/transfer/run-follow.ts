/** Follows a source by change data capture, and tells how it goes, until it is stopped. */
import {
  DefaultP2PConnectionManager,
  type FollowHandle,
  type FollowOptions,
  isP2PError,
  type P2PError,
} from "@omni/p2p-core";
import { ExitCode } from "../exit-code.ts";
import { createReporter } from "../output/create-reporter.ts";
import { formatCount, formatDuration, records } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import { printable } from "../output/printable.ts";
import type { Reporter } from "../output/reporter.ts";
import { explain } from "../session/explain.ts";
import type { Session } from "../session/session.ts";
import { tellSupervisor } from "../supervision/channel.ts";
import { assertJob } from "./assert-job.ts";
import type { TransferJob } from "./job.ts";
import { inspectCommand, jobOptions, sayStopping } from "./job-options.ts";
import { establish, registerStarters } from "./run-transfer.ts";

/** What a follow is told beyond what a copy is. */
export type FollowFlagsGiven = Pick<
  FollowOptions,
  "deletes" | "maxDeletes" | "allowEmptySource" | "targetQuery" | "every" | "reconcileEvery"
>;

/** @returns when it was stopped, or cannot go on. */
export async function runFollow(
  job: TransferJob,
  own: FollowFlagsGiven,
  session: Session,
  progressInterval: number | undefined,
): Promise<ExitCode> {
  assertJob(job);
  const { out, interrupts } = session;
  const manager = new DefaultP2PConnectionManager();
  const reporter = await createReporter(out, progressInterval);
  const goOn = goOnCommand(job);
  const startedAt = performance.now();
  let follow: FollowHandle | undefined;
  try {
    await registerStarters(job, manager);
    const connection = await establish(job, session, manager);
    tellSupervisor({ kind: "way", text: goOn });
    reporter.start(job, false);
    follow = manager.followThroughConnection(connection.connectionId, job.query, {
      ...own,
      ...jobOptions(job),
    });
    sayStopping(session);
    await untilStopped(follow, job, session, reporter, startedAt);
    reporter.stop();
    reportEnd(follow, job, out, startedAt, interrupts.exitCode === undefined ? "stopped" : "interrupted");
    out.note(`Go on with: ${goOn}`);
    return interrupts.exitCode ?? ExitCode.OK;
  } catch (error) {
    reporter.stop();
    if (follow !== undefined && follow.counts.changes + follow.counts.written + follow.counts.deleted > 0) {
      reportEnd(follow, job, out, startedAt, "failed");
    }
    if (interrupts.exitCode !== undefined && follow === undefined) return interrupts.exitCode;
    const { exitCode, ...shown } = explain(error, nextFor(error, job));
    out.error(shown);
    return exitCode;
  } finally {
    interrupts.onFirst = undefined;
    reporter.stop();
    tellSupervisor({ kind: "way", text: undefined });
    await manager.close({ drainTimeout: 0 });
  }
}

/** Waits for the end. Nobody can tell a command to go on, so that a pause ends it with the error that caused it. */
async function untilStopped(
  follow: FollowHandle,
  job: TransferJob,
  { out, signal }: Session,
  reporter: Reporter,
  startedAt: number,
): Promise<void> {
  let pausedBy: P2PError | undefined;
  const stop = () => void follow.stop().catch(() => {});
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  tell(follow, job, out);
  follow.events.on("paused", ({ error }) => {
    pausedBy = error;
    stop();
  });
  const tick = () => reporter.following(progressOf(follow, job, startedAt));
  follow.events.on("status", tick);
  const ticking = setInterval(tick, reporter.interval);
  try {
    await follow.done;
  } finally {
    clearInterval(ticking);
    signal.removeEventListener("abort", stop);
  }
  if (pausedBy !== undefined) throw pausedBy;
}

/** Tells people what they should know, and programs everything. */
function tell({ events }: FollowHandle, { transferId }: TransferJob, out: Output): void {
  events.on("status", ({ from, to }) => out.event({ event: "follow-status", transferId, from, to }));
  events.on("caughtUp", ({ lagMs }) => out.event({ event: "follow-caught-up", transferId, ...known({ lagMs }) }));
  events.on("change", ({ written, deleted, lagMs }) =>
    out.event({ event: "follow-change", transferId, written, deleted, ...known({ lagMs }) }),
  );
  events.on("mirrored", ({ result: { successCount, deletedCount, durationMs } }) => {
    out.event({ event: "follow-mirrored", transferId, written: successCount, deleted: deletedCount, durationMs });
    const done = `${records(successCount)} written, ${formatCount(deletedCount)} deleted`;
    out.note(`Mirrored in ${formatDuration(durationMs)}: ${done}`);
  });
  events.on("lost", ({ error }) => {
    const { code, message } = explain(error);
    out.event({ event: "follow-lost", transferId, code, message });
    out.note(printable(`${message}; nothing need be done`));
  });
  events.on("retry", ({ error, delayMs }) => {
    const { code, message } = explain(error);
    out.event({ event: "follow-retry", transferId, code, message, delayMs });
    out.note(printable(`${message}. It is tried again in ${formatDuration(delayMs)}`));
  });
}

function known({ lagMs }: { readonly lagMs: number | undefined }): { readonly lagMs?: number } {
  return lagMs === undefined ? {} : { lagMs };
}

function progressOf({ status, counts, lagMs }: FollowHandle, { transferId }: TransferJob, startedAt: number) {
  return { transferId, status, ...counts, ...known({ lagMs }), elapsedMs: performance.now() - startedAt };
}

function reportEnd(
  { counts, lagMs }: FollowHandle,
  { transferId }: TransferJob,
  out: Output,
  startedAt: number,
  status: "stopped" | "interrupted" | "failed",
): void {
  const durationMs = performance.now() - startedAt;
  out.event({ event: "follow-end", transferId, status, ...counts, ...known({ lagMs }), durationMs });
  const { changes, written, deleted, failures, mirrors } = counts;
  const others = [
    mirrors > 0 && `${formatCount(mirrors)} ${mirrors === 1 ? "mirror" : "mirrors"}`,
    failures > 0 && `${formatCount(failures)} failed`,
  ].filter((part) => part !== false);
  const done = `${formatCount(changes)} changes told, ${records(written)} written, ${formatCount(deleted)} deleted`;
  out.line([`${done} in ${formatDuration(durationMs)}`, ...others].join(", "));
}

/** A follow goes on by itself: the same command, without what would make it begin anew. */
function goOnCommand({ resumeCommand }: TransferJob): string {
  return resumeCommand.replace(/ --resume$/, "").replace(/ --no-resume\b/, "");
}

/** What to type next where the message does not say it, or where a follow has other words for it than a copy. */
function nextFor(error: unknown, job: TransferJob): string | undefined {
  if (isP2PError(error, "SOURCE_NOT_FOUND")) return inspectCommand(job);
  if (isP2PError(error, "CHANGES_UNAVAILABLE"))
    return "the command above, or the same one with --every 5m, which mirrors every so often";
  if (isP2PError(error, "TOO_MANY_DELETES"))
    return "the same command with a larger --max-deletes, or with --deletes keep";
  const anew = ["CHECKPOINT_MISMATCH", "CHECKPOINT_INVALID", "STORE_CHANGED"] as const;
  return anew.some((code) => isP2PError(error, code)) ? "the same command with --no-resume, to begin anew" : undefined;
}
