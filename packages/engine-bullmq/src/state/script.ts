import { hash } from "node:crypto";
import type { Redis } from "ioredis";

/** A Lua script, which runs in Redis as one step. */
export class Script<Reply> {
  readonly #lua: string;
  readonly #sha: string;

  constructor(lua: string) {
    this.#lua = lua;
    this.#sha = hash("sha1", lua);
  }

  async run(redis: Redis, keys: readonly string[], args: readonly (string | number)[]): Promise<Reply> {
    try {
      return (await redis.evalsha(this.#sha, keys.length, ...keys, ...args)) as Reply;
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
      return (await redis.eval(this.#lua, keys.length, ...keys, ...args)) as Reply;
    }
  }
}
