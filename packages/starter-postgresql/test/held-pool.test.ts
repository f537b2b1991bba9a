import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, it } from "vitest";
import { holdPool, openStore } from "../src/client/open.ts";
import { parsePostgresqlEndpoint } from "../src/endpoint.ts";
import { calm, Scratch } from "./support.ts";

describeWithService("postgresql", "a pool of several stores", ({ url }) => {
  const scratch = new Scratch(url, "held-pool");
  const context = { role: "target", signal: calm, connectTimeoutMs: 10_000 } as const;

  it("stays open for who uses it, whoever lets it go before, and for two who begin to hold it at once", async () => {
    const schema = await scratch.schema("CREATE TABLE docs (id text PRIMARY KEY)");
    const endpoint = parsePostgresqlEndpoint(schema.endpoint("docs"), "target");
    const letGo = await Promise.all([holdPool(endpoint, context), holdPool(endpoint, context)]);
    const store = await openStore(endpoint, context);
    for (const each of letGo) {
      await each();
      // Once more does nothing.
      await each();
      expect((await store.query("read", calm, "SELECT 1 AS one")).rows).toHaveLength(1);
    }
    await store.close();
    await expect(store.query("read", calm, "SELECT 1 AS one")).rejects.toThrow();
  });
});
