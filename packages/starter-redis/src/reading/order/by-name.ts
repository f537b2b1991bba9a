import { compareKeys, type Key, sortKeys } from "../../client/keys.ts";
import type { KeyPage } from "../scan.ts";
import { keyToJson } from "./key-cursor.ts";
import type { KeySource } from "./key-source.ts";

/** Sorts, and leaves out repetitions. */
export function sortedKeys(keys: Key[]): Key[] {
  sortKeys(keys);
  return keys.filter((key, i) => i === 0 || compareKeys(keys[i - 1]!, key) !== 0);
}

/** The first keys after a key in the order of keys, and whether there are more. */
export interface FirstKeys {
  readonly keys: readonly Key[];
  readonly more: boolean;
}

/** Goes through all pages and keeps the first keys after `after`, in memory for twice as many. */
export async function firstKeys(
  pages: AsyncIterable<KeyPage>,
  after: Key | undefined,
  most: number,
): Promise<FirstKeys> {
  let kept: Key[] = [];
  let last: Key | undefined;
  for await (const page of pages) {
    for (const key of page.keys) {
      if (after !== undefined && compareKeys(key, after) <= 0) continue;
      if (last === undefined || compareKeys(key, last) <= 0) kept.push(key);
    }
    if (kept.length <= 2 * most + 1) continue;
    kept = sortedKeys(kept).slice(0, most + 1);
    if (kept.length > most) last = kept.at(-1);
  }
  const keys = sortedKeys(kept);
  return { keys: keys.slice(0, most), more: keys.length > most };
}

/**
 * Keys in their own order, which neither time nor the server changes. Memory is for `most` names; where there are more
 * keys, `find` goes through the names once for every so many of them.
 */
export function keysByName(find: (after: Key | undefined) => Promise<FirstKeys>, after: Key | undefined): KeySource {
  let found: FirstKeys | undefined;
  let index = 0;
  let last = after;
  return {
    async take(count) {
      if (found === undefined || (index >= found.keys.length && found.more)) {
        found = await find(last);
        index = 0;
      }
      const keys = found.keys.slice(index, index + count);
      index += keys.length;
      last = keys.at(-1) ?? last;
      return { keys, cursorAt: (i) => ({ key: keyToJson(keys[i]!) }) };
    },
  };
}
