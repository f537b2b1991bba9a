/** The report of a job over a database: a line for each collection as it ends, and one for all of them. */
import type { CollectionResult, DatabaseResult } from "@omni/p2p-core";
import { ExitCode } from "../exit-code.ts";
import { formatCount, formatDuration, records } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import { printable } from "../output/printable.ts";
import { explain } from "../session/explain.ts";
import type { TransferJob } from "./job.ts";

/** Tells how one collection ended. */
export function reportEnded(result: CollectionResult, out: Output): void {
  out.event({ event: "collection-result", ...told(result) });
  out.line(printable(lineOf(result)));
  if (result.error !== undefined && result.status !== "interrupted") {
    out.note(printable(`  ${explain(result.error).message}`));
  }
  for (const { id, phase, code, reason } of (result.result?.errors ?? []).slice(0, SHOWN_FAILURES)) {
    out.note(printable(`  ${id === "" ? "a record without id" : id} (${phase}, ${code}): ${reason}`));
  }
  if (result.result?.deadLetters !== undefined) {
    out.note(`  The records that failed are in ${result.result.deadLetters}`);
  }
  for (const note of result.result?.notes ?? []) out.note(printable(`  ${result.name}: ${note}`));
}

/** Failures shown of each collection; all of them are in its dead letters. */
const SHOWN_FAILURES = 3;

/**
 * Tells how the whole ended.
 *
 * @param goOn what to type to go on, and which of the notes were told before.
 */
export function reportDatabase(
  job: TransferJob,
  result: DatabaseResult,
  { goOn, toldNotes }: { readonly goOn: string; readonly toldNotes: ReadonlySet<string> },
  out: Output,
): ExitCode {
  const { status, collections, counts, durationMs, notes, transferId } = result;
  const isDone = status === "completed" || status === "different" || (status === "partial" && !hasFailed(result));
  out.event({
    event: "database-result",
    name: job.name,
    ...{ transferId, status, ...counts, durationMs, notes },
    collections: collections.map(told),
    ...(!isDone && { resume: goOn }),
  });
  for (const note of notes) if (!toldNotes.has(note)) out.note(printable(note));
  const number = (wanted: CollectionResult["status"]) => collections.filter((one) => one.status === wanted).length;
  const parts = (
    [
      ["finished", "done before"],
      ["partial", "in part"],
      ["different", "not the same"],
      ["failed", "failed"],
      ["interrupted", "not finished"],
    ] as const
  ).flatMap(([wanted, words]) => (number(wanted) > 0 ? [`${formatCount(number(wanted))} ${words}`] : []));
  const lost = counts.failureCount > 0 ? [`${records(counts.failureCount)} failed`] : [];
  out.line(
    [
      `Total: ${formatCount(collections.length)} ${collections.length === 1 ? "collection" : "collections"}, ` +
        `${records(counts.successCount)} written in ${formatDuration(durationMs)}`,
      ...parts,
      ...lost,
    ].join(", "),
  );
  for (const one of collections) {
    if (one.status === "failed")
      out.note(printable(`  failed: ${one.name}${one.error === undefined ? "" : ` (${one.error.code})`}`));
  }
  if (!isDone) out.note(`Go on with: ${goOn}`);
  return codeOf(result);
}

function hasFailed({ collections }: DatabaseResult): boolean {
  return collections.some(({ status }) => status === "failed" || status === "interrupted");
}

function codeOf({ status }: DatabaseResult): ExitCode {
  switch (status) {
    case "completed":
      return ExitCode.OK;
    case "partial":
      return ExitCode.PARTIAL;
    case "different":
      return ExitCode.DIFFERENT;
    case "failed":
    case "interrupted":
      return ExitCode.FAILED;
  }
}

function told({ name, targetName, transferId, status, counts, durationMs, result, verified, error }: CollectionResult) {
  const deletedCount = result?.deletedCount;
  return {
    ...{ name, target: targetName, transferId, status, ...counts },
    ...(deletedCount !== undefined && { deletedCount }),
    durationMs,
    ...(result !== undefined && { errors: result.errors }),
    ...(result?.deadLetters !== undefined && { deadLetters: result.deadLetters }),
    ...(verified && {
      verified: {
        equal: verified.equal,
        ...{ missing: verified.missing, extra: verified.extra, different: verified.different },
      },
    }),
    ...(error && { error: { code: error.code, message: explain(error).message } }),
  };
}

/** `orders: 1,234 records written in 0.8 s, the same on both sides` */
function lineOf({ name, targetName, status, counts, durationMs, result, verified }: CollectionResult): string {
  const head = name === targetName ? name : `${name} → ${targetName}`;
  if (status === "finished") return `${head}: done before`;
  const { successCount, failureCount, skippedCount } = counts;
  const deleted = result?.deletedCount;
  const parts = [
    `${records(successCount)} written in ${formatDuration(durationMs)}`,
    deleted !== undefined && `${formatCount(deleted)} deleted`,
    failureCount > 0 && `${formatCount(failureCount)} failed`,
    skippedCount > 0 && `${formatCount(skippedCount)} skipped`,
    verified !== undefined &&
      (verified.equal
        ? "the same on both sides"
        : `NOT THE SAME: ${formatCount(verified.missing)} missing, ${formatCount(verified.different)} different, ${formatCount(verified.extra)} extra`),
    status === "interrupted" && "stopped",
    status === "failed" && "FAILED",
  ].filter((part) => part !== false);
  return `${head}: ${parts.join(", ")}`;
}
