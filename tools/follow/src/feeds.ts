/** The feeds that are proved: where each is followed from, into what, and how its position is lost. */
import { starterOf } from "@omni/p2p-chaos/wrapped-stores";
import { parseEndpoint } from "@omni/p2p-core";
import type { Store } from "@omni/p2p-matrix/stores";

/** A feed, by its store. */
export interface Feed {
  readonly source: Store;
  /** What it is followed into, both at a time. */
  readonly targets: readonly [Store, Store];
  /** Changes a second. */
  readonly rate: number;
}

/** Memory is not among them: its stores are in the very process that would be killed; its own tests follow it. */
export const FEEDS: readonly Feed[] = [
  { source: "sqlite", targets: ["redis", "postgresql"], rate: 1000 },
  { source: "postgresql", targets: ["sqlite", "redis"], rate: 1000 },
  { source: "redis", targets: ["sqlite", "postgresql"], rate: 1000 },
  { source: "mongodb", targets: ["sqlite", "redis"], rate: 300 },
];

/** Turns the feed of a place on, where that needs something in the store. */
export async function enableFeed(place: string): Promise<void> {
  await control(place, "enable");
}

/** Takes away what the store keeps for a follower: a slot, its place in a journal. Then its position is lost. */
export async function loseFollower(place: string, follower: string): Promise<void> {
  await control(place, "disable", follower);
}

async function control(place: string, step: "enable" | "disable", follower?: string): Promise<void> {
  const endpoint = parseEndpoint(place);
  const { changes } = await starterOf(endpoint.storageType);
  const context = { role: "source", signal: AbortSignal.timeout(20_000), connectTimeoutMs: 10_000 } as const;
  if (step === "enable") await changes?.enable(endpoint, context);
  else await changes?.disable(endpoint, context, follower);
}

/** The same place by way of a proxy on another port. */
export function through(place: string, port: number): string {
  return place.replace(/:(\d+)(?=[/?])/, `:${port}`);
}
