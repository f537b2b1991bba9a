import type { Place, Store } from "../places.ts";
import type { Shape } from "../shapes.ts";
import { elasticsearchLoop } from "./elasticsearch.ts";
import { type Loop, runLoop } from "./loop.ts";
import { memoryLoop } from "./memory.ts";
import { mongodbLoop } from "./mongodb.ts";
import { redisLoop } from "./redis.ts";
import { sqliteLoop } from "./sqlite.ts";

const loops = {
  memory: memoryLoop,
  sqlite: sqliteLoop,
  redis: redisLoop,
  mongodb: mongodbLoop,
  elasticsearch: elasticsearchLoop,
};

/** Each store's form of records is its own, and no business of whoever puts two stores together. */
function loopOf(store: Store): Loop<unknown> {
  return loops[store] as Loop<unknown>;
}

/** The best hand-written loop from one place to another. */
export async function runLimit(from: Place, to: Place, shape: Shape): Promise<void> {
  await runLoop([loopOf(from.store), from], [loopOf(to.store), to], shape);
}
