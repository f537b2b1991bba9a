// `npm run chaos`: processes killed, sockets cut, servers restarted and disks filled in the middle of transfers, on real
// servers. P2P_CHAOS_SEED repeats a run; P2P_CHAOS_KILLS sets the kills for each direction.
import { Places, type ServerUrls } from "@omni/p2p-matrix/stores";
import { startService } from "@omni/p2p-test-services";
import { fillDisks } from "./disk-full.ts";
import { killProcesses } from "./kill.ts";
import { breakNetwork } from "./network.ts";
import { seededRandom } from "./random.ts";
import { Report } from "./report.ts";

const seed = Number(process.env.P2P_CHAOS_SEED ?? Date.now() % 1_000_000_000);
const kills = Number(process.env.P2P_CHAOS_KILLS ?? 50);
const only = process.argv[2];
console.log(`Seed ${seed}; the same run again: P2P_CHAOS_SEED=${seed} npm run chaos`);

const random = seededRandom(seed);
const services = await Promise.all([
  startService("redis", { persistent: true, exclusive: true }),
  startService("mongodb", { exclusive: true }),
  startService("elasticsearch", { exclusive: true }),
]);
const places = new Places(Object.fromEntries(services.map(({ kind, url }) => [kind, url])) as ServerUrls);
const report = new Report();
try {
  if (!only || only === "kill") await killProcesses(report, places, random, kills);
  if (!only || only === "network") await breakNetwork(report, services, random);
  if (!only || only === "disk") await fillDisks(report, places);
} finally {
  places.dispose();
  await Promise.all(services.map((service) => service.stop()));
}
report.print();
