import { P2PError, type P2PId, type WriteFailure, type WriteMode } from "@omni/p2p-core";
import { recordError } from "./errors.ts";
import { type Link, reasonOf } from "./link.ts";
import type { ServerReason } from "./verdicts.ts";

/** A record as two lines of a bulk request. */
export interface BulkLine {
  /** Its place in the batch. */
  readonly index: number;
  readonly id: P2PId;
  readonly key: string;
  readonly text: string;
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
  readonly failures: readonly WriteFailure[];
}

interface BulkAnswer {
  readonly errors?: boolean;
  readonly items?: readonly Readonly<Record<string, BulkItem>>[];
}

interface BulkItem {
  readonly status: number;
  readonly error?: Parameters<typeof reasonOf>[0];
}

// The server tells more about each document than about the documents themselves, unless it is asked not to.
const WANTED =
  "errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason,items.*.error.caused_by.caused_by.reason";

/** The line that says what to do with the document on the next one. */
export function actionLine(key: string, mode: WriteMode): string {
  return `{"${mode === "upsert" ? "index" : "create"}":{"_id":${JSON.stringify(key)}}}\n`;
}

/** Sends lines in one request. */
export async function sendBulk(
  { link, index, query }: BulkTarget,
  lines: readonly BulkLine[],
  mode: WriteMode,
  signal: AbortSignal,
): Promise<BulkResult> {
  const answer = await link.json<BulkAnswer>(
    {
      method: "POST",
      path: `/${encodeURIComponent(index)}/_bulk`,
      query: { ...query, filter_path: WANTED },
      body: lines.map(({ text }) => text).join(""),
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
  return answer.errors === false
    ? { written: lines.length, skipped: 0, failures: [] }
    : sift(lines, items, mode, link.label);
}

function sift(
  lines: readonly BulkLine[],
  items: NonNullable<BulkAnswer["items"]>,
  mode: WriteMode,
  label: string,
): BulkResult {
  let written = 0;
  let skipped = 0;
  const failures: WriteFailure[] = [];
  for (const [i, item] of items.entries()) {
    const { index, id, key } = lines[i]!;
    const { status, error } = Object.values(item)[0]!;
    const cause = reasonOf(error);
    if (error === undefined && status < 400) written++;
    else if (mode !== "upsert" && isConflict(status, cause)) {
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
