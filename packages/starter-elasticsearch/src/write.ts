import {
  idKey,
  isP2PError,
  P2PError,
  type P2PRecord,
  toP2PError,
  type WriteFailure,
  type WriteOptions,
  type WriteResult,
} from "@omni/p2p-core";
import { actionLine, type BulkLine, type BulkTarget, sendBulk } from "./bulk.ts";
import type { TargetIndex } from "./target-index.ts";

/** The index that is written to. */
export interface WriteTarget extends BulkTarget {
  readonly fields: TargetIndex;
  /** Size at which a batch is cut, in bytes. */
  readonly bulkBytes: number;
  /** The largest request that the server takes, in bytes. */
  readonly requestBytes: number;
}

/** Elasticsearch's own limit of the length of an id, in bytes. */
const LONGEST_ID = 512;

interface Tally {
  written: number;
  skipped: number;
  bytes: number;
  readonly failures: WriteFailure[];
}

/** Writes the records in as few bulk requests as their size allows, one after the other. */
export async function writeRecords(
  target: WriteTarget,
  records: readonly P2PRecord[],
  { mode, signal }: WriteOptions,
): Promise<WriteResult> {
  signal.throwIfAborted();
  const tally: Tally = { written: 0, skipped: 0, bytes: 0, failures: [] };
  const encoder = await target.fields.prepare(records, signal);
  let lines: BulkLine[] = [];
  let bytes = 0;
  let sidecarReady = false;
  for (const [index, record] of records.entries()) {
    const key = idKey(record.id);
    const { source, sidecar } = encoder.encode(record, key);
    if (sidecar && !sidecarReady) {
      await target.fields.prepareSidecar(signal);
      sidecarReady = true;
    }
    const text = `${actionLine(key, mode)}${source}\n`;
    const line: BulkLine = { index, id: record.id, key, text, bytes: Buffer.byteLength(text) };
    const trouble = sizeTrouble(line, target);
    if (trouble !== undefined) {
      tally.failures.push({ index, id: record.id, error: trouble });
      continue;
    }
    if (lines.length > 0 && bytes + line.bytes > target.bulkBytes) {
      await send(target, lines, tally, { mode, signal });
      lines = [];
      bytes = 0;
    }
    lines.push(line);
    bytes += line.bytes;
  }
  if (lines.length > 0) await send(target, lines, tally, { mode, signal });
  tally.failures.sort((a, b) => a.index - b.index);
  return tally;
}

function sizeTrouble({ key, bytes }: BulkLine, { link, requestBytes }: WriteTarget): P2PError | undefined {
  const idBytes = key.length * 3 > LONGEST_ID ? Buffer.byteLength(key) : 0;
  if (idBytes > LONGEST_ID) {
    const what = `The id ${JSON.stringify(key.slice(0, 40))}… has ${idBytes} bytes, and ids in ${link.label} have ${LONGEST_ID} at most`;
    return new P2PError("RECORD_TOO_LARGE", `${what}; give it a shorter one with a transform`);
  }
  if (bytes <= requestBytes) return undefined;
  const what = `The record ${JSON.stringify(key)} has ${bytes} bytes, and ${link.label} takes ${requestBytes} in a request`;
  return new P2PError(
    "RECORD_TOO_LARGE",
    `${what}; leave something out with a transform, or raise http.max_content_length`,
  );
}

/** Sends lines, in halves where the server takes less at once than it says. */
async function send(
  target: WriteTarget,
  lines: readonly BulkLine[],
  tally: Tally,
  options: WriteOptions,
): Promise<void> {
  try {
    const result = await sendBulk(target, lines, options.mode, options.signal);
    tally.written += result.written;
    tally.skipped += result.skipped;
    tally.failures.push(...result.failures);
    tally.bytes += lines.reduce((sum, line) => sum + line.bytes, 0);
  } catch (error) {
    if (isP2PError(error, "RECORD_TOO_LARGE")) return sendHalves(target, lines, tally, options, error);
    options.signal.throwIfAborted();
    // What was written before counts, so the rest of the batch fails record by record.
    if (tally.written + tally.skipped === 0) throw error;
    const cause = toP2PError(error, "WRITE_FAILED", `${target.link.label} failed`);
    for (const { index, id } of lines) tally.failures.push({ index, id, error: cause });
  }
}

async function sendHalves(
  target: WriteTarget,
  lines: readonly BulkLine[],
  tally: Tally,
  options: WriteOptions,
  error: P2PError,
): Promise<void> {
  const [only] = lines;
  if (lines.length === 1) {
    tally.failures.push({ index: only!.index, id: only!.id, error });
    return;
  }
  const middle = lines.length >> 1;
  await send(target, lines.slice(0, middle), tally, options);
  await send(target, lines.slice(middle), tally, options);
}
