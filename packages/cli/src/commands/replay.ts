import { statSync } from "node:fs";
import { parseEndpoint } from "@omni/p2p-core";
import { deadLetterStarter } from "@omni/p2p-core/engine";
import type { ExitCode } from "../exit-code.ts";
import type { ReplayFlags, ReplayPhase } from "../flags/replay.ts";
import type { Session } from "../session/session.ts";
import { assertJob } from "../transfer/assert-job.ts";
import { dryRun } from "../transfer/dry-run.ts";
import { jobFromFlags } from "../transfer/job-from-flags.ts";
import { resumeCommand, shellQuote } from "../transfer/resume-command.ts";
import { runTransfer } from "../transfer/run-transfer.ts";
import { UsageError } from "../usage-error.ts";

/** `omni-p2p replay`: a copy whose source is a file of dead letters. */
export async function replayCommand(
  { file, target }: { readonly file: string; readonly target: string },
  flags: ReplayFlags,
  session: Session,
): Promise<ExitCode> {
  const path = file.replace(/^dead-letters:/, "");
  assertFile(path);
  const source = lettersUrl(path, flags.phase);
  const job = {
    ...(await jobFromFlags("replay", { source, target }, flags, session)),
    resumeCommand: resumeCommand(session.argv, { target }),
  };
  assertJob(job);
  const phase = flags.phase ?? "write";
  const other = phase === "write" ? "transform" : "write";
  const holds = (wanted: ReplayPhase) => hasLetters(path, wanted, session.signal);
  if (!(await holds(phase)) && (await holds(other))) {
    session.out.note(`Every record in ${path} ${WHAT_HAPPENED[other]}; nothing in it ${WHAT_HAPPENED[phase]}`);
    session.out.note(`  Next: ${job.replayCommand(path, other)}`);
  }
  return flags.dryRun
    ? dryRun(job, session, { sample: flags.sample, timeoutMs: flags.connectionTimeout })
    : runTransfer(job, session, flags.progressInterval);
}

function assertFile(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) {
    throw new UsageError(
      `There is no dead-letter file ${path}`,
      "ls .omni-p2p, where a copy leaves its dead letters unless it is told otherwise",
    );
  }
  if (found.isDirectory()) {
    throw new UsageError(`${path} is a folder, and dead letters are a file`, `ls ${shellQuote(path)}`);
  }
}

const WHAT_HAPPENED: Readonly<Record<ReplayPhase, string>> = {
  write: "was refused by the target",
  transform: "failed in the transform",
};

function lettersUrl(path: string, phase: ReplayPhase | undefined): string {
  // A percent sign in the name would be read as an escape of the URL.
  return `dead-letters:${path.replaceAll("%", "%25").replaceAll("?", "%3F")}${phase ? `?phase=${phase}` : ""}`;
}

/** Whether there is anything to replay of a phase. Reads no further than to the first of it. */
async function hasLetters(path: string, phase: ReplayPhase, signal: AbortSignal): Promise<boolean> {
  // What is no file is refused by the transfer.
  if (!statSync(path).isFile()) return false;
  const context = { role: "source", connectTimeoutMs: 0, signal } as const;
  const letters = await deadLetterStarter.open(parseEndpoint(lettersUrl(path, phase)), context);
  for await (const _ of letters.readFromSource({}, { batchSize: 1, signal })) return true;
  return false;
}
