import type { P2PObject } from "@omni/p2p-core";
import { decodeJson } from "@omni/p2p-core/starter";
import type { Redis } from "ioredis";

/** The text before the ids in the names of the cache's keys. */
export const PREFIX = "product:";

/** Looks a product up in the cache, as the application does it: with dates as dates, and all other types, too. */
export async function cachedProduct(redis: Redis, id: string): Promise<P2PObject | undefined> {
  const text = await redis.get(PREFIX + id);
  return text === null ? undefined : (decodeJson(text) as P2PObject);
}
