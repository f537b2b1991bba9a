import { isP2PError } from "@omni/p2p-core";
import type { DecodedPage } from "./changes.ts";
import { decodeHits, lastSort } from "./decode.ts";
import { type Page, type PageRequest, PointInTime, type Position } from "./point-in-time.ts";
import type { OpenedQuery } from "./source-index.ts";

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

/** All pages of a search in an order of its own. The next page is on its way while one is being used. */
export async function* readPages(
  source: OpenedQuery,
  request: PagesRequest,
  signal: AbortSignal,
): AsyncGenerator<DecodedPage> {
  signal.throwIfAborted();
  const view = new PointInTime(source.link, source.index, source.keepAliveMs);
  const inner = new AbortController();
  const abort = (): void => inner.abort(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    yield* pagesOf(view, source, request, inner.signal);
  } finally {
    signal.removeEventListener("abort", abort);
    // A page that is still on its way is not waited for.
    inner.abort();
    view.close();
  }
}

async function* pagesOf(
  view: PointInTime,
  { schema, link }: OpenedQuery,
  request: PagesRequest,
  signal: AbortSignal,
): AsyncGenerator<DecodedPage> {
  let size = request.firstSize;
  let left = request.most;
  const fetch = (after: Position | undefined): Promise<Page> => {
    const page = fetchPage(view, { ...request, size: Math.min(size, left, LARGEST_PAGE), after }, signal);
    // It is awaited in the next turn, if there is one.
    page.catch(() => {});
    return page;
  };
  let next = left > 0 ? fetch(request.after) : undefined;
  while (next !== undefined) {
    const { answer, text, asked, view: viewNumber } = await next;
    const count = answer.hits?.hits?.length ?? 0;
    left -= count;
    if (count > 0) size = nextSize(asked, text.length / count, request.pageSize);
    const values = lastSort(answer, text);
    next = count < asked || left <= 0 || values === undefined ? undefined : fetch({ values, view: viewNumber });
    if (count > 0) yield { hits: decodeHits(answer, text, schema, link.label), size: text.length };
  }
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
function nextSize(size: number, average: number, pageSize: number): number {
  return Math.max(1, Math.min(Math.floor(pageSize / average), size * 4, LARGEST_PAGE));
}
