/** Runs a job over the collections of a database, from its plan to its report. */
import { type DatabaseJob, DefaultP2PConnectionManager } from "@omni/p2p-core";
import { parseConfig, planDatabase } from "@omni/p2p-core/engine";
import { describeEndpoint } from "../endpoints/resolve.ts";
import { ExitCode } from "../exit-code.ts";
import { createReporter } from "../output/create-reporter.ts";
import { formatCount, records } from "../output/format.ts";
import { printable } from "../output/printable.ts";
import type { Reporter } from "../output/reporter.ts";
import { formatTable } from "../output/table.ts";
import { explain } from "../session/explain.ts";
import type { Session } from "../session/session.ts";
import { tellSupervisor } from "../supervision/channel.ts";
import { type DatabaseJobGiven, titleOf } from "./database-job.ts";
import { dryRun } from "./dry-run.ts";
import type { TransferJob } from "./job.ts";
import { jobOptions, sayStopping } from "./job-options.ts";
import { reportDatabase, reportEnded } from "./report-database.ts";
import { followAgainCommand } from "./resume-command.ts";
import { runMirror } from "./run-mirror.ts";
import { registerStarters } from "./run-transfer.ts";

/**
 * Copies, mirrors or follows the collections that are meant.
 *
 * @param alone whether nothing else is told beside it.
 */
export async function runDatabase(
  job: TransferJob,
  given: DatabaseJobGiven,
  session: Session,
  progressInterval: number | undefined,
  alone = true,
): Promise<ExitCode> {
  const { out, interrupts } = session;
  const manager = new DefaultP2PConnectionManager();
  out.onClosed = undefined;
  const reporter = await createReporter(out, progressInterval, alone);
  try {
    await registerStarters(job, manager);
    const goOn = given.verb === "follow" ? followAgainCommand(job.resumeCommand) : job.resumeCommand;
    tellSupervisor({ kind: "way", text: goOn });
    sayStopping(session);
    const running = begin(job, given, session, manager, reporter.interval);
    const toldNotes = tell(running, job, reporter, session);
    const result = await running.done;
    reporter.stop();
    const code = reportDatabase(job, result, { goOn, toldNotes }, out);
    return interrupts.exitCode ?? code;
  } catch (error) {
    reporter.stop();
    if (interrupts.exitCode !== undefined) return interrupts.exitCode;
    const { exitCode, ...shown } = explain(error);
    out.error(shown);
    return exitCode;
  } finally {
    interrupts.onFirst = undefined;
    tellSupervisor({ kind: "way", text: undefined });
    reporter.stop();
    await manager.close({ drainTimeout: 0 });
  }
}

function begin(
  job: TransferJob,
  { verb, selection, jobs, own, transferId }: DatabaseJobGiven,
  { signal }: Session,
  manager: DefaultP2PConnectionManager,
  progressInterval: number,
): DatabaseJob {
  const { transferId: _, resume, checkpoint: __, deadLetters, ...each } = jobOptions(job);
  const { source, target } = { source: job.source.endpoint, target: job.target.endpoint };
  const options = {
    ...selection,
    ...{ jobs, transferId, resume, checkpoint: job.stateDir, signal },
    ...(deadLetters === false && { deadLetters }),
    config: job.config,
  };
  const mirroring = ofMirror(own);
  switch (verb) {
    case "copy":
      return manager.transferDatabase(source, target, {
        ...options,
        verify: job.verify,
        each: { ...each, progressInterval },
      });
    case "mirror":
      return manager.mirrorDatabase(source, target, {
        ...options,
        verify: job.verify,
        each: { ...each, ...mirroring },
      });
    case "follow":
      return manager.followDatabase(source, target, { ...options, each: { ...each, ...own } });
  }
}

/** What a mirror is told too of what a follow is. */
function ofMirror({ deletes, maxDeletes, allowEmptySource }: DatabaseJobGiven["own"]) {
  return { deletes, maxDeletes, allowEmptySource };
}

/**
 * Tells people and programs how it goes.
 *
 * @returns the notes that were told at the beginning, as they are.
 */
function tell({ events }: DatabaseJob, job: TransferJob, reporter: Reporter, { out }: Session): ReadonlySet<string> {
  const told = new Set<string>();
  const far = new Map<string, { readonly records: number; readonly total: number | undefined }>();
  events.on("planned", ({ plan, resumed }) => {
    const { collections, notes } = plan;
    out.event({
      event: "database-start",
      name: job.name,
      ...{ source: job.source.shown, target: job.target.shown, resumed },
      collections: collections.map(({ name, targetName, records: about }) => ({
        ...{ name, target: targetName },
        ...(about !== undefined && { records: about }),
      })),
      notes,
    });
    out.note(printable(`${titleOf(job)} (${formatCount(collections.length)}${resumed ? ", going on" : ""})`));
    for (const note of notes) {
      told.add(note);
      out.note(printable(note));
    }
  });
  events.on("started", ({ collection: { name, records: total } }) => {
    far.set(name, { records: 0, total });
  });
  events.on("progress", ({ progress, collection: { name, records: total }, records: done }) => {
    if (far.has(name)) far.set(name, { records: done, total });
    reporter.database({ ...progress, underWay: [...far].map(([of, how]) => ({ name: of, ...how })) });
  });
  events.on("ended", ({ result }) => {
    far.delete(result.name);
    reportEnded(result, out);
  });
  return told;
}

/** Shows what a job would do, and what would become of a sample of each collection. Writes nothing. */
export async function dryRunDatabase(
  job: TransferJob,
  { verb, selection, own }: DatabaseJobGiven,
  session: Session,
  sample: number | undefined,
): Promise<ExitCode> {
  const { out, signal } = session;
  const { connectionTimeout } = parseConfig(job.config);
  const plan = await planDatabase(job.source, job.target, selection, { timeoutMs: connectionTimeout, signal });
  out.line(printable(titleOf(job)));
  const rows = plan.collections.map(({ name, targetName, records: about, after }) => [
    name,
    targetName,
    about === undefined ? "" : formatCount(about),
    after.join(", "),
  ]);
  for (const line of formatTable(["NAME", "IN THE TARGET", "RECORDS, ABOUT", "AFTER"], rows)) out.line(`  ${line}`);
  for (const note of plan.notes) out.note(printable(note));
  let worst: ExitCode = plan.troubles.length > 0 ? ExitCode.PARTIAL : ExitCode.OK;
  for (const { name, reason } of plan.troubles) out.note(printable(`${name} would not be copied: ${reason}`));
  for (const { name, source, target } of plan.collections) {
    signal.throwIfAborted();
    const one: TransferJob = {
      ...job,
      name: `${job.name} ${name}`,
      source: { ...job.source, endpoint: source, shown: describeEndpoint(source) },
      target: { ...job.target, endpoint: target, shown: describeEndpoint(target) },
    };
    out.line("");
    try {
      const code =
        verb === "copy"
          ? await dryRun(one, session, { sample, timeoutMs: connectionTimeout })
          : await runMirror(one, { ...ofMirror(own), dryRun: true }, session, undefined);
      if (code !== ExitCode.OK) worst = ExitCode.PARTIAL;
    } catch (error) {
      if (signal.aborted) throw error;
      // One that cannot be looked at is told of, and does not end the others.
      worst = ExitCode.PARTIAL;
      out.error(explain(error));
    }
  }
  out.line("");
  out.line(
    `${records(plan.collections.reduce((sum, { records: about = 0 }) => sum + about, 0))}, about; nothing is written.`,
  );
  return worst;
}
