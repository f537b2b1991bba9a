import { setTimeout as sleep } from "node:timers/promises";
import type { P2PStarter } from "@omni/p2p-core";
import { boundService } from "@omni/p2p-core/engine";
import { CONTRACT_VERSION } from "@omni/p2p-core/starter";
import { memoryStarter, memoryStore } from "@omni/p2p-starter-memory";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, it } from "vitest";
import { engine, fill, slowStarter } from "./support.ts";

/** A memory store that says that it wrote what it lets go, or cannot count. */
function odd(storageType: string, way: "loses" | "uncountable"): P2PStarter {
  return {
    storageType,
    contractVersion: CONTRACT_VERSION,
    options: {},
    async open(endpoint, context) {
      const store = await memoryStarter.open({ ...endpoint, storageType: "memory" }, context);
      return {
        ...boundService(store),
        async writeToTarget(records, options) {
          const kept = way === "loses" ? records.filter(({ id }) => Number(id) % 2 === 0) : records;
          if (kept.length > 0) await store.writeToTarget(kept, options);
          return { written: records.length, skipped: 0, failures: [] };
        },
        count: async (query, signal) => (way === "uncountable" ? undefined : store.count(query, signal)),
      };
    },
  };
}

describeWithService("redis", "the comparison by count", ({ url }) => {
  function counting() {
    const space = engine(url);
    const { target, endpoints } = space;
    const starters = [memoryStarter, slowStarter, odd("loses", "loses"), odd("blind", "uncountable")];
    const more = { ...endpoints, loses: `loses:${target}`, blind: `blind:${target}` };
    return { ...space, more, worker: () => space.worker({ starters, endpoints: more }) };
  }

  it("looks at the target too: what is not there is not verified", async () => {
    const { worker, transfers, source } = counting();
    await fill(source, 400);
    worker();
    const client = transfers();
    await client.submit({ id: "lost", source: "from", target: "loses" });
    expect((await client.result("lost")).verified).toEqual({
      ...{ kind: "count", equal: false, sourceCount: 400, targetCount: 200, targetBefore: 0 },
    });
  });

  it("knows what the target held before, and that a target may be written over", async () => {
    const { worker, transfers, source, target } = counting();
    await fill(source, 300);
    await fill(target, 350);
    worker();
    const client = transfers();
    await client.submit({ id: "over", source: "from", target: "to" });
    expect((await client.result("over")).verified).toEqual({
      ...{ kind: "count", equal: true, sourceCount: 300, targetCount: 350, targetBefore: 350 },
    });
  });

  it("counts what meets the conditions of the query", async () => {
    const { worker, transfers, source, target } = counting();
    await fill(source, 300);
    await fill(target, 20, (at) => ({ id: 1000 + at }));
    worker();
    const client = transfers();
    const query = { where: { id: { lt: 100 } } };
    await client.submit({ id: "some", source: "from", target: "to", query });
    const { verified } = await client.result("some");
    expect(verified).toMatchObject({ equal: true, sourceCount: 100, targetCount: 100 });
  });

  it("notices a target that was emptied meanwhile", async () => {
    const { worker, transfers, source, target } = counting();
    await fill(source, 600);
    worker();
    const client = transfers();
    const config = { batchSize: 10, concurrency: 1 };
    await client.submit({ id: "gone", source: "from", target: "slow", partitions: 2, grains: 1, config });
    while ((await client.status("gone")).records < 200) await sleep(20);
    memoryStore(target).clear();
    const outcome = await client.result("gone").catch((error: Error) => error);
    if (outcome instanceof Error) expect(outcome).toMatchObject({ code: "STORE_CHANGED" });
    else expect(outcome.verified).toMatchObject({ equal: false });
  });

  it("says what it did not look at where a store cannot count", async () => {
    const { worker, transfers, source } = counting();
    await fill(source, 50);
    worker();
    const client = transfers();
    await client.submit({ id: "blind", source: "from", target: "blind" });
    const { verified } = await client.result("blind");
    expect(verified).not.toHaveProperty("targetCount");
    expect(verified).toMatchObject({
      ...{ kind: "count", equal: true, sourceCount: 50 },
      unchecked: ["The target cannot be counted, so it was not looked at"],
    });
  });

  it("leaves no timer behind that would keep the process alive", async () => {
    const { worker, transfers } = counting();
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
    const before = timers();
    const made = worker();
    const client = transfers();
    await made.ready();
    await client.list();
    await Promise.all([made.close(), client.close()]);
    await sleep(50);
    expect(timers()).toBeLessThanOrEqual(before);
  });
});
