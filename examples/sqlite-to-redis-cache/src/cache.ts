import type { Redis } from "ioredis";

/** The mail address of a member by the cache; `undefined` where it has none. */
export async function mailOf(redis: Redis, prefix: string, id: number): Promise<string | undefined> {
  const text = await redis.get(`${prefix}${id}`);
  return text === null ? undefined : (JSON.parse(text) as { mail: string }).mail;
}
