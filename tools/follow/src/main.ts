// `npm run follow`: each feed under a thousand changes a second, into two targets, through kills, cut sockets and lost positions.
// `npm run follow postgresql` runs one. P2P_FOLLOW_SECONDS (600), P2P_FOLLOW_KILLS (50), P2P_FOLLOW_CUTS (20), P2P_FOLLOW_LOSSES (5),
// P2P_CHAOS_SEED.
import { seededRandom } from "@omni/p2p-chaos/random";
import { Report } from "@omni/p2p-chaos/report";
import { Places, type ServerUrls } from "@omni/p2p-matrix/stores";
import { startService } from "@omni/p2p-test-services";
import { FEEDS } from "./feeds.ts";
import { follows } from "./trial.ts";

const number = (name: string, fallback: number) => Number(process.env[name] ?? fallback);
const terms = {
  seconds: number("P2P_FOLLOW_SECONDS", 600),
  kills: number("P2P_FOLLOW_KILLS", 50),
  cuts: number("P2P_FOLLOW_CUTS", 20),
  losses: number("P2P_FOLLOW_LOSSES", 5),
};
const seed = number("P2P_CHAOS_SEED", Date.now() % 1_000_000_000);
const [only] = process.argv.slice(2);
console.log(`Seed ${seed}; the same run again: P2P_CHAOS_SEED=${seed} npm run follow`);

const random = seededRandom(seed);
const report = new Report();
const services = await Promise.all([
  startService("redis", { exclusive: true }),
  startService("mongodb", { exclusive: true, changeStreams: "replica-set" }),
  startService("postgresql", { exclusive: true }),
]);
const places = new Places(Object.fromEntries(services.map(({ kind, url }) => [kind, url])) as ServerUrls);
try {
  for (const feed of FEEDS) {
    if (only && feed.source !== only) continue;
    await report.run(`${feed.source} -> ${feed.targets.join(", ")}`, () => follows(places, feed, terms, random));
  }
} finally {
  places.dispose();
  await Promise.all(services.map((service) => service.stop()));
}
report.print();
