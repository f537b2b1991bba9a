import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { referenceAdapter } from "@omni/p2p-testkit";
import { expect, test } from "vitest";
import { elasticsearchStarter } from "../src/index.ts";
import { call } from "./fresh-index.ts";
import { testIndex } from "./opening.ts";

describeWithService("elasticsearch", "one _id under two routings", ({ url }) => {
  /** An index with documents of one `_id` on two shards. */
  async function routed(): Promise<string> {
    const { index, endpoint } = testIndex(url);
    const mappings = { properties: { id: { type: "keyword" }, n: { type: "long" } } };
    await call(url, "PUT", `/${index}`, JSON.stringify({ settings: { number_of_shards: 8 }, mappings }));
    const lines = ["a", "b", "c", "d"].flatMap((routing, n) => [
      JSON.stringify({ index: { _id: n < 3 ? "same" : "other", routing } }),
      JSON.stringify({ id: n < 3 ? "same" : "other", n }),
    ]);
    await call(url, "POST", `/${index}/_bulk?refresh=true`, `${lines.join("\n")}\n`);
    return endpoint;
  }

  test("is told by the transfer, to another store and to another index, and by verify", async () => {
    const source = await routed();
    const reference = referenceAdapter();
    const place = await reference.createEndpoint();
    const targets = [place.endpoint, testIndex(url).endpoint];
    await using manager = new DefaultP2PConnectionManager();
    manager.registerService("elasticsearch", elasticsearchStarter);
    manager.registerService(reference.starter.storageType, reference.starter);
    for (const target of targets) {
      const { connectionId } = await manager.establish(source, target);
      const result = await manager.transferThroughConnection(connectionId, {});
      const found = await manager.verify(connectionId, {});
      const gone = found.sourceCount - found.targetCount;
      // How many shards the routings fall on is the server's affair.
      expect(gone).toBeGreaterThan(0);
      expect(result).toMatchObject({ successCount: found.sourceCount, collisions: { count: gone, share: 1 } });
      expect(found).toMatchObject({ missing: gone, repeated: { source: gone, target: 0 } });
    }
  });
});
