/** `omni-p2p follow`: change data capture from one store to another, until it is stopped. */
import type { ExitCode } from "../exit-code.ts";
import { isOfDatabase } from "../flags/database.ts";
import type { FollowFlags } from "../flags/follow.ts";
import type { Session } from "../session/session.ts";
import { assertOfOne, selectionFrom } from "../transfer/database-job.ts";
import { jobFromFlags, type TypedEnds } from "../transfer/job-from-flags.ts";
import { runFollows } from "../transfer/run-follow.ts";
import { toleranceFrom } from "../transfer/settings.ts";
import { targetQueryFrom } from "../transfer/target-query.ts";
import { deriveTransferId } from "../transfer/transfer-id.ts";
import { UsageError } from "../usage-error.ts";

export async function followCommand(typed: TypedEnds, flags: FollowFlags, session: Session): Promise<ExitCode> {
  if (flags.every !== undefined && flags.reconcileEvery !== undefined) {
    throw new UsageError("--every mirrors instead of following a feed, so that --reconcile-every adds nothing to it");
  }
  if (isOfDatabase(flags)) {
    const selection = selectionFrom(flags);
    const { deletes, maxDeletes, allowEmptySource, every, reconcileEvery, lease } = flags;
    const own = {
      ...{ deletes, allowEmptySource, every, reconcileEvery, lease },
      ...(maxDeletes !== undefined && { maxDeletes: toleranceFrom(maxDeletes) }),
    };
    const given = { verb: "follow", selection, jobs: flags.jobs, own, transferId: flags.transferId } as const;
    const many = await jobFromFlags("follow", typed, { ...flags, resume: flags.resume ?? true }, session);
    const { runDatabase } = await import("../transfer/run-database.ts");
    return runDatabase(many, given, session, flags.progressInterval);
  }
  assertOfOne(flags);
  const job = await jobFromFlags("follow", typed, { ...flags, resume: flags.resume ?? true }, session);
  const { source, target, query, transform, config } = job;
  const transferId =
    flags.transferId ??
    deriveTransferId({ source, target, query, mode: "follow", transform: transform?.place, config });
  const { deletes, maxDeletes, allowEmptySource, targetWhere, every, reconcileEvery, lease } = flags;
  const own = {
    ...{ deletes, allowEmptySource, every, reconcileEvery, lease },
    ...(maxDeletes !== undefined && { maxDeletes: toleranceFrom(maxDeletes) }),
    ...(targetWhere && { targetQuery: targetQueryFrom(targetWhere) }),
  };
  return runFollows([{ job: { ...job, transferId }, own }], session, flags.progressInterval);
}
