import { existsSync } from "node:fs";
import type { ExitCode } from "../exit-code.ts";
import type { ReplayFlags } from "../program.ts";
import type { Session } from "../session.ts";
import { assertOtherFile } from "../transfer/dead-letters.ts";
import { dryRun } from "../transfer/dry-run.ts";
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
  return flags.dryRun
    ? dryRun(job, session, { sample: flags.sample, timeoutMs: flags.connectionTimeout })
    : runTransfer(job, session, flags.progressInterval);
}
