import { isP2PError, P2PError } from "@omni/p2p-core/starter";
import type { IndexSchemas } from "../mapping/schema.ts";
import { ALL, allOf, type Clause } from "../query/clause.ts";
import { hasVectors, type SourceIndex } from "../query/source-index.ts";
import { type Hit, lastSort } from "../values/decode.ts";
import { pageLimits } from "./batching.ts";
import { nextSize } from "./pages.ts";
import { MOST_HITS, type Page, PointInTime, type Position } from "./point-in-time.ts";
import { type CurrentDocuments, currentDocuments } from "./realtime-get.ts";

/** Indices in which documents are looked for. */
export interface SearchedIndices extends SourceIndex {
  readonly schemas: IndexSchemas;
  /** Whether searches show all that was acknowledged before. */
  readonly refreshed: boolean;
}

/** What is fetched of the documents that are found. */
export interface Fetched {
  /** Those that it finds are fetched. */
  readonly filter: Clause;
  /** Names of the fields that are wanted; all when it is undefined. */
  readonly source: readonly string[] | undefined;
}

/** What there is of some ids, all of it at one moment. */
export interface FoundDocuments {
  readonly keys: readonly string[];
  /** Every document with one of the ids: several in as many indices, or with as many routings. */
  readonly documents: readonly Hit[];
  /** Those that were to be fetched. */
  readonly pages: readonly Page[];
  /** Ids of which it cannot be told what there is. */
  readonly unsure: ReadonlyMap<string, P2PError>;
  /** Ids of which `documents` is newer than what a search shows. */
  readonly ahead: ReadonlySet<string>;
}

/** Ids of which no document can be: the server takes none, so none is asked for. */
const LONGEST_KEY = 512;

/** Whether a text can be the id of a document. */
export function canBeKey(key: string): boolean {
  return key !== "" && (key.length * 3 <= LONGEST_KEY || Buffer.byteLength(key) <= LONGEST_KEY);
}

/** How often ids are looked for anew when the server gives their view up. */
const ATTEMPTS = 3;

/** Looks for documents by their ids, as many at a time as their sizes allow, each batch of ids at one moment. */
export async function* findByIds(
  indices: SearchedIndices,
  keys: readonly string[],
  fetched: Fetched | undefined,
  signal: AbortSignal,
): AsyncGenerator<FoundDocuments> {
  const { link, index, keepAliveMs, schemas } = indices;
  const { firstSize, pageSize } = pageLimits({ batchSize: Number.POSITIVE_INFINITY, signal });
  const view = new PointInTime(link, index, keepAliveMs, hasVectors(schemas));
  try {
    let size = firstSize;
    for (let start = 0; start < keys.length; ) {
      const some = keys.slice(start, start + size);
      const found = await findOrTell(view, indices, some, fetched, signal);
      if (found === undefined) {
        size = some.length >> 1;
        continue;
      }
      start += some.length;
      const length = found.pages.reduce((sum, { text }) => sum + text.length, 0);
      size = nextSize(some.length, Math.max(1, length / some.length), pageSize);
      yield found;
    }
  } finally {
    view.close();
  }
}

/** `undefined` when so many at once are too large for one answer; one that is too large alone is told as such. */
async function findOrTell(
  view: PointInTime,
  indices: SearchedIndices,
  keys: readonly string[],
  fetched: Fetched | undefined,
  signal: AbortSignal,
): Promise<FoundDocuments | undefined> {
  try {
    return await findAtOnce(view, indices, keys, fetched, signal);
  } catch (error) {
    if (!isP2PError(error, "RECORD_TOO_LARGE")) throw error;
    if (keys.length > 1) return undefined;
    return { keys, documents: [], pages: [], unsure: new Map([[keys[0]!, error]]), ahead: new Set() };
  }
}

async function findAtOnce(
  view: PointInTime,
  indices: SearchedIndices,
  keys: readonly string[],
  fetched: Fetched | undefined,
  signal: AbortSignal,
): Promise<FoundDocuments> {
  const ids: Clause = { ids: { values: keys } };
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const [pages, others] = await Promise.all([
      fetched === undefined
        ? []
        : allPages(view, indices, { ...fetched, filter: allOf([ids, fetched.filter]) }, signal),
      fetched?.filter === ALL ? [] : allPages(view, indices, { filter: ids, source: false }, signal),
    ]);
    // What one view shows and another does not may have come between them.
    if (new Set([...pages, ...others].map((page) => page.view)).size > 1) continue;
    const hits = (fetched?.filter === ALL ? pages : others).flatMap(({ answer }) => answer.hits?.hits ?? []);
    const current: CurrentDocuments = indices.refreshed
      ? { documents: hits, unsure: new Map(), ahead: new Set() }
      : await currentDocuments(indices, keys, hits, await isRouted(view, indices, signal), signal);
    return { keys, pages, ...current };
  }
  const what = `${indices.link.label} gave up what was being looked at, again and again`;
  throw new P2PError("READ_FAILED", `${what}; raise pitKeepAliveMs, or see why the server drops its search contexts`, {
    retryable: true,
  });
}

/** All that a search finds, however few documents the index gives at a time. */
async function allPages(
  view: PointInTime,
  { link }: SearchedIndices,
  { filter, source }: { readonly filter: Clause; readonly source: readonly string[] | false | undefined },
  signal: AbortSignal,
): Promise<Page[]> {
  const sort = link.dialect.places;
  const pages: Page[] = [];
  for (let after: Position | undefined; ; ) {
    const page = await view.page({ filter, sort, size: MOST_HITS, source, changes: true, after }, signal);
    pages.push(page);
    if ((page.answer.hits?.hits?.length ?? 0) < page.asked) return pages;
    after = { values: lastSort(page.answer, page.text)!, view: page.view };
  }
}

/** Whether any document has a routing of its own, so that its id does not tell where it is. */
async function isRouted(view: PointInTime, { link }: SearchedIndices, signal: AbortSignal): Promise<boolean> {
  const filter: Clause = { exists: { field: "_routing" } };
  const sort = link.dialect.places;
  const { answer } = await view.page({ filter, sort, size: 1, source: false }, signal);
  return (answer.hits?.hits?.length ?? 0) > 0;
}
