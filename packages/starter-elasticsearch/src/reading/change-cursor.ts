import { isP2PError } from "@omni/p2p-core/starter";
import { unnumberedError } from "../client/errors.ts";
import { allOf, type Clause, range } from "../query/clause.ts";
import type { OpenedQuery } from "../query/source-index.ts";
import type { DecodedPage, Hit, PageDecoder, ReadHit } from "../values/decode.ts";
import { MOST_HITS, type Page, type PointInTime } from "./point-in-time.ts";
import { type Fetch, readAhead, type Walk } from "./read-ahead.ts";

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

/**
 * The position of a document.
 *
 * @throws P2PError `UNSUPPORTED_QUERY`, when the server does not number changes: it then tells a number below zero.
 */
export function positionOf({ _seq_no, _id, _index }: Hit): ChangePosition {
  if (_seq_no === undefined || _seq_no < 0) throw unnumberedError(_index, "The source");
  return { change: _seq_no!, id: _id, index: _index };
}

/** Ranges on their way at a time: the server is busy with one while the answer to the other is being parsed. */
const AHEAD = 2;

/** A range of change numbers, and the documents in it. */
interface Stretch extends Page {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
  /** Where it was to end; further on where it had to be cut short. */
  readonly wanted: number;
  readonly hits: readonly Hit[];
}

/**
 * Documents in the order of their last changes, page by page. A page is a range of change numbers, so it costs the same
 * wherever it is; within it the server gives documents in the order in which it has them, which is cheapest, and they
 * are sorted here.
 */
export async function* readChanges<Item>(
  source: OpenedQuery,
  request: ChangesRequest,
  signal: AbortSignal,
  decode: PageDecoder<Item>,
): AsyncGenerator<DecodedPage<Item>> {
  let last = -1;
  let left = request.most ?? Infinity;
  /** Where the changes begin that nobody has asked for yet, and how many ranges are on their way. */
  let [open, onWay] = [0, 0];
  const fetch = (width: number): Fetch<Stretch> => {
    const from = open;
    open = Math.min(from + width, last + 1);
    onWay++;
    const to = open;
    return (view, signal) => fetchStretch(view, request, from, to, signal);
  };
  const walk: Walk<Stretch> = {
    async first(view, signal) {
      const bounds = await boundsOf(view, request, signal);
      if (bounds === undefined) return undefined;
      [open, last] = bounds;
      return left > 0 && open <= last ? fetch(request.firstSize) : undefined;
    },
    next({ hits, text, from, to, wanted }) {
      left -= hits.length;
      onWay--;
      const anew = to < wanted || left <= 0;
      if (anew) [open, onWay] = [to, 0];
      const width = nextWidth(request, to - from, hits.length, text.length, left);
      const fetches: Fetch<Stretch>[] = [];
      // What is wanted beside may be too much when there is a limit.
      while (left > 0 && open <= last && onWay < (left === Infinity ? AHEAD : 1)) fetches.push(fetch(width));
      return { fetches, anew };
    },
  };
  for await (const { answer, text, from } of readAhead(source, walk, signal)) {
    const page = decode(answer, text, source);
    const sorted = [...page.hits].sort(byChange);
    // Only the first range can hold documents from before the position.
    const hits = from === request.after?.change ? sorted.filter(({ hit }) => isAfter(hit, request.after!)) : sorted;
    if (hits.length > 0) yield { ...page, hits };
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
  wanted: number,
  signal: AbortSignal,
): Promise<Stretch> {
  for (let to = wanted; ; to = from + Math.ceil((to - from) / 8)) {
    const clause = allOf([filter, range("_seq_no", { gte: from, lt: to })]);
    try {
      const request = { filter: clause, sort: [{ _shard_doc: "asc" }], size: MOST_HITS, source, changes: true };
      const page = await view.page(request, signal);
      const hits = page.answer.hits?.hits ?? [];
      if (hits.length < page.asked || to - from === 1) return { ...page, from, to, wanted, hits };
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
  return comparePositions(positionOf(hit), after) > 0;
}

function byChange(a: ReadHit<unknown>, b: ReadHit<unknown>): number {
  return a.hit._seq_no! - b.hit._seq_no! || comparePositions(positionOf(a.hit), positionOf(b.hit));
}

export function comparePositions(a: ChangePosition, b: ChangePosition): number {
  if (a.change !== b.change) return a.change - b.change;
  if (a.id !== b.id) return a.id < b.id ? -1 : 1;
  return a.index === b.index ? 0 : a.index < b.index ? -1 : 1;
}
