import { isP2PError } from "@omni/p2p-core";
import { allOf, type Clause, range } from "./clause.ts";
import { type DecodedHit, decodeHits, type Hit } from "./decode.ts";
import { MOST_HITS, type Page, PointInTime } from "./point-in-time.ts";
import type { OpenedQuery } from "./source-index.ts";

/**
 * A place in the order of changes: the number of a document's last change, which is counted in each shard, and the
 * document itself, since other shards have a change of that number too. It stays true until the document changes,
 * through merges and moves of shards and in every process.
 */
export interface ChangePosition {
  readonly change: number;
  readonly id: string;
  readonly index: string;
}

/** What is read in the order of changes. */
export interface ChangesRequest {
  readonly filter: Clause;
  /** The last document that was read. */
  readonly after?: ChangePosition | undefined;
  /** Names of the fields that are wanted; all when it is undefined. */
  readonly source?: readonly string[] | undefined;
  /** Documents in the first page, about; later ones follow from how large documents turn out to be. */
  readonly firstSize: number;
  /** Characters in a page, about. */
  readonly pageSize: number;
  /** Documents that can be of use, if no more than so many can. */
  readonly most?: number;
}

/** Documents in order. */
export interface DecodedPage {
  readonly hits: readonly DecodedHit[];
  /** Characters in the server's answer. */
  readonly size: number;
}

/** The position of a document. */
export function positionOf({ _seq_no, _id, _index }: Hit): ChangePosition {
  return { change: _seq_no!, id: _id, index: _index };
}

/**
 * Documents in the order of their last changes, page by page. A page is a range of change numbers, so it costs the same
 * wherever it is; within it the server gives documents in the order in which it has them, which is cheapest, and they
 * are sorted here. The next page is on its way while one is being used.
 */
export async function* readChanges(
  source: OpenedQuery,
  request: ChangesRequest,
  signal: AbortSignal,
): AsyncGenerator<DecodedPage> {
  signal.throwIfAborted();
  const view = new PointInTime(source.link, source.index, source.keepAliveMs);
  const inner = new AbortController();
  const abort = (): void => inner.abort(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    yield* walk(view, source, request, inner.signal);
  } finally {
    signal.removeEventListener("abort", abort);
    // A page that is still on its way is not waited for.
    inner.abort();
    view.close();
  }
}

/** A range of change numbers, and the documents in it. */
interface Stretch extends Page {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
  readonly hits: readonly Hit[];
}

async function* walk(
  view: PointInTime,
  { schema, link }: OpenedQuery,
  request: ChangesRequest,
  signal: AbortSignal,
): AsyncGenerator<DecodedPage> {
  const bounds = await boundsOf(view, request, signal);
  if (bounds === undefined) return;
  const [first, last] = bounds;
  let left = request.most ?? Infinity;
  const fetch = (from: number, width: number): Promise<Stretch> => {
    const stretch = fetchStretch(view, request, from, Math.min(from + width, last + 1), signal);
    // It is awaited in the next turn, if there is one.
    stretch.catch(() => {});
    return stretch;
  };
  let next = left > 0 && first <= last ? fetch(first, request.firstSize) : undefined;
  while (next !== undefined) {
    const { hits, text, answer, from, to } = await next;
    left -= hits.length;
    const width = nextWidth(request, to - from, hits.length, text.length, left);
    next = to > last || left <= 0 ? undefined : fetch(to, width);
    if (hits.length === 0) continue;
    const decoded = decodeHits(answer, text, schema, link.label).sort(byChange);
    // Only the first range can hold documents from before the position.
    const rest = from === request.after?.change ? decoded.filter(({ hit }) => isAfter(hit, request.after!)) : decoded;
    if (rest.length > 0) yield { hits: rest, size: text.length };
  }
}

/** The first and the last change that are of interest; `undefined` when there is none. */
async function boundsOf(
  view: PointInTime,
  { filter, after }: ChangesRequest,
  signal: AbortSignal,
): Promise<readonly [number, number] | undefined> {
  const end = async (order: "asc" | "desc"): Promise<number | undefined> => {
    const sort = [{ _seq_no: order }, { _shard_doc: "asc" }];
    const { answer } = await view.page({ filter, sort, size: 1, source: false }, signal);
    return answer.hits?.hits?.[0]?.sort[0] as number | undefined;
  };
  const [first, last] = await Promise.all([after?.change ?? end("asc"), end("desc")]);
  return first === undefined || last === undefined ? undefined : [first, last];
}

/** The documents of a range, or of the first part of it where they are too many or too large for one answer. */
async function fetchStretch(
  view: PointInTime,
  { filter, source }: ChangesRequest,
  from: number,
  upTo: number,
  signal: AbortSignal,
): Promise<Stretch> {
  for (let to = upTo; ; to = from + Math.ceil((to - from) / 8)) {
    const clause = allOf([filter, range("_seq_no", { gte: from, lt: to })]);
    try {
      const request = { filter: clause, sort: [{ _shard_doc: "asc" }], size: MOST_HITS, source, changes: true };
      const page = await view.page(request, signal);
      const hits = page.answer.hits?.hits ?? [];
      if (hits.length < page.asked || to - from === 1) return { ...page, from, to, hits };
    } catch (error) {
      if (!isP2PError(error, "RECORD_TOO_LARGE") || to - from === 1) throw error;
    }
  }
}

/** More documents than this in a page are of no use. */
const LARGEST_PAGE = 5000;

/** The width of a range that holds about as many documents as fill a page. */
function nextWidth(request: ChangesRequest, width: number, count: number, length: number, left: number): number {
  // Where nothing is, or nothing that matches, the steps get longer quickly.
  if (count === 0) return width * 8;
  const fitting = request.pageSize / (length / count);
  // Documents further on may be larger, so a page is not made much larger than what was seen.
  const wanted = Math.min(fitting, LARGEST_PAGE, left, Math.max(count * 4, request.firstSize));
  return Math.max(1, Math.floor((wanted * width) / count));
}

function isAfter(hit: Hit, after: ChangePosition): boolean {
  return compare(positionOf(hit), after) > 0;
}

function byChange(a: DecodedHit, b: DecodedHit): number {
  return a.hit._seq_no! - b.hit._seq_no! || compare(positionOf(a.hit), positionOf(b.hit));
}

function compare(a: ChangePosition, b: ChangePosition): number {
  if (a.change !== b.change) return a.change - b.change;
  if (a.id !== b.id) return a.id < b.id ? -1 : 1;
  return a.index === b.index ? 0 : a.index < b.index ? -1 : 1;
}
