// `npm run chaos`: processes killed, sockets cut, servers restarted and disks filled in the middle of transfers, on real
// servers. `npm run chaos kill` runs one part, `npm run chaos kill postgresql` what has to do with one store in it.
// P2P_CHAOS_SEED repeats a run; P2P_CHAOS_KILLS sets the kills for each direction.
import { Places, type ServerUrls } from "@omni/p2p-matrix/stores";
import { startService, type TestService } from "@omni/p2p-test-services";
import { fillDisks } from "./disk-full.ts";
import { poisonWorkers } from "./engine.ts";
import { readHostileFiles } from "./hostile-sqlite.ts";
import { killProcesses } from "./kill.ts";
import { breakNetwork } from "./network.ts";
import { seededRandom } from "./random.ts";
import { replaceStores } from "./replaced.ts";
import { Report } from "./report.ts";
import { troubleState } from "./state.ts";

const seed = Number(process.env.P2P_CHAOS_SEED ?? Date.now() % 1_000_000_000);
const kills = Number(process.env.P2P_CHAOS_KILLS ?? 50);
const [only, store] = process.argv.slice(2);
/** Whether a trial is asked for, which is one with this store where one is named. */
const meant = (...stores: readonly string[]) => store === undefined || stores.includes(store);
console.log(`Seed ${seed}; the same run again: P2P_CHAOS_SEED=${seed} npm run chaos`);

const random = seededRandom(seed);
const report = new Report();

/** Runs a part on servers of its own, so that what one part leaves behind does not weigh on the next. */
async function part(
  name: string,
  work: (places: Places, services: readonly TestService[]) => Promise<void>,
): Promise<void> {
  if (only && only !== name) return;
  const services = await Promise.all([
    startService("redis", { persistent: true, exclusive: true }),
    startService("mongodb", { exclusive: true }),
    startService("elasticsearch", { exclusive: true }),
    startService("postgresql", { exclusive: true }),
  ]);
  const places = new Places(Object.fromEntries(services.map(({ kind, url }) => [kind, url])) as ServerUrls);
  try {
    await work(places, services);
  } finally {
    places.dispose();
    await Promise.all(services.map((service) => service.stop()));
  }
}

await part("kill", (places) => killProcesses(report, places, random, kills, meant));
await part("network", (_, services) =>
  breakNetwork(
    report,
    services.filter(({ kind }) => meant(kind)),
    random,
  ),
);
await part("replaced", (places) => replaceStores(report, places, meant));
await part("disk", (places, services) => fillDisks(report, places, services));
if (!only || only === "hostile") await readHostileFiles(report, random);
if (!only || only === "state") {
  const places = new Places({} as ServerUrls);
  await troubleState(report, places).finally(() => places.dispose());
}
if (!only || only === "engine") {
  const redis = await startService("redis", { persistent: true, exclusive: true });
  const places = new Places({ redis: redis.url } as ServerUrls);
  try {
    await poisonWorkers(report, places, redis.url, random);
  } finally {
    places.dispose();
    await redis.stop();
  }
}
report.print();
