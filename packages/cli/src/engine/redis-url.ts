import { expandVariables } from "../endpoints/environment.ts";
import type { EngineFlags } from "../flags/engine.ts";

/** The engine's Redis: as given, from the environment, or the usual place. */
export function redisUrl({ redis }: EngineFlags): string {
  if (redis !== undefined) return expandVariables(redis, "--redis");
  return process.env.P2P_ENGINE_REDIS ?? "redis://localhost:6379";
}

/** The key that submissions are signed with: from the environment alone, since arguments can be seen by others. */
export function signing(): { readonly signingKey?: string } {
  const [signingKey = ""] = signingKeys();
  return signingKey === "" ? {} : { signingKey };
}

/** The keys that a worker takes, the present one first: several, so that they can be changed one after the other. */
export function signingKeys(): string[] {
  return (process.env.P2P_ENGINE_SIGNING_KEY ?? "").split(",").filter((key) => key !== "");
}
