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
import { printable } from "../output/printable.ts";
import type { FollowProgress, Reporter } from "../output/reporter.ts";
import { explain } from "../session/explain.ts";
import type { Session } from "../session/session.ts";
import { tellSupervisor } from "../supervision/channel.ts";
import { assertJob } from "./assert-job.ts";
import type { TransferJob } from "./job.ts";
import { inspectCommand, jobOptions, sayStopping } from "./job-options.ts";
import { PausePrompt } from "./pause-prompt.ts";
import { followAgainCommand } from "./resume-command.ts";
import { establish, registerStarters } from "./run-transfer.ts";

/** What a follow is told beyond what a copy is. */
export type FollowFlagsGiven = Pick<
  FollowOptions,
  "deletes" | "maxDeletes" | "allowEmptySource" | "targetQuery" | "every" | "reconcileEvery" | "lease"
>;

/** A follow that is to run. */
export interface FollowJob {
  readonly job: TransferJob;
  readonly own: FollowFlagsGiven;
}

/** What one follow has around it, and shares with those beside it. */
interface Surroundings {
  readonly session: Session;
  readonly reporter: Reporter;
  readonly prompt: PausePrompt;
  /** Says something of it, with its name where there are several. */
  readonly name: (text: string) => string;
}

/**
 * Runs follows side by side: one that ends leaves the others alone, and a signal stops them all.
 *
 * @param alone whether nothing else is told beside them.
 * @returns when all were stopped, or cannot go on: the exit code of the first that could not.
 */
export async function runFollows(
  follows: readonly FollowJob[],
  session: Session,
  progressInterval: number | undefined,
  alone = true,
): Promise<ExitCode> {
  for (const { job } of follows) assertJob(job);
  const { out, interrupts } = session;
  const reporter = await createReporter(out, progressInterval, alone);
  const prompt = new PausePrompt(out);
  const goOn = followAgainCommand(follows[0]!.job.resumeCommand);
  sayStopping(session);
  tellSupervisor({ kind: "way", text: goOn });
  try {
    const ended = await Promise.all(
      follows.map(({ job, own }) => {
        const name = (text: string) => (follows.length === 1 ? text : `${job.name}: ${text}`);
        return runOne(job, own, { session, reporter, prompt, name });
      }),
    );
    reporter.stop();
    if (ended.some(({ began }) => began)) out.note(`Go on with: ${goOn}`);
    return interrupts.exitCode ?? ended.find(({ code }) => code !== ExitCode.OK)?.code ?? ExitCode.OK;
  } finally {
    interrupts.onFirst = undefined;
    reporter.stop();
    tellSupervisor({ kind: "way", text: undefined });
  }
}

/** @returns when it was stopped, or cannot go on; and whether it is one that a stop ended. */
async function runOne(
  job: TransferJob,
  own: FollowFlagsGiven,
  around: Surroundings,
): Promise<{ readonly code: ExitCode; readonly began: boolean }> {
  const { session, reporter, name } = around;
  const { out, interrupts } = session;
  const manager = new DefaultP2PConnectionManager();
  const startedAt = performance.now();
  let follow: FollowHandle | undefined;
  try {
    await registerStarters(job, manager);
    const connection = await establish(job, session, manager);
    reporter.start(job, false);
    follow = manager.followThroughConnection(connection.connectionId, job.query, {
      ...own,
      ...jobOptions(job),
    });
    await untilStopped(follow, job, around, startedAt);
    reporter.followed(job.transferId);
    reportEnd(follow, job, around, startedAt, interrupts.exitCode === undefined ? "stopped" : "interrupted");
    return { code: ExitCode.OK, began: true };
  } catch (error) {
    reporter.followed(job.transferId);
    if (follow !== undefined && follow.counts.changes + follow.counts.written + follow.counts.deleted > 0) {
      reportEnd(follow, job, around, startedAt, "failed");
    }
    if (interrupts.exitCode !== undefined && follow === undefined) return { code: interrupts.exitCode, began: false };
    const { exitCode, ...shown } = explain(error, nextFor(error, job));
    out.error({ ...shown, message: name(shown.message) });
    return { code: exitCode, began: false };
  } finally {
    await manager.close({ drainTimeout: 0 });
  }
}

/**
 * Waits for the end. A pause before deletes is asked about on a terminal; elsewhere nobody can tell the command to go on, so that it ends
 * it with the error that caused it. One for an end that is away is over by itself.
 */
async function untilStopped(
  follow: FollowHandle,
  job: TransferJob,
  around: Surroundings,
  startedAt: number,
): Promise<void> {
  const { session, reporter, prompt, name } = around;
  const { out, signal } = session;
  const asks = session.interactive && !out.json && !out.quiet;
  let pausedBy: P2PError | undefined;
  const stop = () => void follow.stop().catch(() => {});
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  tell(follow, job, around);
  follow.events.on("paused", ({ error }) => {
    const { code, message } = explain(error);
    const waits = isForDeletes(error);
    out.event({
      event: "follow-paused",
      transferId: job.transferId,
      code,
      message,
      goesOn: waits ? "told" : "by-itself",
    });
    if (!waits) {
      out.note(printable(name(`Paused: ${message}. It goes on by itself once that is over`)));
    } else if (asks) {
      prompt.ask(follow, printable(name(`Paused: ${message}`)));
    } else {
      pausedBy = error;
      stop();
    }
  });
  const tick = () => reporter.following(progressOf(follow, job, startedAt));
  follow.events.on("status", ({ to }) => {
    if (to !== "paused") prompt.forget(follow);
    tick();
  });
  const ticking = setInterval(tick, reporter.interval);
  try {
    await follow.done;
  } finally {
    clearInterval(ticking);
    prompt.forget(follow);
    signal.removeEventListener("abort", stop);
  }
  if (pausedBy !== undefined) throw pausedBy;
}

/** Whether it is paused until somebody says that the deletes are meant. */
function isForDeletes(error: P2PError | undefined): boolean {
  return isP2PError(error, "TOO_MANY_DELETES") || isP2PError(error, "EMPTY_SOURCE");
}

/** Tells people what they should know, and programs everything. */
function tell({ events }: FollowHandle, { transferId }: TransferJob, { session: { out }, name }: Surroundings): void {
  events.on("status", ({ from, to }) => out.event({ event: "follow-status", transferId, from, to }));
  events.on("caughtUp", ({ lagMs }) => out.event({ event: "follow-caught-up", transferId, ...known({ lagMs }) }));
  events.on("change", ({ written, deleted, lagMs }) =>
    out.event({ event: "follow-change", transferId, written, deleted, ...known({ lagMs }) }),
  );
  events.on("mirrored", ({ result: { successCount, deletedCount, durationMs } }) => {
    out.event({ event: "follow-mirrored", transferId, written: successCount, deleted: deletedCount, durationMs });
    const done = `${records(successCount)} written, ${formatCount(deletedCount)} deleted`;
    out.note(name(`Mirrored in ${formatDuration(durationMs)}: ${done}`));
  });
  events.on("lease", ({ place, reason }) => {
    const why = reason === undefined ? undefined : printable(reason);
    out.event({ event: "follow-lease", transferId, place, ...(why !== undefined && { reason: why }) });
    if (why !== undefined) out.note(name(`Only this folder keeps a second follow of this id away: ${why}`));
  });
  events.on("lost", ({ error }) => {
    const { code, message } = explain(error);
    out.event({ event: "follow-lost", transferId, code, message });
    out.note(printable(name(`${message}; nothing need be done`)));
  });
  events.on("retry", ({ error, delayMs }) => {
    const { code, message } = explain(error);
    out.event({ event: "follow-retry", transferId, code, message, delayMs });
    out.note(printable(name(`${message}. It is tried again in ${formatDuration(delayMs)}`)));
  });
}

function known({ lagMs }: { readonly lagMs: number | undefined }): { readonly lagMs?: number } {
  return lagMs === undefined ? {} : { lagMs };
}

function progressOf(
  { status, counts, lagMs, error }: FollowHandle,
  { transferId, name }: TransferJob,
  startedAt: number,
): FollowProgress {
  const paused = status === "paused" && error && { pausedBy: error.code };
  return {
    transferId,
    name,
    status,
    ...counts,
    ...known({ lagMs }),
    ...paused,
    elapsedMs: performance.now() - startedAt,
  };
}

function reportEnd(
  { counts, lagMs }: FollowHandle,
  { transferId }: TransferJob,
  { session: { out }, name }: Surroundings,
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
  out.line(name([`${done} in ${formatDuration(durationMs)}`, ...others].join(", ")));
}

/** What to type next where the message does not say it, or where a follow has other words for it than a copy. */
function nextFor(error: unknown, job: TransferJob): string | undefined {
  if (isP2PError(error, "SOURCE_NOT_FOUND")) return inspectCommand(job);
  if (isP2PError(error, "CHANGES_UNAVAILABLE"))
    return "the command above, or the same one with --every 5m, which mirrors every so often";
  if (isP2PError(error, "TOO_MANY_DELETES"))
    return "the same command with a larger --max-deletes, or with --deletes keep";
  if (isP2PError(error, "EMPTY_SOURCE")) return "the same command with --allow-empty-source, or with --deletes keep";
  const anew = ["CHECKPOINT_MISMATCH", "CHECKPOINT_INVALID", "STORE_CHANGED"] as const;
  return anew.some((code) => isP2PError(error, code)) ? "the same command with --no-resume, to begin anew" : undefined;
}
