import type { ExitCode } from "../exit-code.ts";
import type { CopyFlags } from "../flags/copy.ts";
import { isOfDatabase } from "../flags/database.ts";
import type { Session } from "../session/session.ts";
import { assertOfOne, selectionFrom } from "../transfer/database-job.ts";
import { dryRun } from "../transfer/dry-run.ts";
import { jobFromFlags, type TypedEnds } from "../transfer/job-from-flags.ts";
import { runTransfer } from "../transfer/run-transfer.ts";

/** `omni-p2p copy` */
export async function copyCommand(typed: TypedEnds, flags: CopyFlags, session: Session): Promise<ExitCode> {
  if (isOfDatabase(flags)) {
    const selection = selectionFrom(flags);
    const job = await jobFromFlags("copy", typed, flags, session);
    const given = { verb: "copy", selection, jobs: flags.jobs, own: {}, transferId: flags.transferId } as const;
    const { dryRunDatabase, runDatabase } = await import("../transfer/run-database.ts");
    return flags.dryRun
      ? dryRunDatabase(job, given, session, flags.sample)
      : runDatabase(job, given, session, flags.progressInterval);
  }
  assertOfOne(flags);
  if (flags.distributed) return (await import("../engine/distributed-copy.ts")).distributedCopy(typed, flags, session);
  const job = await jobFromFlags("copy", typed, flags, session);
  return flags.dryRun
    ? dryRun(job, session, { sample: flags.sample, timeoutMs: flags.connectionTimeout })
    : runTransfer(job, session, flags.progressInterval);
}
