import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dropMemoryStore, memoryStore } from "@omni/p2p-starter-memory";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeSource } from "../src/data.ts";
import { emptyPlace } from "../src/empty.ts";
import { runLimit } from "../src/limits/index.ts";
import { maps } from "../src/limits/memory.ts";
import { runOurs } from "../src/ours.ts";
import { DIRECTIONS, type Place, STORES, type Store } from "../src/places.ts";
import { SHAPE_NAMES, SHAPES } from "../src/shapes.ts";
import { fillMemory } from "../src/sources.ts";
import { runUsual } from "../src/usual/run.ts";

/** More than a page of every loop, and no whole number of them. */
const RECORDS = 1234;

/** What our library finds in a place, by id. */
async function contents(place: Place): Promise<unknown[]> {
  dropMemoryStore("seen");
  await runOurs(place, { store: "memory", server: "", name: "seen" });
  return byId(memoryStore("seen").records());
}

function byId<R extends { readonly id: unknown }>(records: readonly R[]): R[] {
  return records.toSorted((a, b) => (String(a.id) < String(b.id) ? -1 : 1));
}

function everyLoop(servers: Partial<Record<Store, string>>): void {
  const folder = mkdtempSync(join(tmpdir(), "omni-p2p-bench-"));
  const made: Place[] = [];

  // Database 0 is what the other suites of this run use.
  const place = (store: Store, name: string, database: number): Place => {
    const where = { sqlite: join(folder, `${name}.db`), redis: String(database) }[store as string];
    const found = { store, server: servers[store] ?? "", name: where ?? `bench-${process.pid}-${name}` };
    made.push(found);
    return found;
  };

  afterAll(async () => {
    for (const each of made) await emptyPlace(each);
    rmSync(folder, { recursive: true, force: true });
  });

  describe.each(SHAPE_NAMES)("with records of the shape %s", (shapeName) => {
    const shape = SHAPES[shapeName];
    const file = join(folder, `${shapeName}.db`);
    const sources = new Map(STORES.map((store) => [store, place(store, `${shapeName}-source`, 1)]));
    const byHand = (to: Store) => place(to, `${shapeName}-by-hand`, 2);
    let wanted: unknown[];

    beforeAll(async () => {
      makeSource(file, shapeName, RECORDS);
      sources.set("sqlite", { store: "sqlite", server: "", name: file });
      for (const [store, source] of sources) {
        if (store === "memory") await fillMemory(source, file, shapeName, ["ours", "limit"]);
        else if (store !== "sqlite") {
          await emptyPlace(source);
          await runOurs(sources.get("sqlite")!, source);
        }
      }
      wanted = await contents(sources.get("sqlite")!);
    });

    it("has the records to begin with", () => expect(wanted).toHaveLength(RECORDS));

    it.each(DIRECTIONS)("leaves by hand what ours leaves: $from -> $to", async ({ from, to }) => {
      const target = byHand(to);
      await emptyPlace(target);
      await runLimit(sources.get(from)!, target, shape);
      expect(to === "memory" ? byId([...maps.get(target.name)!.values()]) : await contents(target)).toEqual(wanted);
    });

    it.each(DIRECTIONS)("moves records in the usual way: $from -> $to", async ({ from, to }) => {
      const target = byHand(to);
      await emptyPlace(target);
      const { records } = await runUsual(sources.get(from)!, target, shape, 100);
      expect(records).toBeGreaterThan(0);
    });
  });
}

describeWithService("redis", "the loops", (redis) => {
  describeWithService("mongodb", "with MongoDB", (mongodb) => {
    describeWithService("elasticsearch", "with Elasticsearch", (elasticsearch) => {
      describeWithService("postgresql", "with PostgreSQL", (postgresql) => {
        everyLoop({
          ...{ redis: redis.url, mongodb: mongodb.url, elasticsearch: elasticsearch.url },
          postgresql: postgresql.url,
        });
      });
    });
  });
});
