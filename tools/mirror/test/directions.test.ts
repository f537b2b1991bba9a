import { Places, type ServerUrls } from "@omni/p2p-matrix/stores";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { afterAll, describe, it } from "vitest";
import { measureDirection, proveDirection } from "../src/direction.ts";
import { DIRECTIONS, FilledStores } from "../src/directions.ts";

const RECORDS = 20_000;

/** Directions of which the memory is measured as well, in processes of their own. */
const MEASURED = ["sqlite -> sqlite", "redis -> postgresql", "elasticsearch -> sqlite"];

function everyDirection(servers: ServerUrls): void {
  const places = new Places(servers);
  const stores = new FilledStores(places, RECORDS);
  afterAll(() => places.dispose());

  describe.each(DIRECTIONS.map(([from, to], round) => ({ from, to, round })))("$from -> $to", ({ from, to, round }) => {
    it("law 11, least writing: writes and deletes just the differences of 20,000 records, and then nothing", async () => {
      const [source, target] = [await stores.place("source", from), await stores.place("target", to)];
      const prove = MEASURED.includes(`${from} -> ${to}`) ? measureDirection : proveDirection;
      await prove({ source, target, records: RECORDS, round });
    });
  });
}

describeWithService("redis", "a mirror in all directions", (redis) => {
  describeWithService("mongodb", "with MongoDB", (mongodb) => {
    describeWithService("elasticsearch", "with Elasticsearch", (elasticsearch) => {
      describeWithService("postgresql", "with PostgreSQL", (postgresql) => {
        const urls = { mongodb: mongodb.url, elasticsearch: elasticsearch.url, postgresql: postgresql.url };
        everyDirection({ redis: redis.url, ...urls });
      });
    });
  });
});
