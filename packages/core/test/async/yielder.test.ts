import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { Yielder } from "../../src/starter.ts";

describe("Yielder", () => {
  it("lets others have their turn in long work, and costs nothing before", async () => {
    const yielder = new Yielder();
    expect(yielder.yieldIfDue()).toBeUndefined();
    let turns = 0;
    let working = true;
    const other = (async () => {
      while (working) {
        await setImmediate();
        turns++;
      }
    })();
    const end = performance.now() + 60;
    while (performance.now() < end) await yielder.yieldIfDue();
    working = false;
    await other;
    expect(turns).toBeGreaterThan(3);
  });

  it("is not due again right after a turn", async () => {
    const yielder = new Yielder();
    const from = performance.now();
    while (!yielder.isDue) expect(performance.now() - from).toBeLessThan(1000);
    await yielder.yieldIfDue();
    expect(yielder.isDue).toBe(false);
  });
});
