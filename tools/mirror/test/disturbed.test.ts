import { seededRandom } from "@omni/p2p-chaos/random";
import { Report } from "@omni/p2p-chaos/report";
import { Places } from "@omni/p2p-matrix/stores";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { afterAll, describe, expect, it } from "vitest";
import { HARMS, proveHarmed } from "../src/harmed.ts";
import { proveKills } from "../src/kills.ts";

const seed = Date.now() % 1_000_000_000;

describeWithService("redis", `a mirror that is disturbed (seed ${seed})`, (redis) => {
  describeWithService("postgresql", "with PostgreSQL", (postgresql) => {
    const places = new Places({ redis: redis.url, postgresql: postgresql.url });
    const random = seededRandom(seed);
    afterAll(() => places.dispose());

    it("loses nothing when its process is killed, and ends equal: Redis to PostgreSQL", async () => {
      const report = new Report();
      await proveKills(report, places, "redis", "postgresql", 2, random);
      expect(report.trials).toHaveLength(2);
      expect(report.trials.filter(({ passed }) => !passed)).toEqual([]);
    });

    describe.each(HARMS)("whose source is %s in its middle", (harm) => {
      it("deletes nothing on its word", async () => {
        const report = new Report();
        await proveHarmed(report, places, harm, 8, random, ["memory", "sqlite", "redis", "postgresql"]);
        expect(report.trials).toHaveLength(8);
        expect(report.trials.filter(({ passed }) => !passed)).toEqual([]);
      });
    });
  });
});
