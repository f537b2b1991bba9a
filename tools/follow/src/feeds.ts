/** The feeds that are proved: where each is followed from, and into what. */
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

export const FEEDS: readonly Feed[] = [
  { source: "memory", targets: ["sqlite", "redis"], rate: 1000 },
  { source: "sqlite", targets: ["redis", "postgresql"], rate: 1000 },
  { source: "postgresql", targets: ["sqlite", "redis"], rate: 1000 },
  { source: "redis", targets: ["sqlite", "postgresql"], rate: 1000 },
  // The stand-in takes no more.
  { source: "mongodb", targets: ["sqlite", "redis"], rate: 300 },
];

/** Turns the feed of a place on, where that needs something in the store. */
export async function enableFeed(place: string): Promise<void> {
  const endpoint = parseEndpoint(place);
  const { changes } = await starterOf(endpoint.storageType);
  await changes?.enable(endpoint, {
    ...{ role: "source", signal: AbortSignal.timeout(20_000), connectTimeoutMs: 10_000 },
  });
}
