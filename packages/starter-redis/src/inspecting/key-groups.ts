/** The keys of an endpoint's database in groups by the first part of their names, found by a bounded SCAN. */
import type { Keyspace } from "../client/keyspace.ts";
import { parseRedisQuery } from "../query/query.ts";
import { keyPages } from "../reading/scan.ts";

/** Keys that the server looks at, about, to find out how ours are named. */
const MOST_KEYS = 200_000;
/** What separates the parts of a key's name, by custom. */
export const SEPARATOR = ":";

/**
 * How many keys each group has, by its prefix with the separator; those without one stand under the endpoint's own prefix. `whole` says
 * whether all keys were looked at.
 */
export async function groupKeys(
  { link, settings }: Keyspace,
  signal: AbortSignal,
): Promise<{ readonly groups: ReadonlyMap<string, number>; readonly whole: boolean }> {
  const { prefix, marker, scanCount } = settings;
  const { request } = parseRedisQuery({}, { prefix, marker });
  const groups = new Map<string, number>();
  let looked = 0;
  for await (const { keys } of keyPages(link, request, scanCount, undefined, signal)) {
    for (const key of keys) {
      const name = typeof key === "string" ? key : prefix;
      const end = name.indexOf(SEPARATOR, prefix.length);
      const group = end < 0 ? prefix : name.slice(0, end + 1);
      groups.set(group, (groups.get(group) ?? 0) + 1);
    }
    looked += scanCount;
    if (looked >= MOST_KEYS) return { groups, whole: false };
  }
  return { groups, whole: true };
}
