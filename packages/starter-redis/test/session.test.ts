import { isP2PError } from "@omni/p2p-core/starter";
import { startService, type TestService } from "@omni/p2p-test-services";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { calm, openAt } from "./opening.ts";

describeWithService("redis", "sessions of listening", () => {
  let server: TestService;
  let client: Redis;

  beforeAll(async () => {
    server = await startService("redis", { exclusive: true, log: () => {} });
    client = new Redis(server.url);
  });
  afterAll(async () => {
    await client.quit();
    await server.stop();
  });

  const listening = async () =>
    String(await client.client("LIST"))
      .split("\n")
      .filter((line) => line.includes("name=omni-p2p-changes")).length;

  it("leave no connection behind where a flush comes while they begin, and can be begun again", async () => {
    const service = await openAt(server.url, "source", {}, 2000);
    let flushing = true;
    const flushes = (async () => {
      while (flushing) await Promise.all(Array.from({ length: 20 }, () => client.flushdb()));
    })();
    const codes = new Set<string>();
    for (let i = 0; i < 60; i++) {
      const follower = `f${i}`;
      await service.changes!.now(follower, calm()).catch((error: unknown) => {
        if (!isP2PError(error)) throw error;
        codes.add(`${error.code} ${error.retryable}`);
      });
      await service.changes!.release!(follower, calm());
    }
    flushing = false;
    await flushes;
    expect([...codes].filter((code) => code !== "BUSY true")).toEqual([]);
    await expect.poll(listening).toBe(0);
    await service.close();
  });
});
