import { setTimeout as sleep } from "node:timers/promises";
import type { DistributedResult, DistributedTransfer, TransferStatus, VerifySummary } from "@omni/p2p-engine-bullmq";
import { ExitCode } from "../exit-code.ts";
import { createReporter } from "../output/create-reporter.ts";
import { formatCount, formatDuration, records } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import { printable } from "../output/printable.ts";
import type { Reporter } from "../output/reporter.ts";
import type { Session } from "../session/session.ts";
import { tellSupervisor } from "../supervision/channel.ts";

/** Failures shown on the screen. */
const SHOWN_FAILURES = 5;

/** Watches a distributed transfer to its end, with one progress for the whole. Ctrl-C ends the watching alone. */
export async function watchTransfer(
  client: DistributedTransfer,
  id: string,
  session: Session,
  progressInterval: number | undefined,
): Promise<ExitCode> {
  const { out, interrupts } = session;
  const reporter = await createReporter(out, progressInterval);
  const status = await client.status(id);
  const { source, target } = status;
  reporter.start({ name: "distributed", transferId: id, source: { shown: source }, target: { shown: target } }, false);
  interrupts.onFirst = () => out.note("The workers go on.");
  tellSupervisor({ kind: "way", text: `omni-p2p transfers watch ${id}` });
  try {
    const last = await watch(client, id, session, reporter);
    reporter.stop();
    return ending(last, out);
  } catch (error) {
    if (interrupts.exitCode === undefined) throw error;
    out.note(`Watch it: omni-p2p transfers watch ${id}`);
    out.note(`End it:   omni-p2p transfers cancel ${id}`);
    return interrupts.exitCode;
  } finally {
    interrupts.onFirst = undefined;
    reporter.stop();
  }
}

async function watch(
  client: DistributedTransfer,
  id: string,
  { signal, out }: Session,
  reporter: Reporter,
): Promise<TransferStatus> {
  const startedAt = performance.now();
  const samples: { readonly at: number; readonly records: number }[] = [];
  let last: TransferStatus | undefined;
  for await (const status of client.watch(id, { interval: Math.min(reporter.interval, 1000), signal })) {
    if (status.hint !== undefined && status.hint !== last?.hint) out.note(`Waiting: ${printable(status.hint)}`);
    last = status;
    samples.push({ at: performance.now(), records: status.records });
    if (samples.length > 20) samples.shift();
    const [first, now] = [samples[0]!, samples.at(-1)!];
    const rate = now.at > first.at ? ((now.records - first.records) * 1000) / (now.at - first.at) : 0;
    const { total } = status;
    reporter.progress({
      transferId: id,
      records: status.records,
      failures: status.failures,
      rate,
      elapsedMs: performance.now() - startedAt,
      ...(total !== undefined && { total }),
      ...(total !== undefined && rate > 0 && { etaMs: (Math.max(0, total - status.records) * 1000) / rate }),
    });
  }
  signal.throwIfAborted();
  await sleep(0);
  return last!;
}

/** Tells how it ended. */
function ending({ id, state, error, result }: TransferStatus, out: Output): ExitCode {
  if (state === "completed" && result) return reportResult(result, out);
  if (state === "cancelled") {
    out.line(`${id} was cancelled`);
    return ExitCode.FAILED;
  }
  out.error({
    code: error?.code ?? "UNEXPECTED",
    message: error?.message ?? `${id} is ${state}`,
    next: `omni-p2p transfers resume ${id}`,
  });
  return ExitCode.FAILED;
}

function reportResult(result: DistributedResult, out: Output): ExitCode {
  const { transferId, successCount, failureCount, skippedCount, durationMs, partitions, verified, notes } = result;
  const { recordsRead: _, partitions: __, notes: ___, verified: ____, ...told } = result;
  const status = failureCount > 0 ? "partial" : "completed";
  out.event({ event: "result", name: "distributed", status, ...told, ...(notes.length > 0 && { notes }) });
  const rate = durationMs > 0 ? (successCount * 1000) / durationMs : 0;
  const others = [
    failureCount > 0 && `${formatCount(failureCount)} failed`,
    skippedCount > 0 && `${formatCount(skippedCount)} skipped`,
  ].filter((part) => part !== false);
  const text = `${records(successCount)} written in ${formatDuration(durationMs)} (${formatCount(rate)}/s) in ${partitions} partitions`;
  out.line([text, ...others].join(", "));
  for (const note of notes) out.note(printable(note));
  for (const { id, phase, code, reason } of result.errors.slice(0, SHOWN_FAILURES)) {
    out.note(printable(`  ${id === "" ? "a record without id" : id} (${phase}, ${code}): ${reason}`));
  }
  if (failureCount > 0) out.note(`All of them: omni-p2p transfers failed ${transferId}`);
  if (verified) {
    for (const line of verified.unchecked ?? []) out.note(printable(`${line}.`));
    if (verified.equal) out.line(verifiedText(verified));
    else {
      out.line(`Not the same (${verified.kind}): ${heldText(result, verified)}`);
      return ExitCode.DIFFERENT;
    }
  }
  return failureCount > 0 ? ExitCode.PARTIAL : ExitCode.OK;
}

/** What was looked at, and no more than that. */
function verifiedText({ kind, sourceCount, targetCount, targetBefore = 0 }: VerifySummary): string {
  if (sourceCount === undefined && targetCount === undefined)
    return `Not verified (${kind}): neither side can be counted`;
  if (targetCount === undefined) return `Only the source was counted: ${records(sourceCount!)}, all of them read`;
  const target = `${records(targetCount)} in the target${targetBefore > 0 ? `, ${formatCount(targetBefore)} of them from before` : ""}`;
  if (sourceCount === undefined) return `Only the target was counted: ${target}`;
  return `Verified (${kind}): ${records(sourceCount)} in the source, ${target}`;
}

function heldText(
  { recordsRead, successCount }: DistributedResult,
  { kind, sourceCount, targetCount, targetBefore }: VerifySummary,
): string {
  const there = (count: number | undefined) => (count === undefined ? "an unknown number" : formatCount(count));
  if (kind === "full") return `the source has ${there(sourceCount)}, the target ${there(targetCount)}`;
  const before = targetBefore === undefined ? "" : `, where ${formatCount(targetBefore)} were before`;
  return `the source has ${there(sourceCount)} and ${formatCount(recordsRead)} were read; ${formatCount(successCount)} were written, and the target has ${there(targetCount)}${before}`;
}
