import { createReadStream, existsSync, statSync } from "node:fs";
import { createInterface } from "node:readline";
import type { ExitCode } from "../exit-code.ts";
import type { ReplayFlags } from "../program.ts";
import type { Session } from "../session.ts";
import { assertOtherFile } from "../transfer/dead-letters.ts";
import { dryRun } from "../transfer/dry-run.ts";
import type { ReplayPhase } from "../transfer/replay-command.ts";
import { resumeCommand } from "../transfer/resume-command.ts";
import { runTransfer } from "../transfer/run-transfer.ts";
import { UsageError } from "../usage-error.ts";
import { jobFrom } from "./copy.ts";

/** `omni-p2p replay`: a copy whose source is a file of dead letters. */
export async function replayCommand(
  { file, target }: { readonly file: string; readonly target: string },
  flags: ReplayFlags,
  session: Session,
): Promise<ExitCode> {
  const path = file.replace(/^dead-letters:/, "");
  if (!existsSync(path)) {
    throw new UsageError(
      `There is no dead-letter file ${path}`,
      "ls .omni-p2p, where a copy leaves its dead letters unless it is told otherwise",
    );
  }
  // A percent sign in the name would be read as an escape of the URL.
  const source = `dead-letters:${path.replaceAll("%", "%25").replaceAll("?", "%3F")}${flags.phase ? `?phase=${flags.phase}` : ""}`;
  const job = {
    ...(await jobFrom("replay", { source, target }, flags, session)),
    resumeCommand: resumeCommand(session.argv, { target }),
  };
  assertOtherFile(path, job.deadLetters);
  const phase = flags.phase ?? "write";
  if (await hasOtherPhaseAlone(path, phase)) {
    const other = phase === "write" ? "transform" : "write";
    session.out.note(
      phase === "write"
        ? `Every record in ${path} failed in the transform; nothing in it was refused by the target`
        : `Every record in ${path} was refused by the target; nothing in it failed in the transform`,
    );
    session.out.note(`  Next: ${job.replayCommand(path, other)}`);
  }
  return flags.dryRun
    ? dryRun(job, session, { sample: flags.sample, timeoutMs: flags.connectionTimeout })
    : runTransfer(job, session, flags.progressInterval);
}

/** Whether there is something to replay, but not of this phase. Reads no further than to the first letter of it. */
async function hasOtherPhaseAlone(path: string, phase: ReplayPhase): Promise<boolean> {
  const mark = `"phase":"${phase}"`;
  const otherMark = `"phase":"${phase === "write" ? "transform" : "write"}"`;
  // What is no file is refused where it is opened.
  if (!statSync(path).isFile()) return false;
  let other = false;
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line.includes(mark)) return false;
    other ||= line.includes(otherMark);
  }
  return other;
}
