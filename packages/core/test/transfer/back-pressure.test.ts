import { describe, expect, it } from "vitest";
import { records, ScriptedStore } from "../support/scripted-store.ts";
import { CheckpointLog, expectNoUnhandledRejections, LetterBox, transfer } from "../support/transferring.ts";

expectNoUnhandledRejections();

/** Runs a transfer to a slow target and tells how many batches were read and not yet entered, at most. */
async function mostHeld(
  options: { batchSize: number; concurrency: number; readAhead: number; maxBytesInFlight?: number },
  batchBytes?: number,
) {
  const source = new ScriptedStore(records(60), batchBytes === undefined ? {} : { batchBytes });
  let entered = 0;
  let most = 0;
  let mostWriting = 0;
  const target: ScriptedStore = new ScriptedStore([], {
    write: async (call) => {
      await new Promise((resolve) => setTimeout(resolve, 3));
      most = Math.max(most, source.batchesRead - entered);
      mostWriting = Math.max(mostWriting, target.writesUnderWay);
      return call.apply();
    },
  });
  const checkpoint = new CheckpointLog(({ recordsRead }) => {
    entered = recordsRead / options.batchSize;
  });
  await transfer(source, target, { ...options, transferId: "slow", checkpoint });
  expect(target.content.size).toBe(60);
  return { most, mostWriting };
}

describe("a slow target holds back the source", () => {
  it.each([
    { concurrency: 1, readAhead: 1 },
    { concurrency: 1, readAhead: 4 },
    { concurrency: 4, readAhead: 2 },
    { concurrency: 8, readAhead: 1 },
  ])("to read_ahead + concurrency batches: %o", async ({ concurrency, readAhead }) => {
    const { most, mostWriting } = await mostHeld({ batchSize: 1, concurrency, readAhead });
    expect(most).toBeLessThanOrEqual(readAhead + concurrency + 1);
    expect(most).toBeGreaterThanOrEqual(concurrency);
    expect(mostWriting).toBe(concurrency);
  });

  it("to what the target can take at a time", async () => {
    const target = new ScriptedStore([], { capabilities: { writeConcurrency: 1 } });
    await transfer(new ScriptedStore(records(30)), target, { batchSize: 1, concurrency: 8 });
    expect(target.mostWritesUnderWay).toBe(1);
  });

  it("to max_bytes_in_flight, and at least a batch at a time", async () => {
    const within = await mostHeld({ batchSize: 1, concurrency: 8, readAhead: 8, maxBytesInFlight: 4096 }, 1000);
    expect(within.most).toBeLessThanOrEqual(6);
    expect(within.mostWriting).toBeGreaterThanOrEqual(2);
    const larger = await mostHeld({ batchSize: 1, concurrency: 8, readAhead: 8, maxBytesInFlight: 4096 }, 100_000);
    expect(larger.most).toBeLessThanOrEqual(2);
    expect(larger.mostWriting).toBe(1);
  });

  it("also while it cannot be written to at all", async () => {
    const controller = new AbortController();
    const source = new ScriptedStore(records(100_000));
    const target = new ScriptedStore([], {
      write: ({ options }) =>
        new Promise((_, reject) => options.signal.addEventListener("abort", () => reject(options.signal.reason))),
    });
    const run = transfer(source, target, {
      batchSize: 10,
      concurrency: 3,
      readAhead: 2,
      signal: controller.signal,
      deadLetters: new LetterBox(),
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(source.batchesRead).toBeLessThanOrEqual(6);
    controller.abort();
    await expect(run).rejects.toThrow(/cancelled/);
    expect(source.batchesRead).toBeLessThanOrEqual(6);
  });
});

describe("a batch that is read", () => {
  it("is no larger than the bytes that may be held", async () => {
    const source = new ScriptedStore(records(1));
    await transfer(source, new ScriptedStore(), { batchSize: 7, maxBytesInFlight: 2048 });
    await transfer(source, new ScriptedStore(), { batchSize: 7 });
    expect(source.readOptions.map(({ batchSize, batchBytes }) => [batchSize, batchBytes])).toEqual([
      [7, 2048],
      [7, 8 * 1024 * 1024],
    ]);
  });

  it("leaves the timers of the process their turn, also when nothing is asynchronous underneath", async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 5);
    const startedAt = performance.now();
    await transfer(new ScriptedStore(records(60_000)), new ScriptedStore(), { batchSize: 500 });
    clearInterval(timer);
    // How late a timer is on a machine at rest is for the bench; here it must have its turn again and again.
    expect(turns).toBeGreaterThanOrEqual((performance.now() - startedAt) / 100);
  });
});
