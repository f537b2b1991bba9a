import { isP2PError, P2PError } from "@omni/p2p-core/starter";
import { deletionError } from "../client/errors.ts";
import { type Link, reasonOf } from "../client/link.ts";
import { BULK_OUTCOMES, type BulkAnswer, type BulkItem } from "./bulk.ts";

/** A document that is to be deleted. */
export interface Deletion {
  readonly key: string;
  /** The index, or the name by which it may be written to. */
  readonly index: string;
  readonly routing: string | undefined;
  /** Its last change, where it is to stay if there was another one since. */
  readonly unchanged?: { readonly change: number; readonly term: number };
}

/** What became of a document. */
export type DeletionOutcome = "deleted" | "absent" | "changed" | P2PError;

/** How deletions are sent. */
export interface DeletionTarget {
  readonly link: Link;
  readonly query: Readonly<Record<string, string>>;
  /** Size at which they are cut into several requests, in bytes. */
  readonly bulkBytes: number;
}

/** Deletes documents in as few bulk requests as their size allows, one after the other. */
export async function deleteDocuments(
  target: DeletionTarget,
  deletions: readonly Deletion[],
  signal: AbortSignal,
): Promise<readonly DeletionOutcome[]> {
  const outcomes: DeletionOutcome[] = [];
  let [start, bytes] = [0, 0];
  for (const [i, { key, routing = "" }] of deletions.entries()) {
    const size = (key.length + routing.length) * 6 + 400;
    if (i > start && bytes + size > target.bulkBytes) {
      outcomes.push(...(await send(target, deletions.slice(start, i), signal)));
      [start, bytes] = [i, 0];
    }
    bytes += size;
  }
  if (start < deletions.length) outcomes.push(...(await send(target, deletions.slice(start), signal)));
  return outcomes;
}

/** Sends deletions, in halves where the server takes less at once than it says. */
async function send(
  target: DeletionTarget,
  deletions: readonly Deletion[],
  signal: AbortSignal,
): Promise<readonly DeletionOutcome[]> {
  try {
    return await sendOnce(target, deletions, signal);
  } catch (error) {
    if (!isP2PError(error, "RECORD_TOO_LARGE") || deletions.length === 1) throw error;
    const middle = deletions.length >> 1;
    const first = await send(target, deletions.slice(0, middle), signal);
    return [...first, ...(await send(target, deletions.slice(middle), signal))];
  }
}

async function sendOnce(
  { link, query }: DeletionTarget,
  deletions: readonly Deletion[],
  signal: AbortSignal,
): Promise<DeletionOutcome[]> {
  const names = new Set(deletions.map(({ index }) => index));
  // A cluster may take no names of indices within requests.
  const [only] = names.size === 1 ? names : [];
  const lines = deletions.map(({ key, index, routing, unchanged }) => {
    const place = {
      _id: key,
      ...(only === undefined ? { _index: index } : {}),
      ...(routing === undefined ? {} : { routing }),
    };
    const guard = unchanged && { if_seq_no: unchanged.change, if_primary_term: unchanged.term };
    return `${JSON.stringify({ delete: { ...place, ...guard } })}\n`;
  });
  const answer = await link.json<BulkAnswer>(
    {
      method: "POST",
      path: only === undefined ? "/_bulk" : `/${encodeURIComponent(only)}/_bulk`,
      query: { ...query, filter_path: BULK_OUTCOMES },
      body: lines.join(""),
      lines: true,
    },
    "write",
    signal,
  );
  const items = answer.items ?? [];
  if (items.length !== deletions.length) {
    const what = `${link.label} told of ${items.length} documents when ${deletions.length} were deleted`;
    throw new P2PError("WRITE_FAILED", `${what}; is there a proxy that changes answers?`);
  }
  return items.map((item, i) => outcomeOf(deletions[i]!, Object.values(item)[0]!, link.label));
}

function outcomeOf({ key }: Deletion, { status, result, error }: BulkItem, label: string): DeletionOutcome {
  const cause = reasonOf(error);
  if (error === undefined && status < 400) return result === "not_found" ? "absent" : "deleted";
  // An index that is gone took its documents along.
  if (status === 404 && (cause === undefined || cause.type === "index_not_found_exception")) return "absent";
  if (status === 409 && (cause === undefined || cause.type === "version_conflict_engine_exception")) return "changed";
  return deletionError(key, { status, cause, retryAfterMs: undefined, genuine: true }, label);
}
