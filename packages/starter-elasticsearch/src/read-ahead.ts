import { PointInTime } from "./point-in-time.ts";
import type { SourceIndex } from "./source-index.ts";

/** Fetches a page of a view. */
export type Fetch<Page> = (view: PointInTime, signal: AbortSignal) => Promise<Page>;

/** The way through a view, page by page. */
export interface Walk<Page> {
  /** How the first page is fetched, if there is one. */
  first(view: PointInTime, signal: AbortSignal): Promise<Fetch<Page> | undefined>;
  /** How the page after this one is fetched, if there is one. */
  next(page: Page): Fetch<Page> | undefined;
}

/** All pages of a walk through one view of the index. The next page is on its way while one is being used. */
export async function* readAhead<Page>(
  { link, index, keepAliveMs }: SourceIndex,
  walk: Walk<Page>,
  signal: AbortSignal,
): AsyncGenerator<Page> {
  signal.throwIfAborted();
  const view = new PointInTime(link, index, keepAliveMs);
  const inner = new AbortController();
  const abort = (): void => inner.abort(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  const begin = (fetch: Fetch<Page> | undefined): Promise<Page> | undefined => {
    const page = fetch?.(view, inner.signal);
    // It is awaited in the next turn, if there is one.
    page?.catch(() => {});
    return page;
  };
  try {
    let coming = begin(await walk.first(view, inner.signal));
    while (coming !== undefined) {
      const page: Page = await coming;
      coming = begin(walk.next(page));
      yield page;
    }
  } finally {
    signal.removeEventListener("abort", abort);
    // A page that is still on its way is not waited for.
    inner.abort();
    view.close();
  }
}
