/** All directions, with each store filled once as a source and once as a target, which falls behind in each direction anew. */
import type { Report } from "@omni/p2p-chaos/report";
import { type Places, STORES, type Store } from "@omni/p2p-matrix/stores";
import { measureDirection } from "./direction.ts";
import { fill } from "./drift.ts";
import { enterResults } from "./results.ts";
import { openStore } from "./stores.ts";

/** Every ordered pair of stores. */
export const DIRECTIONS: readonly (readonly [source: Store, target: Store])[] = STORES.flatMap((source) =>
  STORES.map((target) => [source, target] as const),
);

/** Stores that are filled when they first come by. */
export class FilledStores {
  readonly #places: Places;
  readonly #records: number;
  readonly #filled = new Map<string, Promise<string>>();

  constructor(places: Places, records: number) {
    this.#places = places;
    this.#records = records;
  }

  /** The place of a store in a role, with the records in it. */
  place(role: "source" | "target", store: Store): Promise<string> {
    const key = `${role} ${store}`;
    const place = this.#filled.get(key) ?? this.#fill(store);
    this.#filled.set(key, place);
    return place;
  }

  async #fill(store: Store): Promise<string> {
    const place = this.#places.fresh(store);
    const service = await openStore(place);
    await fill(service, this.#records).finally(() => service.close());
    return place;
  }
}

/** Mirrors in some directions and measures it. */
export async function measureDirections(
  report: Report,
  places: Places,
  isMeant: (source: Store, target: Store) => boolean,
  records: number,
  isOnFile: boolean,
): Promise<void> {
  const stores = new FilledStores(places, records);
  for (const [round, [from, to]] of DIRECTIONS.entries()) {
    if (!isMeant(from, to)) continue;
    await report.run(`mirror: ${from} -> ${to}`, async () => {
      const [source, target] = [await stores.place("source", from), await stores.place("target", to)];
      const measured = await measureDirection({ source, target, records, round });
      const { verifyMs, mirrorMs, verifyMb, mirrorMb } = measured;
      const detail = `${records} records, ${Math.round(mirrorMs)} ms (verify ${Math.round(verifyMs)}), ${Math.round(mirrorMb)} MB (verify ${Math.round(verifyMb)})`;
      console.log(`${from} -> ${to}: ${detail}`);
      if (isOnFile) enterResults(`${from} to ${to}`, { records, ...measured });
      return detail;
    });
  }
}
