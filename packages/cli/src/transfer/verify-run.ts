import type { P2PQuery, VerifyOptions, VerifyResult } from "@omni/p2p-core";
import type { ResolvedEndpoint } from "../endpoints/resolve.ts";
import { ExitCode } from "../exit-code.ts";
import { formatCount, formatDuration, records } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import { printable } from "../output/printable.ts";
import type { Reporter } from "../output/reporter.ts";
import type { Session } from "../session.ts";

/** A comparison that can be started, and what is compared. */
export interface Comparison {
  readonly source: ResolvedEndpoint;
  readonly target: ResolvedEndpoint;
  readonly query: P2PQuery;
  /** How it is to be done; the rest is added here. */
  readonly options: VerifyOptions;
  readonly compare: (options: VerifyOptions) => Promise<VerifyResult>;
}

/** Differences shown unless the user says otherwise. */
const SHOWN_DIFFERENCES = 20;

/** Compares two sides and tells what was found. */
export async function runVerify(comparison: Comparison, session: Session, reporter: Reporter): Promise<ExitCode> {
  const result = await comparison.compare({
    maxDifferences: SHOWN_DIFFERENCES,
    ...comparison.options,
    targetQuery: targetQuery(comparison.query, comparison.options.transform !== undefined),
    signal: session.signal,
    onProgress: (count) => reporter.verifying(count),
  });
  reporter.stop();
  report(comparison, result, session.out);
  return result.equal ? ExitCode.OK : ExitCode.DIFFERENT;
}

/**
 * What to read of the target: what the query selects, as far as the target can know it. A condition on a field that
 * was not copied, or that a transform may have changed, would find nothing there; neither would another store's query.
 */
function targetQuery({ type, where = {}, fields, native }: P2PQuery, transformed: boolean): P2PQuery {
  if (transformed) return {};
  const conditions = [...Object.keys(where), ...(type === undefined ? [] : ["type"])];
  const known = conditions.every((field) => field === "id" || fields === undefined || fields.includes(field));
  return {
    ...(fields && { fields }),
    ...(known && native === undefined && { where, ...(type !== undefined && { type }) }),
  };
}

function report({ source, target }: Comparison, result: VerifyResult, out: Output): void {
  out.event({ event: "verify", source: source.shown, target: target.shown, ...result });
  const time = formatDuration(result.durationMs);
  if (result.equal) {
    out.line(`Verified: both sides hold the same ${records(result.sourceCount)} (${time})`);
    return;
  }
  out.line(
    `Not the same: ${formatCount(result.missing)} missing in the target, ${formatCount(result.extra)} extra, ` +
      `${formatCount(result.different)} different; the source has ${formatCount(result.sourceCount)}, ` +
      `the target ${formatCount(result.targetCount)} (${time})`,
  );
  for (const { kind, id } of result.differences) out.line(`  ${kind.padEnd(9)}  ${printable(id)}`);
  const more = result.missing + result.extra + result.different - result.differences.length;
  if (more > 0 && result.differences.length > 0) out.line(`  and ${formatCount(more)} more`);
}
