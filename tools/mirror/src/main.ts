// `npm run mirror`: what a mirror promises, on real servers. `npm run mirror directions` runs one part, and
// `npm run mirror directions sqlite redis` one direction of it. P2P_MIRROR_RECORDS (20000) sets the records of each direction.
import { Report } from "@omni/p2p-chaos/report";
import { Places, type ServerUrls, STORES } from "@omni/p2p-matrix/stores";
import { isAvailable, serviceKinds, startServices } from "@omni/p2p-test-services";
import { proveDirections } from "./directions.ts";

const RECORDS = Number(process.env.P2P_MIRROR_RECORDS ?? 20_000);
const [only, from, to] = process.argv.slice(2);

const services = await startServices(serviceKinds);
const servers: ServerUrls = Object.fromEntries(services.filter(isAvailable).map(({ kind, url }) => [kind, url]));
const places = new Places(servers);
const report = new Report();
const isMeant = (part: string) => !only || only === part;

try {
  if (isMeant("directions")) {
    const pairs = STORES.flatMap((target) => STORES.map((source) => ({ source, target })));
    const meant = pairs.filter(({ source, target }) => (!from || source === from) && (!to || target === to));
    await proveDirections(report, places, meant, RECORDS);
  }
} finally {
  places.dispose();
  await Promise.all(services.filter(isAvailable).map((service) => service.stop()));
}
report.print();
