import {
  DefaultP2PConnectionManager,
  FileCheckpointStore,
  isP2PError,
  type P2PConnection,
  P2PTransferError,
  parseEndpoint,
  type TransferResult,
} from "@omni/p2p-core";
import { type Checkpoint, type ManagedTransferOptions, parseConfig } from "@omni/p2p-core/engine";
import { unlessAborted } from "@omni/p2p-core/starter";
import { askPassword, type Side } from "../endpoints/credentials.ts";
import { findStarter } from "../endpoints/installed-starters.ts";
import { ExitCode } from "../exit-code.ts";
import { createReporter } from "../output/create-reporter.ts";
import { formatCount, records } from "../output/format.ts";
import { printable } from "../output/printable.ts";
import type { Reporter } from "../output/reporter.ts";
import { explain } from "../session/explain.ts";
import type { Session } from "../session/session.ts";
import { tellSupervisor, withinLimit } from "../supervision/channel.ts";
import { assertJob } from "./assert-job.ts";
import { failedIds } from "./failed-ids.ts";
import type { TransferJob } from "./job.ts";
import { inspectCommand, jobOptions, sayStopping, withinTransferTimeout } from "./job-options.ts";
import { isPipe, isStdout, mayGoOn } from "./pipe-target.ts";
import { reportFailures, reportInterruption, reportResult, resultEvent } from "./report.ts";
import { runVerify } from "./run-verify.ts";

/** Runs a transfer from its checkpoint to its report. */
export async function runTransfer(
  job: TransferJob,
  session: Session,
  progressInterval: number | undefined,
): Promise<ExitCode> {
  assertJob(job);
  const manager = new DefaultP2PConnectionManager();
  // Nothing is left half-copied because the reader of the report went away.
  session.out.onClosed = undefined;
  if (isStdout(job)) session.out.leaveStdout();
  const reporter = await createReporter(session.out, progressInterval);
  let done: TransferResult | undefined;
  try {
    await registerStarters(job, manager);
    const earlier = await announce(job, session);
    const connection = await establish(job, session, manager);
    tellSupervisor({ kind: "way", text: isPipe(job) ? undefined : job.resumeCommand });
    reporter.start(job, earlier !== undefined && job.resume);
    sayStopping(session);
    done = await transfer(job, session, manager, connection, reporter);
    reporter.stop();
    const code = reportResult(job, done, job.resume ? earlier : undefined, session.out);
    if (!job.verify) return code;
    const { source, target, query } = job;
    const verified = await runVerify(
      {
        source,
        target,
        query,
        options: {
          transform: job.transform?.transform,
          extras: "allow",
          // The same record may have failed in several runs, and be in as many letters.
          ...(source.endpoint.storageType === "dead-letters" && { repeats: "allow" }),
          ...(done.failureCount > 0 && { failed: failedIds(job, done) }),
        },
        after: { leftAlone: job.config.mode === "skip" ? done.skippedCount : 0 },
        compare: (options) => manager.verify(connection.connectionId, query, options),
      },
      session,
      reporter,
    );
    return code === ExitCode.OK ? verified : code;
  } catch (error) {
    reporter.stop();
    if (done !== undefined && session.interrupts.exitCode !== undefined) {
      session.out.note("The copy is complete; comparing the two sides was stopped.");
      return session.interrupts.exitCode;
    }
    return reportFailure(job, session, error);
  } finally {
    session.interrupts.onFirst = undefined;
    tellSupervisor({ kind: "way", text: undefined });
    reporter.stop();
    await manager.close({ drainTimeout: 0 });
  }
}

export async function registerStarters(job: TransferJob, manager: DefaultP2PConnectionManager): Promise<void> {
  for (const { endpoint, starter } of [job.source, job.target]) manager.registerService(endpoint.storageType, starter);
  if (typeof job.deadLetters !== "object") return;
  const { storageType } = parseEndpoint(job.deadLetters.endpoint);
  manager.registerService(storageType, await findStarter(storageType, []));
}

/** Tells how this run stands to an earlier one of the same transfer. */
async function announce(job: TransferJob, { out }: Session): Promise<Checkpoint | undefined> {
  const checkpoint = await new FileCheckpointStore(job.stateDir).load(job.transferId).catch(() => undefined);
  const done = formatCount(checkpoint?.recordsRead ?? 0);
  if (job.resume) {
    if (!checkpoint) out.note(`There is no earlier run of ${job.transferId} to resume; it starts from the beginning.`);
    else if (checkpoint.status === "completed") {
      out.note(`${job.transferId} was completed before; run it without --resume to copy once more.`);
    } else if (mayGoOn(job, checkpoint)) out.note(`Going on after ${done} records.`);
  } else if (checkpoint?.status === "running" && mayGoOn(job, checkpoint)) {
    out.note(`An earlier run stopped after ${done} records; with --resume this one would have gone on from there.`);
  }
  return checkpoint;
}

/** Opens both ends; where a store wants a password and somebody is there, it is asked for once. */
export async function establish(
  job: TransferJob,
  session: Session,
  manager: DefaultP2PConnectionManager,
): Promise<P2PConnection> {
  const ends = { source: job.source.endpoint, target: job.target.endpoint };
  const { connectionTimeout } = parseConfig(job.config);
  const open = ({ source, target }: typeof ends) =>
    withinLimit(connectionTimeout, `The two ends were not opened within ${connectionTimeout} ms`, () =>
      manager.establish(source, target, job.config),
    );
  try {
    return await unlessAborted(open(ends), session.signal);
  } catch (error) {
    if (!isP2PError(error, "AUTHENTICATION_FAILED") || !session.interactive) throw error;
    session.out.note(error.message);
    for (const side of ["source", "target"] as const satisfies Side[]) {
      const { starter, endpoint } = job[side];
      const shown = endpoint.host !== undefined && error.message.includes(endpoint.host);
      if (shown && "password" in starter.options) ends[side] = await askPassword(ends[side], side, session);
    }
    return unlessAborted(open(ends), session.signal);
  }
}

async function transfer(
  job: TransferJob,
  session: Session,
  manager: DefaultP2PConnectionManager,
  { connectionId }: P2PConnection,
  reporter: Reporter,
): Promise<TransferResult> {
  const options: ManagedTransferOptions = {
    ...jobOptions(job),
    signal: session.signal,
    progressInterval: reporter.interval,
    onProgress: (progress) => reporter.progress(progress),
  };
  return withinTransferTimeout(job, "transfer", () =>
    manager.transferThroughConnection(connectionId, job.query, options),
  );
}

function reportFailure(job: TransferJob, session: Session, error: unknown): ExitCode {
  const { out, interrupts } = session;
  // Whoever reads the records has seen enough, as `| head` has. A disk that is full is no such reader.
  const isLeft = out.isClosed && out.failure === undefined;
  if (isStdout(job) && isLeft && interrupts.exitCode === undefined) return ExitCode.BROKEN_PIPE;
  const result = error instanceof P2PTransferError ? error.result : undefined;
  if (interrupts.exitCode !== undefined) {
    reportInterruption(job, result, out);
    return interrupts.exitCode;
  }
  const resumable = result !== undefined && mayGoOn(job, result.checkpoint);
  if (result) out.event(resultEvent(job, result, "failed", resumable));
  const notFound = isP2PError(error, "SOURCE_NOT_FOUND") && result === undefined;
  const next = resumable ? job.resumeCommand : notFound ? inspectCommand(job) : undefined;
  const { exitCode, ...shown } = explain(error, next);
  if (result) {
    out.line(`${records(result.successCount)} written before it stopped`);
    for (const note of result.notes ?? []) out.note(printable(note));
    reportFailures(job, result, out);
  }
  out.error(shown);
  return exitCode;
}
