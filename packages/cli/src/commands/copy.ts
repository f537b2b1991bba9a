import type { ExitCode } from "../exit-code.ts";
import type { CopyFlags } from "../flags/copy.ts";
import type { Session } from "../session/session.ts";
import { dryRun } from "../transfer/dry-run.ts";
import { jobFromFlags, type TypedEnds } from "../transfer/job-from-flags.ts";
import { runTransfer } from "../transfer/run-transfer.ts";

/** `omni-p2p copy` */
export async function copyCommand(typed: TypedEnds, flags: CopyFlags, session: Session): Promise<ExitCode> {
  if (flags.distributed) return (await import("../engine/distributed-copy.ts")).distributedCopy(typed, flags, session);
  const job = await jobFromFlags("copy", typed, flags, session);
  return flags.dryRun
    ? dryRun(job, session, { sample: flags.sample, timeoutMs: flags.connectionTimeout })
    : runTransfer(job, session, flags.progressInterval);
}
