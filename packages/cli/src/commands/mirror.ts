import type { ExitCode } from "../exit-code.ts";
import { isOfDatabase } from "../flags/database.ts";
import type { MirrorFlags } from "../flags/mirror.ts";
import type { Session } from "../session/session.ts";
import { assertOfOne, selectionFrom } from "../transfer/database-job.ts";
import { jobFromFlags, type TypedEnds } from "../transfer/job-from-flags.ts";
import { runMirror } from "../transfer/run-mirror.ts";
import { toleranceFrom } from "../transfer/settings.ts";
import { targetQueryFrom } from "../transfer/target-query.ts";
import { deriveTransferId } from "../transfer/transfer-id.ts";
import { UsageError } from "../usage-error.ts";

/** `omni-p2p mirror` */
export async function mirrorCommand(typed: TypedEnds, flags: MirrorFlags, session: Session): Promise<ExitCode> {
  const ofMany = (["distributed", "partitions", "redis"] as const).filter((name) => flags[name] !== undefined);
  if (ofMany.length > 0) {
    throw new UsageError(
      "A mirror runs in one process and in one part so far; distributed ones come later",
      `the same command without ${ofMany.map((name) => `--${name}`).join(", ")}`,
    );
  }
  if (isOfDatabase(flags)) {
    const selection = selectionFrom(flags);
    const { deletes, maxDeletes, allowEmptySource } = flags;
    const own = {
      ...{ deletes, allowEmptySource },
      ...(maxDeletes !== undefined && { maxDeletes: toleranceFrom(maxDeletes) }),
    };
    const given = { verb: "mirror", selection, jobs: flags.jobs, own, transferId: flags.transferId } as const;
    const many = await jobFromFlags("mirror", typed, flags, session);
    const { dryRunDatabase, runDatabase } = await import("../transfer/run-database.ts");
    return flags.dryRun
      ? dryRunDatabase(many, given, session, undefined)
      : runDatabase(many, given, session, flags.progressInterval);
  }
  assertOfOne(flags);
  const job = await jobFromFlags("mirror", typed, flags, session);
  const { source, target, query, transform, config } = job;
  const transferId =
    flags.transferId ??
    deriveTransferId({ source, target, query, mode: "mirror", transform: transform?.place, config });
  const { deletes, maxDeletes, allowEmptySource, dryRun, targetWhere } = flags;
  return runMirror(
    { ...job, transferId },
    {
      ...{ deletes, allowEmptySource, dryRun },
      ...(maxDeletes !== undefined && { maxDeletes: toleranceFrom(maxDeletes) }),
      ...(targetWhere && { targetQuery: targetQueryFrom(targetWhere) }),
    },
    session,
    flags.progressInterval,
  );
}
