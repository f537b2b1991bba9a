import { setTimeout as sleep } from "node:timers/promises";
import { FaultProxy } from "@omni/p2p-chaos/fault-proxy";
import { check } from "@omni/p2p-chaos/report";
import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import type { Places } from "@omni/p2p-matrix/stores";
import { enableFeed, type Feed, loseFollower, through } from "./feeds.ts";
import { Follower } from "./follower.ts";
import { Workload } from "./workload.ts";
import { openWriter } from "./writers.ts";

/** How long, and with how many disturbances. */
export interface Terms {
  readonly seconds: number;
  readonly kills: number;
  readonly cuts: number;
  readonly losses: number;
}

/** Documents that are there before. */
const FILLED = 5000;
/** The longest time until the targets must be equal once the source rests, in ms. */
const REST_MS = 90_000;

/** Follows a source that is changed all the while, through every disturbance; says how, or throws what went wrong. */
export async function follows(places: Places, feed: Feed, terms: Terms, random: () => number): Promise<string> {
  const source = places.fresh(feed.source);
  const writer = await openWriter(source);
  const workload = new Workload(writer, random, feed.rate);
  const proxy = feed.source === "sqlite" ? undefined : await FaultProxy.open(portOf(source), random);
  if (proxy) proxy.faults.latencyMs = 0;
  const seen = proxy ? through(source, proxy.port) : source;
  const followers = feed.targets.map(
    (target, at) => new Follower(seen, places.fresh(target), `proof-${feed.source}-${at}`),
  );
  try {
    await workload.fill(FILLED);
    await enableFeed(source);
    const done = workload.run();
    // Awaited below; until then its failure is not to end the process, and with it the report.
    done.catch(() => {});
    for (const follower of followers) follower.start();
    await disturb(source, followers, proxy, terms, random);
    workload.stop();
    const { inserted, updated, deleted, rate } = await done;
    const rested = await untilEqual(source, followers);
    const lags = followers.flatMap((follower) => follower.lags).sort((a, b) => a - b);
    check(lags.length > 0, "nothing was written while a follower was live");
    for (const follower of followers) {
      await follower.stop();
      check(follower.error === undefined, `a follower ended with: ${follower.error}`);
    }
    const lost = followers.reduce((sum, follower) => sum + follower.lost, 0);
    const share = (part: number) => lags[Math.min(lags.length - 1, Math.floor(lags.length * part))];
    return (
      `${inserted} + ${updated} + ${deleted} changes at ${Math.round(rate)}/s, lag ${share(0.5)} ms, 99 %: ${share(0.99)} ms, ` +
      `${lost} lost positions, equal after ${(rested / 1000).toFixed(1)} s`
    );
  } finally {
    workload.stop();
    await Promise.all(followers.map((follower) => follower.dispose()));
    await proxy?.close();
    await writer.close();
  }
}

/** Kills, cuts and losses, at random moments one after the other. */
async function disturb(
  source: string,
  followers: readonly Follower[],
  proxy: FaultProxy | undefined,
  { seconds, kills, cuts, losses }: Terms,
  random: () => number,
): Promise<void> {
  const ends = performance.now() + seconds * 1000;
  const any = () => followers[Math.floor(random() * followers.length)]!;
  const harms = [
    ...Array.from({ length: kills }, () => () => any().kill()),
    ...Array.from({ length: cuts }, () => async () => proxy?.cut()),
    ...Array.from({ length: losses }, () => async () => {
      await loseFollower(source, any().transferId);
      await enableFeed(source);
    }),
  ];
  const moments = harms.map(() => random() * seconds * 900).sort((a, b) => a - b);
  const began = performance.now();
  for (const moment of moments) {
    const [harm] = harms.splice(Math.floor(random() * harms.length), 1);
    await sleep(Math.max(0, began + moment - performance.now()));
    await harm!();
  }
  await sleep(Math.max(0, ends - performance.now()));
}

/** Waits until every target is equal to the source; resolves with the time that took, in ms. */
async function untilEqual(source: string, followers: readonly Follower[]): Promise<number> {
  const began = performance.now();
  for (const { target } of followers) {
    for (;;) {
      const difference = await differenceOf(source, target);
      if (difference === undefined) break;
      const broken = followers.find(({ error }) => error !== undefined);
      check(broken === undefined, `a follower ended with: ${broken?.error}`);
      check(performance.now() - began < REST_MS, `${target} did not become equal: ${difference}`);
      await sleep(500);
    }
  }
  return performance.now() - began;
}

async function differenceOf(source: string, target: string): Promise<string | undefined> {
  await using manager = new DefaultP2PConnectionManager({ appRoot: import.meta.dirname });
  const connection = await manager.establish(source, target);
  const { equal, missing, extra, different, differences } = await connection.verify({}, { maxDifferences: 2 });
  return equal
    ? undefined
    : `${missing} missing, ${extra} extra, ${different} different: ${JSON.stringify(differences)}`;
}

function portOf(place: string): number {
  return Number(new URL(place).port);
}
