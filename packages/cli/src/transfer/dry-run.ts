import { isP2PError, type P2PRecord, type P2PValue } from "@omni/p2p-core";
import { countOf, FieldWatch, parseConfig, previewTransfer } from "@omni/p2p-core/engine";
import { type DescribeContext, encodeJson, type FieldMapping } from "@omni/p2p-core/starter";
import { completedTarget, openContext, withinTime, withStore } from "../endpoints/open.ts";
import type { ResolvedEndpoint } from "../endpoints/resolve.ts";
import { ExitCode } from "../exit-code.ts";
import type { DryRunEvent } from "../output/events.ts";
import { formatCount, records as recordsText } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import { printable } from "../output/printable.ts";
import { formatTable } from "../output/table.ts";
import { sampledFields } from "../sampling/fields.ts";
import { takeSample } from "../sampling/sample.ts";
import type { Session } from "../session/session.ts";
import { assertJob } from "./assert-job.ts";
import type { TransferJob } from "./job.ts";

/** Records that a dry run reads unless the user says otherwise. */
const SAMPLE = 100;

/** Reads a sample and tells what the target would make of it. Writes nothing, and makes nothing in the target. */
export async function dryRun(
  job: TransferJob,
  session: Session,
  {
    sample: size = SAMPLE,
    timeoutMs,
  }: { readonly sample?: number | undefined; readonly timeoutMs?: number | undefined },
): Promise<ExitCode> {
  assertJob(job);
  const { signal } = session;
  const { query } = job;
  const transform = job.transform?.transform;
  const { as, recognise, misfits } = parseConfig(job.config);
  const context = openContext("source", session, timeoutMs);
  const { total, sampled, preview, notes } = await withStore(job.source, context, async (store) => {
    const sample = await takeSample(store, query, size, signal);
    const watch = new FieldWatch(query);
    watch.look(sample.records, sample.failures.length);
    return {
      sampled: sample.records.length + sample.failures.length,
      total: await countOf(store, query, signal),
      notes: await watch.notes(store, signal),
      preview: await previewTransfer(store, query, sample, { transform, as, recognise, misfits }, signal),
    };
  });
  const { records, dropped, failures, schema, converted } = preview;
  const target = await completedTarget(job.target, job.source, session, timeoutMs);
  await assertReachable(target, session, timeoutMs);
  const mapping = await describeMapping(target, records, { ...openContext("target", session, timeoutMs), schema });
  const event: DryRunEvent = {
    event: "dry-run",
    name: job.name,
    source: job.source.shown,
    target: target.shown,
    ...(total !== undefined && { total }),
    sampled,
    dropped,
    refused: failures.map(({ id, error }) => ({ id, reason: error.message })),
    ...mapping,
    ...(converted.length > 0 && {
      converted: converted.map(({ field, before, after }) => ({ field, before: shown(before), after: shown(after) })),
    }),
    ...(notes.length + preview.notes.length > 0 && { notes: [...notes, ...preview.notes] }),
  };
  session.out.event(event);
  show(event, session.out);
  const whole = event.refused.length === 0 && event.fields.every(({ lossless }) => lossless);
  return whole ? ExitCode.OK : ExitCode.PARTIAL;
}

/** Characters of a converted value that are shown. */
const SHOWN_VALUE = 60;

function shown(value: P2PValue): string {
  const text = value instanceof Date ? `date ${value.toISOString()}` : encodeJson(value);
  return text.length > SHOWN_VALUE ? `${text.slice(0, SHOWN_VALUE)}…` : text;
}

/** Opens the target for reading, since that makes nothing: whether it can be reached is part of the answer. */
async function assertReachable(
  target: ResolvedEndpoint,
  session: Session,
  timeoutMs: number | undefined,
): Promise<void> {
  try {
    await withStore(target, openContext("source", session, timeoutMs), (store) => store.ping(session.signal));
  } catch (error) {
    // What is not there yet is made by the copy; what a source must name, a target need not.
    if (!isP2PError(error, "SOURCE_NOT_FOUND") && !isP2PError(error, "INVALID_ENDPOINT")) throw error;
  }
}

/** Asks the target's starter, or else goes by what the target says of value types, if it is there. */
async function describeMapping(
  target: ResolvedEndpoint,
  records: readonly P2PRecord[],
  context: DescribeContext,
): Promise<Pick<DryRunEvent, "mappedBy" | "fields">> {
  const { starter, endpoint } = target;
  if (starter.describeMapping) {
    const fields = await withinTime(target, context, () => starter.describeMapping!(endpoint, records, context));
    return { mappedBy: "starter", fields };
  }
  const fields = sampledFields(records);
  try {
    // Opened as a source, so that nothing is made by a look.
    const reading = { ...context, role: "source" } as const;
    const { valueTypes } = await withStore(target, reading, async ({ capabilities }) => capabilities);
    return {
      mappedBy: "capabilities",
      fields: fields.map(({ field, types }) => byCapability(field, types, valueTypes)),
    };
  } catch (error) {
    if (!isP2PError(error, "SOURCE_NOT_FOUND")) throw error;
    return {
      mappedBy: "unknown",
      fields: fields.map(({ field, types }) => ({
        field,
        types,
        storedAs: "not known before it exists",
        lossless: true,
      })),
    };
  }
}

function byCapability(
  field: string,
  types: FieldMapping["types"],
  support: Readonly<Record<FieldMapping["types"][number], "native" | "tagged" | "unsupported">>,
): FieldMapping {
  const lost = types.filter((type) => support[type] === "unsupported");
  return {
    field,
    types,
    storedAs: [...new Set(types.map((type) => support[type]))].join(", "),
    lossless: lost.length === 0,
    ...(lost.length > 0 && {
      note: `${lost.join(" and ")} cannot be kept; make something else of it with --transform`,
    }),
  };
}

function show(event: DryRunEvent, out: Output): void {
  const of = event.total === undefined ? "" : ` of ${formatCount(event.total)}`;
  out.line(`Dry run: ${event.source} → ${event.target}`);
  out.line(`${recordsText(event.sampled)}${of} read as a sample; nothing is written.`);
  if (event.dropped > 0) out.line(`The transform drops ${formatCount(event.dropped)} of them.`);
  if (event.fields.length > 0) {
    const rows = event.fields.map(({ field, types, storedAs, lossless, note }) => [
      field,
      types.join(", "),
      storedAs,
      event.mappedBy === "unknown" ? "?" : lossless ? "yes" : "NO",
      note ?? "",
    ]);
    for (const line of formatTable(["FIELD", "HOLDS", "STORED AS", "COMES BACK EQUAL", ""], rows))
      out.line(`  ${line}`);
  }
  for (const { field, before, after } of event.converted ?? []) {
    out.line(printable(`  ${field}: ${before} → ${after}`));
  }
  const lost = event.fields.filter(({ lossless }) => !lossless);
  if (lost.length > 0) out.line(`Would not survive: ${printable(lost.map(({ field }) => field).join(", "))}`);
  for (const { id, reason } of event.refused.slice(0, 5)) out.line(printable(`Would fail: ${id}: ${reason}`));
  if (event.refused.length > 5) out.line(`and ${formatCount(event.refused.length - 5)} more of the sample would fail`);
  for (const note of event.notes ?? []) out.note(printable(note));
}
