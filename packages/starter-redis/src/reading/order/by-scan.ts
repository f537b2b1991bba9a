import type { JsonValue } from "@omni/p2p-core/starter";
import { type Key, keyName } from "../../client/keys.ts";
import { isScanPosition, type KeyPage, type ScanPosition } from "../scan.ts";
import type { KeySlice, KeySource } from "./key-source.ts";

/** A place within a page: how many of its keys are behind it, and their fingerprint. */
export interface PagePosition extends ScanPosition {
  readonly skip: number;
  readonly check: number;
}

/**
 * Keys seen of late. SCAN repeats a key only when its table has shrunk, and then only keys that came just before: those
 * whose old places fall together with the place of the cursor, which are as many as the table has shrunk by times. So a
 * window of fixed size does what a set of all keys would.
 */
class RecentKeys {
  #newer = new Set<string>();
  #older = new Set<string>();
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  /** Whether the key is new; it is not any more then. */
  add(key: Key): boolean {
    const name = keyName(key);
    if (this.#older.has(name)) return false;
    const { size } = this.#newer;
    if (this.#newer.add(name).size === size) return false;
    if (size + 1 >= this.#size) {
      this.#older = this.#newer;
      this.#newer = new Set();
    }
    return true;
  }
}

const WINDOW = 2000;

/**
 * Keys in the order of SCAN, in bounded memory. A cursor names the page and the place in it; when the page turns out to
 * be another one by the time it is read again, all of it comes: rather twice than never.
 *
 * @param pages the pages from the beginning, or from the position `after`.
 */
export function keysByScan(pages: AsyncIterator<KeyPage>, after: PagePosition | undefined): KeySource {
  const recent = new RecentKeys(WINDOW);
  let page: KeyPage | undefined;
  let index = 0;
  let first = after;

  const turnPage = async (): Promise<boolean> => {
    const { value, done } = await pages.next();
    page = done ? undefined : value;
    index = page && first ? placeIn(page, first) : 0;
    first = undefined;
    return page !== undefined;
  };

  // The fingerprint of a page grows with the place in it.
  let printed: { readonly page: KeyPage; readonly skip: number; readonly check: number } | undefined;
  const cursorAfter = (at: KeyPage, skip: number): JsonValue => {
    const before = printed?.page === at && printed.skip <= skip ? printed : { skip: 0, check: undefined };
    const check = fingerprintKeys(at.keys, before.skip, skip, before.check);
    printed = { page: at, skip, check };
    const position: PagePosition = { ...at.start, skip, check };
    return { scan: position as unknown as JsonValue };
  };

  return {
    async take(count): Promise<KeySlice> {
      const keys: Key[] = [];
      /** The place after each key in its page, and the pages with the index of the first key from them. */
      const places: number[] = [];
      const parts: { readonly page: KeyPage; readonly first: number }[] = [];
      while (keys.length < count) {
        if (page === undefined || index >= page.keys.length) {
          if (await turnPage()) continue;
          break;
        }
        const key = page.keys[index++]!;
        if (!recent.add(key)) continue;
        if (parts.at(-1)?.page !== page) parts.push({ page, first: keys.length });
        keys.push(key);
        places.push(index);
      }
      return { keys, cursorAt: (i) => cursorAfter(parts.findLast(({ first }) => first <= i)!.page, places[i]!) };
    },
  };
}

function placeIn({ keys, start }: KeyPage, { run, at, skip, check }: PagePosition): number {
  const same = start.run === run && start.at === at && skip <= keys.length && fingerprintKeys(keys, 0, skip) === check;
  return same ? skip : 0;
}

/** Whether a cursor is one of a read in the order of SCAN. */
export function isPagePosition(json: JsonValue | undefined): json is JsonValue & PagePosition {
  const { skip, check } = (json ?? {}) as Partial<PagePosition>;
  return isScanPosition(json) && Number.isSafeInteger(skip) && Number.isSafeInteger(check);
}

/** V8 has several kinds of strings, and looks the method up anew for each of them when it is named at the place of use. */
const { charCodeAt } = String.prototype;

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
const END_OF_KEY = 0xd800;

/**
 * A fingerprint of keys in their order: FNV-1a, 32 bits.
 *
 * @param before the fingerprint of the keys before them, where there are any
 */
function fingerprintKeys(keys: readonly Key[], from: number, to: number, before = FNV_OFFSET): number {
  let hash = before;
  for (let i = from; i < to; i++) {
    const key = keys[i]!;
    const text = typeof key === "string" ? key : key.toString("latin1");
    const { length } = text;
    for (let j = 0; j < length; j++) hash = Math.imul(hash ^ charCodeAt.call(text, j), FNV_PRIME);
    hash = Math.imul(hash ^ END_OF_KEY, FNV_PRIME);
  }
  return hash >>> 0;
}
