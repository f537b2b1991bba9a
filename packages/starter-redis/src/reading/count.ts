import { isP2PError, P2PError, type P2PQuery } from "@omni/p2p-core/starter";
import type { Key } from "../client/keys.ts";
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
  const count =
    (await countWhole(link, request, signal)) ??
    (request.keys ? await countThere(link, request.keys, signal) : await countListed(link, request, settings, signal));
  return count === undefined ? undefined : Math.min(Math.max(count - offset, 0), limit);
}

/** How many keys the server says it has, where all of them are wanted and the user may ask. */
async function countWhole(link: RedisLink, request: KeyRequest, signal: AbortSignal): Promise<number | undefined> {
  const { keys, pattern, type, slots, except } = request;
  if (keys !== undefined || pattern !== undefined || type !== undefined || slots !== undefined) return undefined;
  const size = await link.size(signal);
  if (size === undefined) return undefined;
  const own = await countThere(link, except, signal);
  return own === undefined ? undefined : size - own;
}

/** How many of these keys there are; `undefined` for a user who may read keys and not ask whether they are there. */
async function countThere(link: RedisLink, keys: readonly Key[], signal: AbortSignal): Promise<number | undefined> {
  const commands = keys.map((key) => ({ name: "exists", args: [key] }));
  let count = 0;
  for (const reply of await link.sendAll("read", signal, commands)) {
    if (isP2PError(reply, "READ_FAILED")) return undefined;
    if (reply instanceof P2PError) throw reply;
    count += Number(reply);
  }
  return count;
}

async function countListed(
  link: RedisLink,
  request: KeyRequest,
  { scanCount }: Keyspace["settings"],
  signal: AbortSignal,
): Promise<number> {
  let count = 0;
  for await (const { keys } of keyPages(link, request, scanCount, undefined, signal)) count += keys.length;
  return count;
}
