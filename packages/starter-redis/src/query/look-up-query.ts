import { assertAskableById, P2PError, type P2PQuery } from "@omni/p2p-core/starter";
import { type Key, keyName } from "../client/keys.ts";
import { inRanges, keySlot } from "../client/slots.ts";
import { parseNative } from "./native-query.ts";
import { type KeyRequest, type KeyScope, parseRedisQuery, type RedisQuery } from "./query.ts";

/**
 * {@link parseRedisQuery} for records that are asked for by their ids.
 *
 * @throws P2PError `UNSUPPORTED_QUERY` for what no key by itself can be held against: how many others there are, and a
 * pattern, which the server applies in a scan of all names alone.
 */
export function parseLookUpQuery(query: P2PQuery, scope: KeyScope): RedisQuery {
  const parsed = parseRedisQuery(query, scope);
  assertAskableById(parsed);
  if (parseNative(parsed).match !== undefined) {
    throw new P2PError(
      "UNSUPPORTED_QUERY",
      "Records cannot be looked up by native.redis.match, a pattern that Redis applies when it scans names; write where: { id: { prefix } }",
    );
  }
  return parsed;
}

/**
 * Makes a test of whether the reading of a query comes upon a key of this type at all; the fields of its record have no say
 * in it. The type counts only where the query asks for one.
 */
export function keyTest({ keys, start, type: wanted, slots }: KeyRequest): (key: Key, type?: string) => boolean {
  if (keys !== undefined) {
    const names = new Set(keys.map(keyName));
    return (key) => names.has(keyName(key));
  }
  const startBytes = Buffer.from(start);
  return (key, type) => {
    const starts = typeof key === "string" ? key.startsWith(start) : key.indexOf(startBytes) === 0;
    if (!starts || (slots !== undefined && !inRanges([slots], keySlot(Buffer.from(key as string))))) return false;
    // SCAN does not tell capitals from small letters either.
    return wanted === undefined || type?.toLowerCase() === wanted.toLowerCase();
  };
}
