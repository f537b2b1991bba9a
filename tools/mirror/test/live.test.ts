import { seededRandom } from "@omni/p2p-chaos/random";
import { Report } from "@omni/p2p-chaos/report";
import { Places } from "@omni/p2p-matrix/stores";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { afterAll, expect, it } from "vitest";
import { type LiveSettings, proveLive } from "../src/live.ts";

const seed = Date.now() % 1_000_000_000;

/** Quicker than by hand, on machines that may be slow. */
const IN_CI: LiveSettings = { lagMs: [300, 800], settleMs: 2000, leastRate: 50 };

describeWithService("redis", `a live comparison under writes (seed ${seed})`, (redis) => {
  const places = new Places({ redis: redis.url });
  afterAll(() => places.dispose());

  it.concurrent.each([
    ["memory", "memory"],
    ["sqlite", "redis"],
  ] as const)("of %s and %s tells all faults and nothing that is on its way", async (from, to) => {
    const report = new Report();
    await proveLive(report, places, from, to, 1, seededRandom(seed), IN_CI);
    expect(report.trials).toMatchObject([{ passed: true }]);
  });
});
