import type { JsonValue } from "@omni/p2p-core";
import type { KeySlice, KeySource } from "./key-source.ts";
import { fingerprint, hashKeys, type Key } from "./keys.ts";
import { RecentKeys } from "./recent-keys.ts";
import { isScanPosition, type KeyPage, type ScanPosition } from "./scan.ts";

/** A place within a page: how many of its keys are behind it, and their fingerprint. */
export interface PagePosition extends ScanPosition {
  readonly skip: number;
  readonly check: number;
}

/** A page with a hash of each key. */
interface HashedPage extends KeyPage {
  readonly hashes: Uint32Array;
}

const WINDOW = 2000;

/**
 * Keys in the order of SCAN, in bounded memory. A cursor names the page and the place in it; when the page turns out to
 * be another one by the time it is read again, all of it comes: rather twice than never.
 *
 * @param pages the pages from the beginning, or from the position `after`.
 */
export function scanOrder(pages: AsyncIterator<KeyPage>, after: PagePosition | undefined): KeySource {
  const recent = new RecentKeys(WINDOW);
  let page: HashedPage | undefined;
  let index = 0;
  let first = after;

  const turnPage = async (): Promise<boolean> => {
    const { value, done } = await pages.next();
    page = done ? undefined : { ...value, hashes: hashKeys(value.keys) };
    index = page && first ? placeIn(page, first) : 0;
    first = undefined;
    return page !== undefined;
  };

  // The fingerprint of a page grows with the place in it.
  let printed: { readonly page: HashedPage; readonly skip: number; readonly check: number } | undefined;
  const cursorAfter = (at: HashedPage, skip: number): JsonValue => {
    const before = printed?.page === at && printed.skip <= skip ? printed : { skip: 0, check: undefined };
    const check = fingerprint(at.hashes, before.skip, skip, before.check);
    printed = { page: at, skip, check };
    const position: PagePosition = { ...at.start, skip, check };
    return { scan: position as unknown as JsonValue };
  };

  return {
    async take(count): Promise<KeySlice> {
      const keys: Key[] = [];
      /** The place after each key in its page, and the pages with the index of the first key from them. */
      const places: number[] = [];
      const parts: { readonly page: HashedPage; readonly first: number }[] = [];
      while (keys.length < count) {
        if (page === undefined || index >= page.keys.length) {
          if (await turnPage()) continue;
          break;
        }
        const hash = page.hashes[index]!;
        const key = page.keys[index++]!;
        if (!recent.add(key, hash)) continue;
        if (parts.at(-1)?.page !== page) parts.push({ page, first: keys.length });
        keys.push(key);
        places.push(index);
      }
      return { keys, cursorAt: (i) => cursorAfter(parts.findLast(({ first }) => first <= i)!.page, places[i]!) };
    },
  };
}

function placeIn({ keys, hashes, start }: HashedPage, { run, at, skip, check }: PagePosition): number {
  const same = start.run === run && start.at === at && skip <= keys.length && fingerprint(hashes, 0, skip) === check;
  return same ? skip : 0;
}

/** Whether a cursor is one of a read in the order of SCAN. */
export function isPagePosition(json: JsonValue | undefined): json is JsonValue & PagePosition {
  const { skip, check } = (json ?? {}) as Partial<PagePosition>;
  return isScanPosition(json) && Number.isSafeInteger(skip) && Number.isSafeInteger(check);
}
