// `npm run follow`: each feed under a thousand changes a second, into two targets, through kills, cut sockets and lost positions, ten
// minutes each, one after the other. `npm run follow postgresql` runs one.
// What changes a run, with what applies without it: P2P_FOLLOW_SECONDS (600), P2P_FOLLOW_KILLS (50), P2P_FOLLOW_CUTS (20), P2P_FOLLOW_LOSSES
// (3), P2P_FOLLOW_RATE (1: the share of the rate), P2P_FOLLOW_ON_FILE (enters what came of it into results/measured.json), P2P_CHAOS_SEED.
import { join } from "node:path";
import { enterResultsIn } from "@omni/p2p-matrix/results";
import { FEEDS } from "./feeds.ts";
import type { Failure, Outcome } from "./outcome.ts";
import { ProofServers, printTable, trialOf } from "./proof.ts";

const FILE = join(import.meta.dirname, "..", "results", "measured.json");

const number = (name: string, fallback: number) => Number(process.env[name] ?? fallback);
const terms = {
  seconds: number("P2P_FOLLOW_SECONDS", 600),
  calmSeconds: 20,
  kills: number("P2P_FOLLOW_KILLS", 50),
  cuts: number("P2P_FOLLOW_CUTS", 20),
  losses: number("P2P_FOLLOW_LOSSES", 3),
  steady: true,
  strict: true,
};
const share = number("P2P_FOLLOW_RATE", 1);
const seed = number("P2P_CHAOS_SEED", Date.now() % 1_000_000_000);
const [only] = process.argv.slice(2);
console.log(`Seed ${seed}; the same run again: P2P_CHAOS_SEED=${seed} npm run follow`);

const rows: (Outcome | Failure)[] = [];
await using servers = await ProofServers.start();
for (const feed of FEEDS) {
  if (only && feed.source !== only) continue;
  const row = await trialOf(servers.places, { ...feed, rate: feed.rate * share }, terms, seed);
  console.log(`${feed.source}: ${"failed" in row ? `FAILED: ${row.failed}` : "passed"}`);
  rows.push(row);
  if (process.env.P2P_FOLLOW_ON_FILE === "1") enterResultsIn(FILE, feed.source, { seed, ...terms, ...row });
}
printTable(rows);
process.exitCode = rows.some((row) => "failed" in row) ? 1 : 0;
