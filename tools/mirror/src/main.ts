// `npm run mirror`: what a mirror promises, on real servers. `npm run mirror directions` runs one part, and
// `npm run mirror directions sqlite redis` one direction of it.
// What changes a run, with what applies without it: P2P_MIRROR_RECORDS (20000 records a direction), P2P_MIRROR_ON_FILE (enters what came
// of it into results/measured.json), P2P_MIRROR_KILLS (34 for each of three directions), P2P_MIRROR_TRIALS (100 for
// each source that cannot be believed), P2P_MIRROR_LIVE_RUNS (20 live comparisons for each of three directions), P2P_CHAOS_SEED.
import { seededRandom } from "@omni/p2p-chaos/random";
import { Report } from "@omni/p2p-chaos/report";
import { Places, type ServerUrls } from "@omni/p2p-matrix/stores";
import { isAvailable, serviceKinds, startServices } from "@omni/p2p-test-services";
import { measureDirections } from "./directions.ts";
import { HARMS, proveHarmed } from "./harmed.ts";
import { KILLED, proveKills } from "./kills.ts";
import { COMPARED, proveLive } from "./live.ts";
import { enterResults } from "./results.ts";

const number = (name: string, fallback: number) => Number(process.env[name] ?? fallback);
const RECORDS = number("P2P_MIRROR_RECORDS", 20_000);
const ON_FILE = process.env.P2P_MIRROR_ON_FILE === "1";
const KILLS = number("P2P_MIRROR_KILLS", 34);
const TRIALS = number("P2P_MIRROR_TRIALS", 100);
const LIVE_RUNS = number("P2P_MIRROR_LIVE_RUNS", 20);
const seed = number("P2P_CHAOS_SEED", Date.now() % 1_000_000_000);
const [only, from, to] = process.argv.slice(2);
console.log(`Seed ${seed}; the same run again: P2P_CHAOS_SEED=${seed} npm run mirror`);

const random = seededRandom(seed);
const services = await startServices(serviceKinds);
const servers: ServerUrls = Object.fromEntries(services.filter(isAvailable).map(({ kind, url }) => [kind, url]));
const places = new Places(servers);
const report = new Report();
const isMeant = (part: string) => !only || only === part;
const isMeantPair = (source: string, target: string) => (!from || source === from) && (!to || target === to);

try {
  if (isMeant("directions")) await measureDirections(report, places, isMeantPair, RECORDS, ON_FILE);
  for (const [part, prove] of Object.entries({ kills, harmed, live })) {
    if (!isMeant(part)) continue;
    const own = new Report();
    await prove(own);
    for (const { scenario, passed, detail } of own.trials) report.add(scenario, passed, detail);
    if (ON_FILE) enterResults(part, { seed, scenarios: own.summary() });
  }
} finally {
  places.dispose();
  await Promise.all(services.filter(isAvailable).map((service) => service.stop()));
}
report.print();

/** Processes killed. */
async function kills(own: Report): Promise<void> {
  for (const [source, target] of KILLED) {
    if (isMeantPair(source, target)) await proveKills(own, places, source, target, KILLS, random);
  }
}

/** Sources that cannot be believed. */
async function harmed(own: Report): Promise<void> {
  for (const harm of HARMS) await proveHarmed(own, places, harm, TRIALS, random);
}

/** Live comparisons. */
async function live(own: Report): Promise<void> {
  for (const [source, target] of COMPARED) {
    if (isMeantPair(source, target)) await proveLive(own, places, source, target, LIVE_RUNS, random);
  }
}
