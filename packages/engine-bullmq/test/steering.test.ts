import { setTimeout as sleep } from "node:timers/promises";
import { isP2PError } from "@omni/p2p-core";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, it, vi } from "vitest";
import { engine, fill, sizeOf } from "./support.ts";

describeWithService("redis", "steering a transfer over workers", ({ url }) => {
  const slowly = { source: "from", target: "slow", config: { batchSize: 10, concurrency: 1 } } as const;

  it("pauses at the cursors and goes on from there", async () => {
    const { worker, transfers, source, target } = engine(url);
    await fill(source, 600);
    worker({ concurrency: 2 });
    const client = transfers();
    await client.submit({ id: "p", ...slowly, partitions: 2, grains: 1 });
    await vi.waitFor(async () => expect((await client.status("p")).records).toBeGreaterThan(60), 5000);
    await client.pause("p");
    await vi.waitFor(async () => expect((await client.status("p")).state).toBe("paused"));
    await sleep(300);
    const { records } = await client.status("p");
    await sleep(300);
    expect((await client.status("p")).records).toBe(records);
    expect(records).toBeLessThan(600);
    await client.resume("p");
    expect(await client.result("p")).toMatchObject({ totalRecords: 600, successCount: 600 });
    expect(sizeOf(target)).toBe(600);
  });

  it("is cancelled for good", async () => {
    const { worker, transfers, source } = engine(url);
    await fill(source, 2000);
    worker();
    const client = transfers();
    await client.submit({ id: "c", ...slowly, partitions: 4 });
    await vi.waitFor(async () => expect((await client.status("c")).records).toBeGreaterThan(0), 5000);
    await client.cancel("c");
    const error: unknown = await client.result("c").catch((thrown: unknown) => thrown);
    expect(isP2PError(error, "ABORTED")).toBe(true);
    const again: unknown = await client.resume("c").catch((thrown: unknown) => thrown);
    expect(isP2PError(again, "INVALID_STATE")).toBe(true);
  });

  it("goes on after a failure, once it has been mended", async () => {
    const { worker, transfers, source, target } = engine(url);
    await fill(source, 100, (at) => ({ refuse: at > 90 }));
    worker();
    const client = transfers();
    const config = { ...slowly.config, maxFailures: "none" } as const;
    await client.submit({ id: "f", ...slowly, config, partitions: 2 });
    await client.result("f").catch(() => {});
    expect(await client.status("f")).toMatchObject({ state: "failed", error: { code: "TOO_MANY_FAILURES" } });
    await fill(source, 100);
    // What is in the dead letters is not sent again; what had not been read is.
    await client.resume("f");
    const { successCount, failureCount } = await client.result("f");
    expect(successCount + failureCount).toBe(100);
    expect(failureCount).toBeGreaterThan(0);
    expect(sizeOf(target)).toBe(successCount);
  });

  it("heeds how many partitions an endpoint bears, and its rate", async () => {
    const { worker, transfers, source } = engine(url);
    await fill(source, 1200);
    const client = transfers();
    await client.limit("slow", { partitions: 2, recordsPerSecond: 600 });
    expect(await client.limits()).toEqual({ slow: { partitions: 2, recordsPerSecond: 600 } });
    let [running, most] = [0, 0];
    for (const name of ["a", "b"]) {
      const made = worker({ name, concurrency: 3 });
      made.events.on("partStarted", () => {
        most = Math.max(most, ++running);
      });
      made.events.on("partEnded", () => running--);
    }
    await client.submit({ id: "l", ...slowly, partitions: 6, grains: 1 });
    const startedAt = performance.now();
    expect(await client.result("l")).toMatchObject({ successCount: 1200 });
    expect(most).toBe(2);
    // 1200 records at 600 a second, of which the first half second's may come at once.
    expect(performance.now() - startedAt).toBeGreaterThan(1200);
    await client.limit("slow");
    expect(await client.limits()).toEqual({});
  });

  it("splits a partition that is long when other workers have nothing to do", async () => {
    const { worker, transfers, source, target } = engine(url);
    await fill(source, 2400);
    for (const name of ["a", "b", "c"]) worker({ name });
    const client = transfers();
    await client.submit({ id: "s", ...slowly, partitions: 1, grains: 24 });
    const result = await client.result("s");
    expect(result).toMatchObject({ totalRecords: 2400, successCount: 2400 });
    expect(result.partitions).toBeGreaterThan(1);
    const parts = await client.partitions("s");
    expect(new Set(parts.filter(({ records }) => records > 0).map((part) => part.worker)).size).toBeGreaterThan(1);
    expect(parts.reduce((sum, { grains }) => sum + grains, 0)).toBe(24);
    expect(sizeOf(target)).toBe(2400);
  });

  it("gives its partitions back when a worker is closed", async () => {
    const { worker, transfers, source, target } = engine(url);
    await fill(source, 600);
    const first = worker({ name: "first" });
    const client = transfers();
    await client.submit({ id: "g", ...slowly, partitions: 1, grains: 1 });
    await vi.waitFor(async () => expect((await client.status("g")).records).toBeGreaterThan(100), 5000);
    await first.close();
    const [left] = await client.partitions("g");
    worker({ name: "second" });
    expect(await client.result("g")).toMatchObject({ totalRecords: 600 });
    const [done] = await client.partitions("g");
    expect(left?.worker).toBe("first");
    expect(done).toMatchObject({ worker: "second", runs: 2 });
    expect(sizeOf(target)).toBe(600);
  });
});
