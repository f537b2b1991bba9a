import { findConfig, loadConfig } from "../config/load.ts";
import { type NamedEndpoints, resolveTyped } from "../endpoints/resolve.ts";
import type { ExitCode } from "../exit-code.ts";
import type { CopyFlags } from "../program.ts";
import { queryFrom } from "../query/query.ts";
import type { Session } from "../session.ts";
import { deadLetterPlace } from "../transfer/dead-letters.ts";
import { dryRun } from "../transfer/dry-run.ts";
import type { TransferJob } from "../transfer/job.ts";
import { replayCommandFor } from "../transfer/replay-command.ts";
import { resumeCommand, shellQuote, withoutSecrets } from "../transfer/resume-command.ts";
import { runTransfer } from "../transfer/run-transfer.ts";
import { settingsFrom } from "../transfer/settings.ts";
import { deriveTransferId } from "../transfer/transfer-id.ts";
import { loadTransform } from "../transfer/transform-file.ts";

/** Two endpoints as they were typed. */
export interface TypedEnds {
  readonly source: string;
  readonly target: string;
}

/** `omni-p2p copy` */
export async function copyCommand(typed: TypedEnds, flags: CopyFlags, session: Session): Promise<ExitCode> {
  if (flags.distributed) return (await import("../engine/distributed-copy.ts")).distributedCopy(typed, flags, session);
  const job = await jobFrom("copy", typed, flags, session);
  return flags.dryRun
    ? dryRun(job, session, { sample: flags.sample, timeoutMs: flags.connectionTimeout })
    : runTransfer(job, session, flags.progressInterval);
}

/** Makes a job of what was typed. Whatever is wrong with it comes out here, before a store is opened. */
export async function jobFrom(
  name: string,
  typed: TypedEnds,
  flags: CopyFlags,
  session: Session,
): Promise<TransferJob> {
  const query = queryFrom(flags);
  const config = settingsFrom(flags);
  const names = namedEndpoints(flags.config);
  const source = await resolveTyped(typed.source, "source", session, names);
  const target = await resolveTyped(typed.target, "target", session, names);
  const transform = flags.transform === undefined ? undefined : await loadTransform(flags.transform);
  const transferId =
    flags.transferId ?? deriveTransferId({ source, target, query, mode: flags.mode, transform: transform?.place });
  return {
    name,
    source,
    target,
    query,
    config,
    transform,
    transferId,
    resume: flags.resume ?? false,
    stateDir: flags.stateDir,
    deadLetters: deadLetterPlace(flags.deadLetter),
    verify: flags.verify ?? false,
    resumeCommand: resumeCommand(session.argv, typed),
    replayCommand: replayCommandFor(shellQuote(withoutSecrets(typed.target).safe), flags.transform),
  };
}

/** The config file that names endpoints, loaded once and only if a name was typed. */
export function namedEndpoints(file: string | undefined): () => Promise<NamedEndpoints | undefined> {
  let loaded: Promise<NamedEndpoints> | undefined;
  return async () => {
    const found = file ?? findConfig();
    if (found === undefined) return undefined;
    loaded ??= loadConfig(found);
    return loaded;
  };
}
