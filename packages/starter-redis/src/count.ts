import { P2PError, type P2PQuery } from "@omni/p2p-core";
import { parseRedisQuery } from "./query.ts";
import { keyPages } from "./scan.ts";
import type { RedisSource } from "./source.ts";

/** How many records a query gives, where the names of keys tell. */
export async function countRecords(
  { link, settings }: RedisSource,
  query: P2PQuery,
  signal: AbortSignal,
): Promise<number | undefined> {
  const { request, filtered, offset, limit } = parseRedisQuery(query, settings.prefix);
  signal.throwIfAborted();
  if (filtered) return undefined;
  let count = 0;
  if (request.keys) {
    const replies = await link.sendAll(
      "read",
      signal,
      request.keys.map((key) => ({ name: "exists", args: [key] })),
    );
    for (const reply of replies) {
      if (reply instanceof P2PError) throw reply;
      count += Number(reply);
    }
  } else if (request.pattern === undefined && request.type === undefined && request.slots === undefined) {
    count = await link.size(signal);
  } else {
    for await (const { keys } of keyPages(link, request, settings.scanCount, undefined, signal)) count += keys.length;
  }
  return Math.min(Math.max(count - offset, 0), limit);
}
