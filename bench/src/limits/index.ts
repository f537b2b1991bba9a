import type { Place, Store } from "../places.ts";
import type { Shape } from "../shapes.ts";
import { type Loop, runLoop } from "./loop.ts";

/** Each is loaded when it is needed, as starters are: a client library that nobody uses takes memory, too. */
const loops: Record<Store, () => Promise<unknown>> = {
  memory: async () => (await import("./memory.ts")).memoryLoop,
  sqlite: async () => (await import("./sqlite.ts")).sqliteLoop,
  redis: async () => (await import("./redis.ts")).redisLoop,
  mongodb: async () => (await import("./mongodb.ts")).mongodbLoop,
  elasticsearch: async () => (await import("./elasticsearch.ts")).elasticsearchLoop,
  postgresql: async () => (await import("./postgresql.ts")).postgresqlLoop,
};

/** Each store's form of records is its own, and no business of whoever puts two stores together. */
async function loopOf(store: Store): Promise<Loop<unknown>> {
  return (await loops[store]()) as Loop<unknown>;
}

/** Reads a place by the best hand-written loop, into records. @returns how many there are. */
export async function readByHand(place: Place, shape: Shape): Promise<number> {
  const loop = await loopOf(place.store);
  const decode = loop.decode(shape);
  let records = 0;
  for await (const page of loop.read(place, shape)) for (const stored of page) if (decode(stored)) records++;
  return records;
}

/** The best hand-written loop from one place to another. */
export async function runLimit(from: Place, to: Place, shape: Shape): Promise<void> {
  await runLoop([await loopOf(from.store), from], [await loopOf(to.store), to], shape);
}
