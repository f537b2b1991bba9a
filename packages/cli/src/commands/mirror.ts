import type { P2PQuery } from "@omni/p2p-core";
import type { ExitCode } from "../exit-code.ts";
import type { MirrorFlags } from "../flags/mirror.ts";
import { queryFrom } from "../query/query.ts";
import type { Session } from "../session/session.ts";
import { jobFromFlags, type TypedEnds } from "../transfer/job-from-flags.ts";
import { runMirror } from "../transfer/run-mirror.ts";
import { toleranceFrom } from "../transfer/settings.ts";
import { deriveTransferId } from "../transfer/transfer-id.ts";
import { UsageError } from "../usage-error.ts";

/** `omni-p2p mirror` */
export async function mirrorCommand(typed: TypedEnds, flags: MirrorFlags, session: Session): Promise<ExitCode> {
  if (flags.distributed) {
    throw new UsageError(
      "A mirror runs in one process so far; distributed ones come later",
      "the same command without --distributed",
    );
  }
  const job = await jobFromFlags("mirror", typed, flags, session);
  const { source, target, query, transform } = job;
  const transferId =
    flags.transferId ?? deriveTransferId({ source, target, query, mode: "mirror", transform: transform?.place });
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

/** `all`, or conditions. */
function targetQueryFrom(where: readonly string[]): P2PQuery {
  return where.length === 1 && where[0] === "all" ? {} : queryFrom({ where });
}
