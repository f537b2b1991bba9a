import { seededRandom } from "@omni/p2p-chaos/random";
import { Report } from "@omni/p2p-chaos/report";
import { Places, type ServerUrls } from "@omni/p2p-matrix/stores";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { afterAll, describe, expect, it } from "vitest";
import { HARMS, proveHarmed } from "../src/harmed.ts";
import { proveKills } from "../src/kills.ts";

const KILLS = 2;
const TRIALS = 8;
const seed = Date.now() % 1_000_000_000;

function disturbed(servers: ServerUrls): void {
  const places = new Places(servers);
  const random = seededRandom(seed);
  afterAll(() => places.dispose());

  it("law 9, convergence: ends equal when its process is killed, and nothing is missing meanwhile", async () => {
    const report = new Report();
    await proveKills(report, places, "redis", "postgresql", KILLS, random);
    expect(report.trials).toHaveLength(KILLS);
    expect(report.trials.filter(({ passed }) => !passed)).toEqual([]);
  });

  describe.each(HARMS.map((harm) => ({ harm })))("whose source is $harm in its middle", ({ harm }) => {
    it("law 10, no wrongful delete: deletes nothing on its word", async () => {
      const report = new Report();
      await proveHarmed(report, places, harm, TRIALS, random, ["memory", "sqlite", "redis", "postgresql"]);
      expect(report.trials).toHaveLength(TRIALS);
      expect(report.trials.filter(({ passed }) => !passed)).toEqual([]);
    });
  });
}

describeWithService("redis", `a mirror that is disturbed (seed ${seed})`, (redis) => {
  describeWithService("postgresql", "with PostgreSQL", (postgresql) => {
    disturbed({ redis: redis.url, postgresql: postgresql.url });
  });
});
