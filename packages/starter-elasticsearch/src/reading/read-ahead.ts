/** Read-ahead: the next pages of a view are on their way while one is used. */
import { onAbort } from "@omni/p2p-core/starter";
import type { SourceIndex } from "../query/source-index.ts";
import { PointInTime } from "./point-in-time.ts";

/** Fetches a page of a view. */
export type Fetch<Page> = (view: PointInTime, signal: AbortSignal) => Promise<Page>;

/** The way through a view, page by page. */
export interface Walk<Page> {
  /** How the first page is fetched, if there is one. */
  first(view: PointInTime, signal: AbortSignal): Promise<Fetch<Page> | undefined>;
  /** What is to be fetched after those pages that are on their way, when this one has come. */
  next(page: Page): Steps<Page>;
}

/** How a walk goes on. */
interface Steps<Page> {
  readonly fetches: readonly Fetch<Page>[];
  /** Whether these come in the place of what is on its way, which is of no use any more. */
  readonly anew?: boolean;
}

/** All pages of a walk through one view of the index. The next pages are on their way while one is being used. */
export async function* readAhead<Page>(
  { link, index, keepAliveMs, vectors = false }: SourceIndex,
  walk: Walk<Page>,
  signal: AbortSignal,
): AsyncGenerator<Page> {
  signal.throwIfAborted();
  const view = new PointInTime(link, index, keepAliveMs, vectors);
  const inner = new AbortController();
  const forget = onAbort(signal, () => inner.abort(signal.reason));
  const coming: Promise<Page>[] = [];
  const begin = (fetch: Fetch<Page>): void => {
    const page = fetch(view, inner.signal);
    // It is awaited in a later turn, if there is one.
    page.catch(() => {});
    coming.push(page);
  };
  try {
    const first = await walk.first(view, inner.signal);
    if (first !== undefined) begin(first);
    for (let next = coming.shift(); next !== undefined; next = coming.shift()) {
      const page = await next;
      const { fetches, anew } = walk.next(page);
      if (anew) coming.length = 0;
      for (const fetch of fetches) begin(fetch);
      yield page;
    }
  } finally {
    forget();
    // A page that is still on its way is not waited for.
    inner.abort();
    view.close();
  }
}
