/** All directions, with each store filled once as a source and once as a target. */
import type { Report } from "@omni/p2p-chaos/report";
import type { Places, Store } from "@omni/p2p-matrix/stores";
import { proveDirection } from "./direction.ts";
import { fill } from "./drift.ts";
import { openStore } from "./stores.ts";

/** A direction. */
interface Direction {
  readonly source: Store;
  readonly target: Store;
}

/** Mirrors in some directions; a store is filled when it first comes by, and changed in place afterwards. */
export async function proveDirections(
  report: Report,
  places: Places,
  directions: readonly Direction[],
  records: number,
): Promise<void> {
  const filled = new Map<string, Promise<string>>();
  const placeOf = (role: string, store: Store) => {
    const key = `${role} ${store}`;
    const place = filled.get(key) ?? filledPlace(places, store, records);
    filled.set(key, place);
    return place;
  };
  for (const [round, { source, target }] of directions.entries()) {
    await report.run(`mirror: ${source} -> ${target}`, async () => {
      const { verifyMs, mirrorMs, verifyMb, mirrorMb } = await proveDirection(
        await placeOf("source", source),
        await placeOf("target", target),
        records,
        round,
      );
      const detail = `${records} records, ${Math.round(mirrorMs)} ms (verify ${Math.round(verifyMs)}), ${Math.round(mirrorMb)} MB (${Math.round(verifyMb)})`;
      console.log(`${source} -> ${target}: ${detail}`);
      return detail;
    });
  }
}

async function filledPlace(places: Places, store: Store, records: number): Promise<string> {
  const place = places.fresh(store);
  // A memory store lives in the process that mirrors, which fills it.
  if (store === "memory") return place;
  const service = await openStore(place);
  await fill(service, records).finally(() => service.close());
  return place;
}
