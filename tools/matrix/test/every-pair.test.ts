import type { P2PRecord } from "@omni/p2p-core";
import { lacks } from "@omni/p2p-test-services";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { recordsArbitrary, sampleRecords, type ValueLimits } from "@omni/p2p-testkit";
import fc from "fast-check";
import { afterAll, describe, it } from "vitest";
import { newManager, roundTrip } from "../src/round-trip.ts";
import { COPIED_STORES, Places, type ServerUrls } from "../src/stores.ts";

/** Every ordered pair of stores, those with a server named first, so that a missing one skips its pairs. */
function everyPair(servers: ServerUrls, limits: ValueLimits): void {
  const places = new Places(servers);
  const manager = newManager();

  afterAll(async () => {
    await manager.close();
    places.dispose();
  });

  describe.each(COPIED_STORES.flatMap((from) => COPIED_STORES.map((to) => ({ from, to }))))(
    "$from -> $to -> $from",
    ({ from, to }) => {
      it("law 2, round trip: every value type comes back", async () => {
        await roundTrip(manager, places, from, to, sampleRecords(100));
      });

      it("law 2, round trip: generated records come back", async () => {
        const property = fc.asyncProperty(recordsArbitrary(limits), async (records: readonly P2PRecord[]) => {
          await roundTrip(manager, places, from, to, records);
        });
        await fc.assert(property, { numRuns: 3 });
      });
    },
  );
}

describeWithService("redis", "all directions", (redis) => {
  describeWithService("mongodb", "with MongoDB", (mongodb) => {
    describeWithService("elasticsearch", "with Elasticsearch", (elasticsearch) => {
      describeWithService("postgresql", "with PostgreSQL", (postgresql) => {
        const alike = lacks(mongodb.product, "ids of different types that look alike");
        everyPair(
          { redis: redis.url, mongodb: mongodb.url, elasticsearch: elasticsearch.url, postgresql: postgresql.url },
          alike ? { idsWithout: ["date", "bytes"] } : {},
        );
      });
    });
  });
});
