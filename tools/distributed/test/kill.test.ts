import { Places } from "@omni/p2p-matrix/stores";
import { startService } from "@omni/p2p-test-services";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, it } from "vitest";
import { killWorkers } from "../src/kill.ts";

describeWithService("redis", "workers that are killed", ({ url }) => {
  it("lose no record and finish each partition once: SQLite to Redis", async () => {
    const places = new Places({ redis: url });
    const redis = await startService("redis", { persistent: true, exclusive: true });
    try {
      const outcome = await killWorkers({
        name: "sqlite to redis",
        source: places.fresh("sqlite"),
        target: places.fresh("redis"),
        ...{ records: 12_000, partitions: 8, workers: 3, kills: 3, rate: 3000, namespaces: false, redis },
        random: Math.random,
      });
      expect(outcome).toMatchObject({ kills: 3, trouble: [] });
      if (redis.restart) expect(outcome.redisRestarts).toBe(1);
    } finally {
      await redis.stop();
      places.dispose();
    }
  });
});
