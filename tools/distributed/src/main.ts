// Workers killed in the middle of transfers, then how they scale and what the engine costs:
//   node tools/distributed/src/main.ts [kill|speed|overhead|footprint]
// What changes a run, with what applies without it: P2P_DISTRIBUTED_RECORDS (200000), P2P_DISTRIBUTED_ONLY (a direction);
// for kill P2P_DISTRIBUTED_KILLS (20), P2P_DISTRIBUTED_RATE (10000 records a second), P2P_DISTRIBUTED_DOWN (1500 ms without
// Redis), P2P_DISTRIBUTED_NAMESPACES (1; 0 for one network) and P2P_CHAOS_SEED; for overhead P2P_DISTRIBUTED_RUNS (3).
import { join } from "node:path";
import { parseArgs } from "node:util";
import { enterResultsIn } from "@omni/p2p-matrix/results";
import { Places, type ServerUrls, type Store } from "@omni/p2p-matrix/stores";
import { type ServiceKind, startService, type TestService } from "@omni/p2p-test-services";
import { measureFootprint } from "./footprint.ts";
import { killWorkers } from "./kill.ts";
import { measureOverhead } from "./overhead.ts";
import { measureSpeed } from "./speed.ts";

const FILE = join(import.meta.dirname, "..", "results", "measured.json");

const number = (name: string, fallback: number) => Number(process.env[name] ?? fallback);
const RECORDS = number("P2P_DISTRIBUTED_RECORDS", 200_000);
const KILLS = number("P2P_DISTRIBUTED_KILLS", 20);
const RATE = number("P2P_DISTRIBUTED_RATE", 10_000);
const DOWN = number("P2P_DISTRIBUTED_DOWN", 1500);
const RUNS = number("P2P_DISTRIBUTED_RUNS", 3);
const NAMESPACES = process.env.P2P_DISTRIBUTED_NAMESPACES !== "0";
const ONLY = process.env.P2P_DISTRIBUTED_ONLY;
const seed = number("P2P_CHAOS_SEED", Date.now() % 1_000_000_000);
const { positionals } = parseArgs({ allowPositionals: true });
let failed = false;

/** Numbers by chance that come again with the seed: mulberry32. */
function seeded(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Starts servers for a piece of work, and ends them. */
async function withServers<T>(
  kinds: readonly ServiceKind[],
  work: (places: Places, engine: TestService, services: readonly TestService[]) => Promise<T>,
): Promise<T> {
  const engine = await startService("redis", { persistent: true, exclusive: true });
  const services = await Promise.all(kinds.map((kind) => startService(kind, { exclusive: true })));
  const places = new Places(Object.fromEntries(services.map(({ kind, url }) => [kind, url])) as ServerUrls);
  try {
    return await work(places, engine, services);
  } finally {
    places.dispose();
    await Promise.all([engine, ...services].map((service) => service.stop()));
  }
}

async function part(kind: string, name: string, work: () => Promise<unknown>): Promise<void> {
  if (positionals.length > 0 && !positionals.includes(kind)) return;
  console.log(`\n${kind}: ${name}`);
  const outcome = await work();
  console.log(JSON.stringify(outcome, undefined, 2));
  enterResultsIn(FILE, `${kind}: ${name}`, outcome);
}

const isServer = (store: Store): store is ServiceKind => store !== "memory" && store !== "sqlite";

const DIRECTIONS: readonly (readonly [Store, Store, number | undefined])[] = [
  ["mongodb", "elasticsearch", undefined],
  ["sqlite", "redis", undefined],
  // A file has one writer at a time, so more than two would only wait for each other.
  ["elasticsearch", "sqlite", 2],
  ["sqlite", "postgresql", undefined],
  ["postgresql", "elasticsearch", undefined],
];

for (const [from, to, targetPartitions] of DIRECTIONS) {
  const name = `${from} to ${to}`;
  if (ONLY !== undefined && ONLY !== name) continue;
  await part("kill", name, () =>
    withServers([from, to].filter(isServer), async (places, redis, services) => {
      console.log(`Seed ${seed}; the same run again: P2P_CHAOS_SEED=${seed}`);
      // FerretDB looks through the whole collection for every piece, so there are no more pieces than partitions.
      const whole = services.some(({ product }) => product === "FerretDB");
      const outcome = await killWorkers({
        ...{ name, records: RECORDS, partitions: 16, workers: 4, kills: KILLS, rate: RATE, redis, downMs: DOWN },
        ...{ source: places.fresh(from), target: places.fresh(to), namespaces: NAMESPACES, random: seeded(seed) },
        ...(whole && { grains: 1 }),
        ...(targetPartitions !== undefined && { targetPartitions }),
      });
      failed ||= outcome.trouble.length > 0;
      return { seed, servers: services.map(({ product, version }) => `${product} ${version}`), ...outcome };
    }),
  );
}

await part("speed", "1, 2 and 4 workers", () =>
  withServers(["redis"], async (places, { url }) => {
    const outcome = await measureSpeed(url, places.fresh("sqlite"), () => places.fresh("redis"), RECORDS);
    failed ||= (outcome.speeds.at(-1)?.times ?? 0) < 3.2;
    return outcome;
  }),
);

for (const to of ["redis", "elasticsearch"] as const) {
  const name = `sqlite to ${to}`;
  if (ONLY !== undefined && ONLY !== name) continue;
  await part("overhead", name, () =>
    withServers([to], async (places, { url }) => {
      const outcome = await measureOverhead(url, name, places.fresh("sqlite"), () => places.fresh(to), RECORDS, RUNS);
      failed ||= outcome.overhead > 0.15;
      return outcome;
    }),
  );
}

await part("footprint", "Redis memory and round trips", () =>
  withServers(["redis"], (places, { url }) =>
    measureFootprint(url, places.fresh("sqlite"), places.fresh("redis"), RECORDS),
  ),
);

if (failed) process.exitCode = 1;
