import { verify } from "@omni/p2p-core";
import { namedEndpoints } from "../config/named-endpoints.ts";
import { completedTarget, openContext, withStore } from "../endpoints/open.ts";
import { resolveTyped } from "../endpoints/resolve.ts";
import type { ExitCode } from "../exit-code.ts";
import type { VerifyFlags } from "../flags/verify.ts";
import { createReporter } from "../output/create-reporter.ts";
import { queryFrom } from "../query/query.ts";
import type { Session } from "../session/session.ts";
import { assertCertificatePlace } from "../transfer/certificate-file.ts";
import type { TypedEnds } from "../transfer/job-from-flags.ts";
import { runAgainst } from "../transfer/run-against.ts";
import { runVerify } from "../transfer/run-verify.ts";
import { conversionFrom } from "../transfer/settings.ts";
import { targetQueryFrom } from "../transfer/target-query.ts";
import { loadTransform } from "../transfer/transform-file.ts";
import { UsageError } from "../usage-error.ts";

/** `omni-p2p verify`: two stores against each other, or one against a certificate. */
export async function verifyCommand(
  { source, target }: { readonly source: string; readonly target: string | undefined },
  flags: VerifyFlags,
  session: Session,
): Promise<ExitCode> {
  if (flags.against !== undefined) return holdAgainst(flags.against, source, target, flags, session);
  if (target === undefined) throw new UsageError("missing required argument 'target'", "omni-p2p verify --help");
  return compareEnds({ source, target }, flags, session);
}

/** Flags that mean nothing of one store alone. */
const OF_TWO_ENDS = {
  live: "--live",
  settle: "--settle",
  certificate: "--certificate",
  ignoreExtra: "--ignore-extra",
  targetWhere: "--target-where",
  threads: "--threads",
} as const;

async function holdAgainst(
  file: string,
  typed: string,
  second: string | undefined,
  flags: VerifyFlags,
  session: Session,
): Promise<ExitCode> {
  const stray = Object.entries(OF_TWO_ENDS).find(([name]) => flags[name as keyof typeof OF_TWO_ENDS] !== undefined);
  if (second !== undefined || stray !== undefined) {
    throw new UsageError(
      `--against compares one store with a file, so it takes ${second === undefined ? `no ${stray?.[1]}` : "one endpoint"}`,
      "omni-p2p verify --against <file> <endpoint>",
    );
  }
  const asked = queryFrom(flags);
  const endpoint = await resolveTyped(typed, "source", session, namedEndpoints(flags.config));
  const transform = flags.transform === undefined ? undefined : (await loadTransform(flags.transform)).transform;
  const { batchSize, maxDifferences, connectionTimeout } = flags;
  const reporter = await createReporter(session.out, flags.progressInterval);
  try {
    return await runAgainst(
      {
        ...{ endpoint, file, transform, batchSize, maxDifferences, connectionTimeout },
        conversion: conversionFrom(flags),
        query: Object.keys(asked).length > 0 ? asked : undefined,
      },
      session,
      reporter,
    );
  } finally {
    reporter.stop();
  }
}

async function compareEnds(typed: TypedEnds, flags: VerifyFlags, session: Session): Promise<ExitCode> {
  const query = queryFrom(flags);
  const names = namedEndpoints(flags.config);
  const source = await resolveTyped(typed.source, "source", session, names);
  const given = await resolveTyped(typed.target, "target", session, names);
  if (flags.certificate !== undefined) await assertCertificatePlace(flags.certificate);
  const transform = flags.transform === undefined ? undefined : (await loadTransform(flags.transform)).transform;
  const { batchSize, maxDifferences, ignoreExtra, live, settle, targetWhere, threads, connectionTimeout } = flags;
  const targetQuery = targetWhere && targetQueryFrom(targetWhere);
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
            certificateFile: flags.certificate,
            options: {
              transform,
              ...conversionFrom(flags),
              batchSize,
              ...(maxDifferences !== undefined && { maxDifferences }),
              ...(ignoreExtra && { extras: "allow" }),
              ...{ targetQuery, threads, live, settle, certificate: flags.certificate !== undefined },
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
