// `npm run matrix`: every ordered pair of stores, with every value type, on real servers.
import { isAvailable, serviceKinds, startServices } from "@omni/p2p-test-services";
import { sampleRecords } from "@omni/p2p-testkit";
import { newManager, roundTrip } from "./round-trip.ts";
import { COPIED_STORES, Places, type ServerUrls } from "./stores.ts";

const RECORDS = 2000;

const services = await startServices(serviceKinds);
const servers: ServerUrls = Object.fromEntries(services.filter(isAvailable).map(({ kind, url }) => [kind, url]));
const places = new Places(servers);
const manager = newManager();
const records = sampleRecords(RECORDS);
const rows: Record<string, string | number>[] = [];
let failed = 0;

for (const from of COPIED_STORES) {
  for (const to of COPIED_STORES) {
    let verdict = "equal";
    let rate = 0;
    try {
      const { successCount, durationMs } = await roundTrip(manager, places, from, to, records);
      rate = Math.round((successCount * 1000) / durationMs);
    } catch (error) {
      verdict = `FAILED: ${(error as Error).message.split("\n")[0]?.slice(0, 60)}`;
      failed++;
      console.error(`${from} -> ${to}: ${(error as Error).message}`);
    }
    rows.push({ pair: `${from} -> ${to}`, records: RECORDS, "records/s": rate.toLocaleString("en"), verdict });
  }
}

console.table(rows);
await manager.close();
places.dispose();
await Promise.all(services.filter(isAvailable).map((service) => service.stop()));
console.log(`${rows.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
