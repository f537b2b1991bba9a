import { isP2PError, P2PError, type P2PQuery } from "@omni/p2p-core/starter";
import type { Keyspace } from "../client/keyspace.ts";
import type { RedisLink } from "../client/link.ts";
import { type KeyRequest, parseRedisQuery } from "../query/query.ts";
import { keyPages } from "./scan.ts";

/** How many records a query gives, where the names of keys tell. */
export async function countRecords(
  { link, settings }: Keyspace,
  query: P2PQuery,
  signal: AbortSignal,
): Promise<number | undefined> {
  const { request, filtered, offset, limit } = parseRedisQuery(query, settings);
  signal.throwIfAborted();
  if (filtered) return undefined;
  let count = await countWhole(link, request, signal);
  if (count !== undefined) return Math.min(Math.max(count - offset, 0), limit);
  count = 0;
  if (request.keys) {
    const replies = await link.sendAll(
      "read",
      signal,
      request.keys.map((key) => ({ name: "exists", args: [key] })),
    );
    for (const reply of replies) {
      // A user who may read the keys need not be allowed to ask whether they are there.
      if (isP2PError(reply, "READ_FAILED")) return undefined;
      if (reply instanceof P2PError) throw reply;
      count += Number(reply);
    }
  } else {
    for await (const { keys } of keyPages(link, request, settings.scanCount, undefined, signal)) count += keys.length;
  }
  return Math.min(Math.max(count - offset, 0), limit);
}

/** How many keys the server says it has, where all of them are wanted and the user may ask. */
async function countWhole(link: RedisLink, request: KeyRequest, signal: AbortSignal): Promise<number | undefined> {
  const { keys, pattern, type, slots, except } = request;
  if (keys !== undefined || pattern !== undefined || type !== undefined || slots !== undefined) return undefined;
  const size = await link.size(signal);
  if (size === undefined) return undefined;
  try {
    const own = await Promise.all(except.map((key) => link.send("read", signal, { name: "exists", args: [key] })));
    return own.reduce<number>((count, there) => count - Number(there), size);
  } catch (error) {
    if (isP2PError(error, "READ_FAILED")) return undefined;
    throw error;
  }
}
