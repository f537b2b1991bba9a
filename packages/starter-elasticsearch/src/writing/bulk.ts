/** Bulk requests: serialises them, and tells what became of each line. */
import { P2PError, type P2PId, type WriteFailure, type WriteMode } from "@omni/p2p-core/starter";
import { recordError } from "../client/errors.ts";
import { type Link, reasonOf } from "../client/link.ts";
import type { ServerReason } from "../client/verdicts.ts";

/** A document of a bulk request. */
export interface BulkLine {
  /** Its place in the batch. */
  readonly index: number;
  readonly id: P2PId | undefined;
  readonly key: string;
  /** The document, as JSON without line breaks. */
  readonly source: string;
  /** Bytes in the request, at most. */
  readonly bytes: number;
}

/** How bulk requests are made. */
export interface BulkTarget {
  readonly link: Link;
  readonly index: string;
  readonly query: Readonly<Record<string, string>>;
}

/** What became of the lines of one request. */
export interface BulkResult {
  readonly written: number;
  readonly skipped: number;
  /** Bytes sent. */
  readonly bytes: number;
  readonly failures: readonly WriteFailure[];
}

/** The answer to a bulk request, with nothing but the outcomes. */
export interface BulkAnswer {
  readonly errors?: boolean;
  readonly items?: readonly Readonly<Record<string, BulkItem>>[];
}

/** What became of a line. */
export interface BulkItem {
  readonly status: number;
  /** `noop` where an ingest pipeline dropped the document. */
  readonly result?: string;
  readonly error?: Parameters<typeof reasonOf>[0];
}

/** What is asked of the outcomes: the server tells more about each document than about the documents, unless told not to. */
export const BULK_OUTCOMES =
  "errors,items.*.status,items.*.result,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason,items.*.error.caused_by.caused_by.reason";

/** The most bytes that a document takes in a request, with the line that says what to do with it. */
export function bulkBytes(key: string, source: string): number {
  // The source is counted, and the rest of it, which is short, is only estimated: a character of the key may be escaped.
  return Buffer.byteLength(source) + key.length * 6 + 32;
}

/** Each document after a line that says what to do with it. It is made bytes here, once, and not by the client. */
function bulkBody(lines: readonly BulkLine[], mode: WriteMode): Buffer {
  const action = `{"${mode === "upsert" ? "index" : "create"}":{"_id":`;
  const pairs = lines.map(({ key, source }) => `${action}${JSON.stringify(key)}}}\n${source}\n`);
  return Buffer.from(pairs.join(""));
}

/** Sends lines in one request. */
export async function sendBulk(
  { link, index, query }: BulkTarget,
  lines: readonly BulkLine[],
  mode: WriteMode,
  signal: AbortSignal,
): Promise<BulkResult> {
  const body = bulkBody(lines, mode);
  const answer = await link.json<BulkAnswer>(
    {
      method: "POST",
      path: `/${encodeURIComponent(index)}/_bulk`,
      query: { ...query, filter_path: BULK_OUTCOMES },
      body,
      lines: true,
      repeatable: mode === "upsert",
    },
    "write",
    signal,
  );
  const items = answer.items ?? [];
  if (items.length !== lines.length) {
    const what = `${link.label} told of ${items.length} documents when ${lines.length} were written`;
    throw new P2PError("WRITE_FAILED", `${what}; is there a proxy that changes answers?`);
  }
  return answer.errors === false && !items.some((item) => Object.values(item)[0]!.result === "noop")
    ? { written: lines.length, skipped: 0, bytes: body.length, failures: [] }
    : { ...sift(lines, items, mode, link.label), bytes: body.length };
}

function sift(
  lines: readonly BulkLine[],
  items: NonNullable<BulkAnswer["items"]>,
  mode: WriteMode,
  label: string,
): Omit<BulkResult, "bytes"> {
  let written = 0;
  let skipped = 0;
  const failures: WriteFailure[] = [];
  for (const [i, item] of items.entries()) {
    const { index, id, key } = lines[i]!;
    const { status, error, result } = Object.values(item)[0]!;
    const cause = reasonOf(error);
    if (error === undefined && status < 400) {
      if (result === "noop") skipped++;
      else written++;
    } else if (mode !== "upsert" && isConflict(status, cause)) {
      if (mode === "skip") skipped++;
      else failures.push({ index, id, error: duplicate(key, label) });
    } else {
      const refusal = { status, cause, retryAfterMs: undefined, genuine: true };
      failures.push({ index, id, error: recordError(key, refusal, label) });
    }
  }
  return { written, skipped, failures };
}

function isConflict(status: number, cause: ServerReason | undefined): boolean {
  return status === 409 && (cause === undefined || cause.type === "version_conflict_engine_exception");
}

function duplicate(key: string, label: string): P2PError {
  return new P2PError("DUPLICATE_ID", `The id ${JSON.stringify(key)} is in ${label} already`);
}
