import { type Difference, P2PError, type P2PQuery, type VerifyOptions, type VerifyResult } from "@omni/p2p-core";
import type { ResolvedEndpoint } from "../endpoints/resolve.ts";
import { ExitCode } from "../exit-code.ts";
import { formatCount, formatDuration, records } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import { printable } from "../output/printable.ts";
import type { Reporter } from "../output/reporter.ts";
import type { Session } from "../session/session.ts";
import { writeCertificateFile } from "./certificate-file.ts";

/** A comparison that can be started, and what is compared. */
export interface Comparison {
  readonly source: ResolvedEndpoint;
  readonly target: ResolvedEndpoint;
  readonly query: P2PQuery;
  /** How it is to be done; the rest is added here. */
  readonly options: VerifyOptions;
  readonly compare: (options: VerifyOptions) => Promise<VerifyResult>;
  /** Where the certificate goes, if one is asked for. */
  readonly certificateFile?: string | undefined;
  /** After a transfer: whether what it had to bring is there, and not whether the two sides are the same. */
  readonly after?: {
    /** Records that it left alone in the target (`--mode skip`), and that may be others. */
    readonly leftAlone: number;
  };
}

/** Differences shown unless the user says otherwise. */
const SHOWN_DIFFERENCES = 20;

/** Characters of an id that are shown. */
const SHOWN_ID = 120;

/** Compares two sides and tells what was found. */
export async function runVerify(comparison: Comparison, session: Session, reporter: Reporter): Promise<ExitCode> {
  const { after, options, target } = comparison;
  const found = await comparison.compare({
    maxDifferences: SHOWN_DIFFERENCES,
    ...options,
    signal: session.signal,
    onProgress: (count, total, again) => reporter.verifying(count, total, again),
  });
  reporter.stop();
  if (found.targetAbsent && !after) throw new P2PError("SOURCE_NOT_FOUND", `There is nothing at ${target.shown}`);
  const kept = after !== undefined && found.different > 0 && found.different <= after.leftAlone;
  const result = kept && found.missing + found.failed + found.unreadable === 0 ? { ...found, equal: true } : found;
  await keepCertificate(comparison, result, session.out);
  report(comparison, result, session.out);
  if (result.failed + result.unreadable > 0) return ExitCode.PARTIAL;
  if (result.equal) return ExitCode.OK;
  const { missing, different, extra, unsettled } = result;
  const differs = missing + different + (options.extras === "allow" ? 0 : extra) > 0;
  return unsettled > 0 && !differs ? ExitCode.UNSETTLED : ExitCode.DIFFERENT;
}

/** Writes it before it is told that all is well. */
async function keepCertificate(
  { certificateFile }: Comparison,
  { certificate }: VerifyResult,
  out: Output,
): Promise<void> {
  if (certificateFile === undefined) return;
  if (certificate) {
    await writeCertificateFile(certificateFile, certificate);
    out.note(`The certificate is ${certificateFile}`);
  } else {
    out.note(
      `No certificate was written to ${certificateFile}: both sides must be equal, and nothing of them unsettled or unreadable, from the first look on`,
    );
  }
}

function report(comparison: Comparison, result: VerifyResult, out: Output): void {
  tell(comparison, result, out);
  // A transfer has told of its query itself.
  if (comparison.after === undefined) for (const note of result.notes ?? []) out.note(printable(note));
}

function tell({ source, target, after }: Comparison, result: VerifyResult, out: Output): void {
  const { certificate: _, ...told } = result;
  out.event({ event: "verify", source: source.shown, target: target.shown, ...told });
  const { missing, extra, different, failed, unreadable, unsettled, repeated } = result;
  const time = formatDuration(result.durationMs);
  if (result.equal) {
    const besides = extra > 0 ? `; the target holds ${formatCount(extra)} besides` : "";
    const kept = different > 0 ? `, but for ${formatCount(different)} that --mode skip left as they were` : "";
    out.line(`Verified: both sides hold the same ${records(result.sourceCount)}${kept}${besides} (${time})`);
    listDifferences(result, out);
    return;
  }
  const others = [
    failed > 0 && `, ${formatCount(failed)} failed in the transfer`,
    unsettled > 0 && `, ${formatCount(unsettled)} went on changing`,
    unreadable > 0 && `, ${formatCount(unreadable)} not compared since they could not be read`,
  ].filter((part) => part !== false);
  out.line(
    `Not the same: ${formatCount(missing)} missing in the target, ${formatCount(extra)} extra, ` +
      `${formatCount(different)} different${others.join("")}; the source has ${formatCount(result.sourceCount)}, ` +
      `the target ${formatCount(result.targetCount)} (${time})`,
  );
  if (after !== undefined && extra > 0) out.line("  (what is extra was not asked for, and is no difference here)");
  listDifferences(result, out);
  if (repeated.source > 0) {
    out.note(
      `${records(repeated.source)} of the source ${repeated.source === 1 ? "has an id" : "have ids"} that came before: ` +
        "the target keeps one of each id",
    );
  }
}

function listDifferences(result: VerifyResult, out: Output): void {
  const { differences, missing, extra, different, failed, unreadable, unsettled } = result;
  for (const difference of differences) for (const line of linesOf(difference)) out.line(`  ${line}`);
  const listsExtra = differences.some(({ kind }) => kind === "extra");
  const all = missing + different + failed + unreadable + unsettled + (listsExtra ? extra : 0);
  if (all > differences.length && differences.length > 0)
    out.line(`  and ${formatCount(all - differences.length)} more`);
}

/**
 * `different  doc-7  title: "A" → "B"`, and a line for each field more.
 *
 * @param intent of what is not only told but about to be done: its word, and the target's values come first, since they are to become
 * the source's.
 */
export function linesOf(
  { kind, id, fields = [], moreFields, side, reason, occurrences }: Difference,
  intent?: string,
): string[] {
  const named = id === "" ? "a record without id" : id.length > SHOWN_ID ? `${id.slice(0, SHOWN_ID)}…` : id;
  const head = `${(intent ?? kind).padEnd(10)} ${printable(named)}`;
  const details = [
    ...(reason === undefined ? [] : [`in the ${side}: ${reason}`]),
    ...(occurrences ? [`${occurrences.source} times in the source, ${occurrences.target} in the target`] : []),
    ...fields.map(({ field, source = "(absent)", target = "(absent)" }) =>
      intent === undefined ? `${field}: ${source} → ${target}` : `${field}: ${target} → ${source}`,
    ),
    ...(moreFields === undefined ? [] : [`and ${formatCount(moreFields)} fields more`]),
  ].map((detail) => printable(detail));
  const [first, ...rest] = details;
  return [first === undefined ? head : `${head}  ${first}`, ...rest.map((detail) => `    ${detail}`)];
}
