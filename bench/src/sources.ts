import { sourceFile } from "./data.ts";
import { runLimit } from "./limits/index.ts";
import { runOurs } from "./ours.ts";
import type { Place, Store } from "./places.ts";
import type { Servers } from "./servers.ts";
import { SHAPES, type ShapeName } from "./shapes.ts";

/** The first database of Redis is the target; sixteen are what a server has. */
const REDIS_DATABASES = 16;

/** The sources of a run: filled by our own transfer from a SQLite file when they are first needed, and kept. */
export class Sources {
  readonly #servers: Servers;
  readonly #filled = new Map<string, Promise<Place>>();
  readonly #fillMs = new Map<string, number>();
  #nextDatabase = 1;

  constructor(servers: Servers) {
    this.#servers = servers;
  }

  /** A source with so many records. That in memory is for the process to fill which reads it. */
  get(store: Store, shape: ShapeName, records: number): Promise<Place> {
    const key = keyOf(store, shape, records);
    const source = this.#filled.get(key) ?? this.#fill(store, shape, records);
    this.#filled.set(key, source);
    // The next direction that needs it may have more luck.
    source.catch(() => this.#filled.delete(key));
    return source;
  }

  /** How long it took to fill a source. */
  fillMs(store: Store, shape: ShapeName, records: number): number {
    return this.#fillMs.get(keyOf(store, shape, records)) ?? 0;
  }

  async #fill(store: Store, shape: ShapeName, records: number): Promise<Place> {
    const file = sourceFile(shape, records);
    if (store === "sqlite") return { store, server: "", name: file };
    if (store === "memory") return { store, server: "", name: `${shape}-${records}` };
    const name = store === "redis" ? this.#database() : `${shape}-${records}`;
    const place = { store, server: await this.#servers.url(store), name };
    const start = performance.now();
    await runOurs({ store: "sqlite", server: "", name: file }, place);
    this.#fillMs.set(keyOf(store, shape, records), performance.now() - start);
    return place;
  }

  #database(): string {
    if (this.#nextDatabase === REDIS_DATABASES) throw new Error("Redis has no database left for another source");
    return String(this.#nextDatabase++);
  }
}

function keyOf(store: Store, shape: ShapeName, records: number): string {
  return `${store} ${shape} ${records}`;
}

/** Fills a source in memory, for ours, for the loop, or for both. Does nothing for other stores. */
export async function fillMemory(
  place: Place,
  file: string,
  shape: ShapeName,
  users: readonly ("ours" | "limit")[],
): Promise<void> {
  if (place.store !== "memory") return;
  const records: Place = { store: "sqlite", server: "", name: file };
  if (users.includes("ours")) await runOurs(records, place);
  if (users.includes("limit")) await runLimit(records, place, SHAPES[shape]);
}
