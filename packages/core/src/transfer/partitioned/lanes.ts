/** Pairs of stores for parallel parts. */
import type { TransferEnd } from "../end.ts";
import { gatedTargets } from "./write-gate.ts";

/** A pair of open stores that moves one part at a time. */
export interface PartLane {
  readonly source: TransferEnd;
  readonly target: TransferEnd;
}

/** Pairs of stores for parts side by side, and how to give back those that were opened for it. */
export interface PartLanes {
  readonly lanes: readonly PartLane[];
  release(): Promise<void>;
}

/**
 * Finds so many pairs of stores. A shareable store serves all parts; of others more are opened, as many as there may
 * be. There is always one pair: the one that was given.
 */
export async function openLanes(source: TransferEnd, target: TransferEnd, wanted: number): Promise<PartLanes> {
  const releases: (() => Promise<void>)[] = [];
  const release = async () => {
    await Promise.allSettled(releases.map((one) => one()));
  };
  const pairs: PartLane[] = [{ source, target }];
  try {
    while (pairs.length < wanted) {
      const from = await one(source, releases);
      const to = from && (await one(target, releases));
      if (!from || !to) break;
      pairs.push({ source: from, target: to });
    }
  } catch (error) {
    await release();
    throw error;
  }
  const targets = gatedTargets(pairs.map((pair) => pair.target.service));
  return {
    lanes: pairs.map((pair, i) => ({ source: pair.source, target: { ...pair.target, service: targets[i]! } })),
    release,
  };
}

async function one(end: TransferEnd, releases: (() => Promise<void>)[]): Promise<TransferEnd | undefined> {
  if (end.service.capabilities.shareable) return end;
  const another = await end.another?.();
  if (!another) return undefined;
  releases.push(another.release);
  return { service: another.service, endpoint: end.endpoint };
}
