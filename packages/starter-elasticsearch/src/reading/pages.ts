import { isP2PError } from "@omni/p2p-core/starter";
import type { OpenedQuery } from "../query/source-index.ts";
import { type DecodedPage, decodePage, lastSort, type SearchAnswer } from "../values/decode.ts";
import type { Page, PageRequest, PointInTime, Position } from "./point-in-time.ts";
import { type Fetch, readAhead, type Walk } from "./read-ahead.ts";

/** What is read page by page. */
export interface PagesRequest extends Omit<PageRequest, "size"> {
  /** Documents in the first page; later ones follow from how large documents turn out to be. */
  readonly firstSize: number;
  /** Characters in a page, about. */
  readonly pageSize: number;
  /** Most documents that can be of use. */
  readonly most: number;
}

/** The server gives 10,000 documents in a page at most; no more than this is of use. */
const LARGEST_PAGE = 5000;

/** All pages of a search in an order of its own. */
export async function* readPages(
  source: OpenedQuery,
  request: PagesRequest,
  signal: AbortSignal,
): AsyncGenerator<DecodedPage> {
  let size = request.firstSize;
  let left = request.most;
  const fetch = (after: Position | undefined): Fetch<Page> => {
    const wanted = { ...request, size: Math.min(size, left, LARGEST_PAGE), after };
    return (view, signal) => fetchPage(view, wanted, signal);
  };
  const walk: Walk<Page> = {
    first: async () => (left > 0 ? fetch(request.after) : undefined),
    next({ answer, text, asked, view }) {
      const count = countHits(answer);
      left -= count;
      if (count > 0) size = nextSize(asked, text.length / count, request.pageSize);
      const values = lastSort(answer, text);
      return { fetches: count < asked || left <= 0 || values === undefined ? [] : [fetch({ values, view })] };
    },
  };
  for await (const { answer, text } of readAhead(source, walk, signal)) {
    if (countHits(answer) > 0) yield decodePage(answer, text, source);
  }
}

function countHits({ hits }: SearchAnswer): number {
  return hits?.hits?.length ?? 0;
}

/** A page of the size that was asked for, or of a smaller one where documents turn out to be huge. */
async function fetchPage(view: PointInTime, request: PageRequest, signal: AbortSignal): Promise<Page> {
  for (let size = request.size; ; size = Math.ceil(size / 8)) {
    try {
      return await view.page({ ...request, size }, signal);
    } catch (error) {
      if (!isP2PError(error, "RECORD_TOO_LARGE") || size === 1) throw error;
    }
  }
}

/** As many documents as fill a page; at most four times as many as before, since sizes differ. */
export function nextSize(size: number, average: number, pageSize: number): number {
  return Math.max(1, Math.min(Math.floor(pageSize / average), size * 4, LARGEST_PAGE));
}
