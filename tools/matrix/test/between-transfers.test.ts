import type { P2PConnectionManager } from "@omni/p2p-core";
import { type ServiceKind, startService, type TestService } from "@omni/p2p-test-services";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { sampleRecords } from "@omni/p2p-testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { memoryIn, newManager } from "../src/round-trip.ts";
import { Places } from "../src/stores.ts";

/** The servers, each started in a way that keeps its data over a restart. */
const SERVERS: Readonly<Record<ServiceKind, () => Promise<TestService>>> = {
  redis: () => startService("redis", { exclusive: true, persistent: true }),
  mongodb: () => startService("mongodb", { exclusive: true }),
  elasticsearch: () => startService("elasticsearch", { exclusive: true }),
  postgresql: () => startService("postgresql", { exclusive: true }),
};

describe.each(Object.keys(SERVERS) as ServiceKind[])("between two transfers", (kind) => {
  describeWithService(kind, `${kind} goes away`, () => {
    const records = sampleRecords(20);
    const options = { deadLetters: false, maxRetries: 0 } as const;
    let server: TestService;
    let places: Places;
    let manager: P2PConnectionManager;

    beforeAll(async () => {
      server = await SERVERS[kind]();
      places = new Places({ [kind]: server.url });
      manager = newManager({ connection_timeout: 5000, reconnect_timeout: 20_000 });
    });
    afterAll(async () => {
      await manager?.close();
      places?.dispose();
      await server?.stop();
    });

    it("isHealthy says so, and the next transfer reconnects with auto_reconnect and no other", async () => {
      const origin = places.fresh("memory");
      for (const record of records) memoryIn(origin).put(record);
      const target = places.fresh(kind);
      const end = places.fresh("memory");
      const there = await manager.establish(origin, target);
      const strict = await manager.establish(origin, places.fresh(kind), { auto_reconnect: false });
      await manager.transferThroughConnection(there.connectionId, {}, options);
      const back = await manager.establish(target, end);
      const all = [there, strict, back];
      for (const { connectionId } of all) expect(await manager.isHealthy(connectionId)).toBe(true);

      await server.restart!(async () => {
        for (const { connectionId } of all) expect(await manager.isHealthy(connectionId)).toBe(false);
        for (const connection of all) expect(connection.status).toBe("ERROR");
      });

      for (const { connectionId } of [there, back]) {
        const result = await manager.transferThroughConnection(connectionId, {}, options);
        expect(result).toMatchObject({ successCount: records.length, failureCount: 0 });
        expect(await manager.isHealthy(connectionId)).toBe(true);
        expect(manager.getConnectionStatistics(connectionId).reconnect_count).toBe(1);
      }
      expect(memoryIn(end).records()).toHaveLength(records.length);
      await expect(manager.transferThroughConnection(strict.connectionId, {}, options)).rejects.toMatchObject({
        code: "INVALID_STATE",
      });
    });
  });
});
