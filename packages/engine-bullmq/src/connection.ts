import { once } from "node:events";
import { P2PError } from "@omni/p2p-core";
import { Redis, type RedisOptions } from "ioredis";

/** Where the engine's own Redis is: a URL, or ioredis options. */
export type EngineConnection = string | Omit<RedisOptions, "replyMapping">;

/** How long a Redis that is not there is waited for by those who call, in ms. */
const CALL_TIMEOUT_MS = 5000;

/**
 * A client of the engine's Redis. What is sent while Redis is away waits until it is back, however long that takes:
 * workers outlast a restart.
 */
export function connectRedis(connection: EngineConnection): Redis {
  const options = {
    maxRetriesPerRequest: null,
    enableReadyCheck: true,
    retryStrategy: (attempt: number) => Math.min(1000, 50 * attempt),
  };
  const redis =
    typeof connection === "string" ? new Redis(connection, options) : new Redis({ ...connection, ...options });
  // Who uses it hears of trouble by what does not come back; an error event without a listener would end the process.
  redis.on("error", () => {});
  return redis;
}

/**
 * Waits until Redis is there.
 *
 * @throws P2PError `CONNECTION_FAILED`
 */
export async function untilReady(redis: Redis): Promise<void> {
  if (redis.status === "ready") return;
  try {
    await once(redis, "ready", { signal: AbortSignal.timeout(CALL_TIMEOUT_MS) });
  } catch (cause) {
    const { host, port } = redis.options;
    throw new P2PError(
      "CONNECTION_FAILED",
      `The engine's Redis at ${host ?? "localhost"}:${port ?? 6379} cannot be reached; see whether it is up, and whether its password is right`,
      { cause, retryable: true },
    );
  }
}
