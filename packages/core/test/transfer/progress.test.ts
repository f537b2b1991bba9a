import { describe, expect, it } from "vitest";
import { MemoryCheckpointStore, type TransferProgress } from "../../src/index.ts";
import { forever, records, refused, ScriptedStore, withFailures } from "../support/scripted-store.ts";
import { ending, expectNoUnhandledRejections, transfer } from "../support/transferring.ts";

expectNoUnhandledRejections();

const slow = () =>
  new ScriptedStore([], {
    write: async (call) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return call.apply();
    },
  });

describe("progress", () => {
  it("tells records, rate, total and the time left, and the end", async () => {
    const told: TransferProgress[] = [];
    await transfer(new ScriptedStore(records(100)), slow(), {
      batchSize: 10,
      concurrency: 1,
      progressInterval: 0,
      onProgress: (progress) => told.push(progress),
      transferId: "p",
      checkpoint: new MemoryCheckpointStore(),
    });
    expect(told.length).toBeGreaterThanOrEqual(10);
    for (const [at, { transferId, records: done, total, rate, etaMs, elapsedMs, failures }] of told
      .slice(0, 10)
      .entries()) {
      expect([transferId, done, total, failures]).toEqual(["p", (at + 1) * 10, 100, 0]);
      expect(rate).toBeGreaterThan(0);
      expect(etaMs).toBeCloseTo(((100 - done) * 1000) / rate, 3);
      expect(elapsedMs).toBeGreaterThan(0);
    }
    expect(told.at(-1)).toMatchObject({ records: 100, total: 100, etaMs: 0 });
  });

  it("comes no more often than every progressInterval, and at the end", async () => {
    const told: number[] = [];
    await transfer(new ScriptedStore(records(60)), slow(), {
      batchSize: 1,
      concurrency: 1,
      progressInterval: 100,
      onProgress: ({ elapsedMs }) => told.push(elapsedMs),
    });
    expect(told.length).toBeGreaterThanOrEqual(2);
    for (let i = 1; i < told.length - 1; i++) expect(told[i]! - told[i - 1]!).toBeGreaterThanOrEqual(99);
  });

  it("of an empty transfer comes once", async () => {
    const told: TransferProgress[] = [];
    await transfer(new ScriptedStore(), new ScriptedStore(), { onProgress: (progress) => told.push(progress) });
    expect(told).toMatchObject([{ records: 0, failures: 0 }]);
  });

  it.each<[string, () => Promise<number | undefined>]>([
    ["cannot count", async () => undefined],
    [
      "fails to count",
      async () => {
        throw new Error("no idea");
      },
    ],
    [
      "throws when it is asked to count",
      () => {
        throw new Error("no idea");
      },
    ],
    ["never stops counting", () => forever()],
  ])("has no total where the source %s", async (_, count) => {
    const told: TransferProgress[] = [];
    const source = Object.assign(new ScriptedStore(records(10)), { count });
    const result = await transfer(source, slow(), {
      batchSize: 2,
      progressInterval: 0,
      onProgress: (progress) => told.push(progress),
    });
    expect(result.successCount).toBe(10);
    expect(told.every((progress) => !("total" in progress) && !("etaMs" in progress))).toBe(true);
    expect(told.at(-1)!.records).toBe(10);
  });

  it("counts failures, and the records of the runs before", async () => {
    const told: TransferProgress[] = [];
    const target = new ScriptedStore([], {
      write: (call) => {
        if (call.number === 2) throw new Error("killed");
        return withFailures(call, ({ at }) => (at === 1 ? refused() : undefined));
      },
    });
    const options = { batchSize: 5, concurrency: 1, transferId: "t", checkpoint: new MemoryCheckpointStore() };
    await ending(transfer(new ScriptedStore(records(20)), target, options));
    await transfer(new ScriptedStore(records(20)), slow(), {
      ...options,
      resume: true,
      progressInterval: 0,
      onProgress: (progress) => told.push(progress),
    });
    expect(told[0]).toMatchObject({ records: 15, failures: 1, total: 20 });
    expect(told[0]!.rate).toBeLessThanOrEqual(5 / 0.004);
  });

  it("is not counted for when nobody listens", async () => {
    let asked = 0;
    const source = new ScriptedStore(records(3), { count: async () => ++asked });
    await transfer(source, new ScriptedStore());
    expect(asked).toBe(0);
  });
});
