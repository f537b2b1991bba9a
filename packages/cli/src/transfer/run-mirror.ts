import {
  DefaultP2PConnectionManager,
  FileCheckpointStore,
  isP2PError,
  type MirrorOptions,
  type MirrorResult,
  P2PTransferError,
} from "@omni/p2p-core";
import { ExitCode } from "../exit-code.ts";
import { createReporter } from "../output/create-reporter.ts";
import { formatCount, formatDuration, records } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import { printable } from "../output/printable.ts";
import type { MirrorProgress } from "../output/reporter.ts";
import { explain } from "../session/explain.ts";
import type { Session } from "../session/session.ts";
import { tellSupervisor } from "../supervision/channel.ts";
import { assertJob } from "./assert-job.ts";
import type { TransferJob } from "./job.ts";
import { inspectCommand, jobOptions, sayStopping, withinTransferTimeout } from "./job-options.ts";
import { resultEvent } from "./report.ts";
import { establish, registerStarters } from "./run-transfer.ts";
import { linesOf, runVerify } from "./run-verify.ts";

/** Failures shown on the screen; all of them are in the dead letters. */
const SHOWN_FAILURES = 5;

/** What a mirror is told beyond what a copy is. */
export type MirrorFlagsGiven = Pick<
  MirrorOptions,
  "deletes" | "maxDeletes" | "allowEmptySource" | "targetQuery" | "dryRun"
>;

/** Mirrors, and tells what was done. */
export async function runMirror(
  job: TransferJob,
  own: MirrorFlagsGiven,
  session: Session,
  progressInterval: number | undefined,
): Promise<ExitCode> {
  assertJob(job);
  const manager = new DefaultP2PConnectionManager();
  session.out.onClosed = undefined;
  const reporter = await createReporter(session.out, progressInterval);
  let phase: MirrorProgress["phase"] = "comparing";
  let done = false;
  try {
    await registerStarters(job, manager);
    const isGoingOn = await announce(job, session.out);
    const connection = await establish(job, session, manager);
    tellSupervisor({ kind: "way", text: job.resumeCommand });
    reporter.start(job, isGoingOn);
    sayStopping(session);
    const result = await withinTransferTimeout(job, "mirror", () =>
      manager.mirrorThroughConnection(connection.connectionId, job.query, {
        ...own,
        ...jobOptions(job),
        signal: session.signal,
        onProgress: (progress) => {
          phase = progress.phase;
          reporter.mirroring(progress);
        },
      }),
    );
    done = true;
    reporter.stop();
    const code = own.dryRun ? reportDryRun(job, result, session.out) : reportMirror(job, result, session.out);
    if (!job.verify || own.dryRun) return code;
    const { source, target, query } = job;
    const verified = await runVerify(
      {
        ...{ source, target, query },
        options: {
          transform: job.transform?.transform,
          targetQuery: own.targetQuery,
          ...(result.deletes === "keep" && { extras: "allow" }),
        },
        compare: (options) => manager.verify(connection.connectionId, query, options),
      },
      session,
      reporter,
    );
    return code === ExitCode.OK ? verified : code;
  } catch (error) {
    reporter.stop();
    if (done && session.interrupts.exitCode !== undefined) {
      session.out.note("The mirror is complete; comparing the two sides was stopped.");
      return session.interrupts.exitCode;
    }
    return reportFailure(job, session, error, phase);
  } finally {
    session.interrupts.onFirst = undefined;
    tellSupervisor({ kind: "way", text: undefined });
    reporter.stop();
    await manager.close({ drainTimeout: 0 });
  }
}

/** Tells what a resumed mirror makes of an earlier run, and whether there is one to make good. */
async function announce({ resume, stateDir, transferId }: TransferJob, out: Output): Promise<boolean> {
  if (!resume) return false;
  const checkpoint = await new FileCheckpointStore(stateDir).load(transferId).catch(() => undefined);
  const again = "both sides are read again";
  if (!checkpoint)
    out.note(`There is no earlier run of ${transferId} that changed anything; it starts from the beginning.`);
  else if (checkpoint.status === "completed") out.note(`${transferId} was completed before; ${again}.`);
  else out.note(`Going on: ${again}, since what was found then is old by now.`);
  return checkpoint?.status === "running";
}

function reportMirror(job: TransferJob, result: MirrorResult, out: Output): ExitCode {
  const partial = result.failureCount + result.unreadable > 0;
  out.event(mirrorEvent(job, result, partial ? "partial" : "completed"));
  const { successCount, deletedCount, keptCount, failureCount, unreadable, durationMs } = result;
  const others = [
    keptCount > 0 && `${formatCount(keptCount)} of the target alone kept`,
    failureCount > 0 && `${formatCount(failureCount)} failed`,
    unreadable > 0 && `${formatCount(unreadable)} could not be read`,
  ].filter((part) => part !== false);
  const done = `${records(successCount)} written, ${formatCount(deletedCount)} deleted in ${formatDuration(durationMs)}`;
  out.line([done, ...others].join(", "));
  reportRest(result, out);
  return partial ? ExitCode.PARTIAL : ExitCode.OK;
}

function reportDryRun(job: TransferJob, result: MirrorResult, out: Output): ExitCode {
  const { missing, different, extra, deletes, unreadable, refusal } = result;
  out.event({
    ...mirrorEvent(job, result, "completed"),
    dryRun: true,
    ...(refusal && { refusal: { code: refusal.code, message: refusal.message } }),
  });
  out.line(
    `Would write ${records(missing + different)} (${formatCount(missing)} missing, ${formatCount(different)} different) and ` +
      `${deletes === "remove" ? "delete" : "keep"} ${formatCount(extra)}; nothing was changed`,
  );
  const remaining = deletes === "remove" ? "delete" : "keep";
  for (const [intent, kind, count] of [
    ["add", "missing", missing],
    ["change", "different", different],
    [remaining, "extra", extra],
    ["unreadable", "unreadable", unreadable],
  ] as const) {
    const shown = (result.samples ?? []).filter((sample) => sample.kind === kind);
    for (const sample of shown) for (const line of linesOf(sample, intent)) out.line(`  ${line}`);
    if (count > shown.length) out.line(`  ${intent.padEnd(10)} ${formatCount(count - shown.length)} more`);
  }
  for (const note of result.notes ?? []) out.note(printable(note));
  if (refusal) {
    const { exitCode, ...shown } = explain(refusal);
    out.error(shown);
    return exitCode;
  }
  return unreadable > 0 ? ExitCode.PARTIAL : ExitCode.OK;
}

function reportRest(result: MirrorResult, out: Output): void {
  for (const note of result.notes ?? []) out.note(printable(note));
  for (const { id, phase, code, reason } of result.errors.slice(0, SHOWN_FAILURES)) {
    out.note(printable(`  ${id} (${phase}, ${code}): ${reason}`));
  }
  if (result.deadLetters !== undefined)
    out.note(`The ids that failed are in ${result.deadLetters}; mirror once more to bring them`);
}

function mirrorEvent(
  job: TransferJob,
  result: MirrorResult,
  status: "completed" | "partial" | "failed" | "interrupted",
) {
  const { refusal: _, ...told } = result;
  return {
    ...resultEvent(job, told, status, status === "interrupted"),
    ...("samples" in told && { dryRun: true as const }),
  };
}

function reportFailure(job: TransferJob, session: Session, error: unknown, phase: MirrorProgress["phase"]): ExitCode {
  const { out, interrupts } = session;
  const result = error instanceof P2PTransferError ? (error.result as MirrorResult) : undefined;
  const stopped = interrupts.exitCode;
  if (result) out.event(mirrorEvent(job, result, stopped === undefined ? "failed" : "interrupted"));
  if (result && result.successCount + result.deletedCount > 0) {
    out.line(`${records(result.successCount)} written, ${formatCount(result.deletedCount)} deleted before it stopped`);
    reportRest(result, out);
  } else if (stopped !== undefined && phase === "comparing") {
    out.line("Stopped while comparing; nothing was changed.");
  }
  if (stopped !== undefined) {
    out.note(`Go on with: ${job.resumeCommand}`);
    return stopped;
  }
  const notFound = isP2PError(error, "SOURCE_NOT_FOUND") && result === undefined;
  const { exitCode, ...shown } = explain(error, notFound ? inspectCommand(job) : undefined);
  out.error(shown);
  return exitCode;
}
