import {
  isP2PError,
  P2PError,
  type P2PId,
  toP2PError,
  type WriteFailure,
  type WriteOptions,
  type WriteResult,
} from "@omni/p2p-core/starter";
import { type BulkLine, type BulkTarget, bulkBytes, sendBulk } from "./bulk.ts";
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

/** The documents of one batch, sent in as few bulk requests as their size allows, one after the other. */
export class BulkRun {
  readonly #target: WriteTarget;
  readonly #options: WriteOptions;
  readonly #tally: Tally = { written: 0, skipped: 0, bytes: 0, failures: [] };
  #lines: BulkLine[] = [];
  #bytes = 0;

  constructor(target: WriteTarget, options: WriteOptions) {
    this.#target = target;
    this.#options = options;
  }

  /** Takes a document. When it returns a promise, wait for it before adding another one. */
  add(index: number, id: P2PId | undefined, key: string, source: string): Promise<void> | undefined {
    const line: BulkLine = { index, id, key, source, bytes: bulkBytes(key, source) };
    const trouble = sizeTrouble(line, this.#target);
    if (trouble !== undefined) {
      this.#tally.failures.push({ index, id, error: trouble });
      return undefined;
    }
    const full = this.#lines.length > 0 && this.#bytes + line.bytes > this.#target.bulkBytes;
    const sent = full ? this.#flush() : undefined;
    this.#lines.push(line);
    this.#bytes += line.bytes;
    return sent;
  }

  /** Takes note of a document that is not sent. */
  refuse(failure: WriteFailure): void {
    this.#tally.failures.push(failure);
  }

  /** Sends what is left. */
  async end(): Promise<WriteResult> {
    if (this.#lines.length > 0) await this.#flush();
    this.#tally.failures.sort((a, b) => a.index - b.index);
    return this.#tally;
  }

  #flush(): Promise<void> {
    const lines = this.#lines;
    this.#lines = [];
    this.#bytes = 0;
    return send(this.#target, lines, this.#tally, this.#options);
  }
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
    tally.bytes += result.bytes;
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
