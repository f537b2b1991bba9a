import { verify } from "@omni/p2p-core";
import { namedEndpoints } from "../config/named-endpoints.ts";
import { completedTarget, openContext, withStore } from "../endpoints/open.ts";
import { resolveTyped } from "../endpoints/resolve.ts";
import type { ExitCode } from "../exit-code.ts";
import type { VerifyFlags } from "../flags/verify.ts";
import { createReporter } from "../output/create-reporter.ts";
import { queryFrom } from "../query/query.ts";
import type { Session } from "../session/session.ts";
import type { TypedEnds } from "../transfer/job-from-flags.ts";
import { runVerify } from "../transfer/run-verify.ts";
import { loadTransform } from "../transfer/transform-file.ts";

/** `omni-p2p verify` */
export async function verifyCommand(typed: TypedEnds, flags: VerifyFlags, session: Session): Promise<ExitCode> {
  const query = queryFrom(flags);
  const names = namedEndpoints(flags.config);
  const source = await resolveTyped(typed.source, "source", session, names);
  const given = await resolveTyped(typed.target, "target", session, names);
  const transform = flags.transform === undefined ? undefined : (await loadTransform(flags.transform)).transform;
  const { batchSize, maxDifferences, ignoreExtra, live, settle, connectionTimeout } = flags;
  const target = await completedTarget(given, source, session, connectionTimeout);
  const reporter = await createReporter(session.out, flags.progressInterval);
  // Both are opened for reading: a target is not to be made by a look at it.
  const open = () => openContext("source", session, connectionTimeout);
  try {
    return await withStore(source, open(), (from) =>
      withStore(target, open(), (to) =>
        runVerify(
          {
            source,
            target,
            query,
            options: {
              transform,
              batchSize,
              ...(maxDifferences !== undefined && { maxDifferences }),
              ...(ignoreExtra && { extras: "allow" }),
              ...{ live, settle },
            },
            compare: (options) =>
              verify(
                { service: from, endpoint: source.endpoint },
                { service: to, endpoint: target.endpoint },
                query,
                options,
              ),
          },
          session,
          reporter,
        ),
      ),
    );
  } finally {
    reporter.stop();
  }
}
