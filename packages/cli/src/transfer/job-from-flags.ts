import { namedEndpoints } from "../config/named-endpoints.ts";
import { resolveTyped } from "../endpoints/resolve.ts";
import type { CopyFlags } from "../flags/copy.ts";
import { queryFrom } from "../query/query.ts";
import type { Session } from "../session/session.ts";
import { UsageError } from "../usage-error.ts";
import { deadLetterPlace } from "./dead-letters.ts";
import type { TransferJob } from "./job.ts";
import { replayCommandFor } from "./replay-command.ts";
import { resumeCommand, shellQuote, withoutSecrets } from "./resume-command.ts";
import { settingsFrom } from "./settings.ts";
import { deriveTransferId } from "./transfer-id.ts";
import { loadTransform } from "./transform-file.ts";

/** Two endpoints as they were typed. */
export interface TypedEnds {
  readonly source: string;
  readonly target: string;
}

/** Makes a job of what was typed. Whatever is wrong with it comes out here, before a store is opened. */
export async function jobFromFlags(
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
    flags.transferId ??
    deriveTransferId({ source, target, query, mode: flags.mode, transform: transform?.place, config });
  return {
    name,
    source,
    target,
    query,
    config,
    transform,
    ...sinceFrom(flags),
    transferId,
    resume: flags.resume ?? false,
    stateDir: flags.stateDir,
    deadLetters: deadLetterPlace(flags.deadLetter),
    deadLetterOverwrite: flags.deadLetterOverwrite ?? false,
    verify: flags.verify ?? false,
    resumeCommand: resumeCommand(session.argv, typed),
    replayCommand: replayCommandFor(shellQuote(withoutSecrets(typed.target).safe), flags.transform, config),
  };
}

function sinceFrom({ since, sinceOverlap, sinceNulls }: CopyFlags): Pick<TransferJob, "since"> {
  if (since !== undefined) return { since: { field: since, overlap: sinceOverlap, nulls: sinceNulls } };
  if (sinceOverlap === undefined && sinceNulls === undefined) return {};
  throw new UsageError(
    `--since-${sinceOverlap === undefined ? "nulls" : "overlap"} says how --since reads`,
    "add --since <field>",
  );
}
