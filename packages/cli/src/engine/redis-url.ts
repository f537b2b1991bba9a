import { expandVariables } from "../endpoints/expand.ts";
import type { EngineFlags } from "../options.ts";

/** The engine's Redis: as given, from the environment, or the usual place. */
export function redisUrl({ redis }: EngineFlags): string {
  if (redis !== undefined) return expandVariables(redis, "--redis");
  return process.env.P2P_ENGINE_REDIS ?? "redis://localhost:6379";
}
