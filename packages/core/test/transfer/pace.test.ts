import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseConfig } from "../../src/engine.ts";
import { P2PError } from "../../src/index.ts";
import type { WriteResult } from "../../src/starter.ts";
import { LEAST_ITEMS, MOST_ITEMS, type Pace, paceOf } from "../../src/transfer/pace.ts";
import { busy, records, ScriptedStore } from "../support/scripted-store.ts";
import { expectNoUnhandledRejections, transfer } from "../support/transferring.ts";

expectNoUnhandledRejections();

/** A pace on a clock of its own, and writes that take as long as a target would need for them. */
function paced(concurrency: number, millisecondsFor: (items: number) => number) {
  let clock = 0;
  const pace = paceOf(parseConfig({ batchSize: "auto", concurrency }), 64, () => clock);
  const write = (refused = false) => {
    const items = pace.portion(pace.enough);
    clock += millisecondsFor(items);
    pace.wrote(items, refused);
  };
  return { pace, write };
}

/** The sizes of so many writes. */
function sizesOf(pace: Pace, write: () => void, writes: number): number[] {
  return Array.from({ length: writes }, () => {
    write();
    return pace.enough;
  });
}

describe("an adaptive pace", () => {
  it("keeps its bounds, whatever the target says and however long it takes", () => {
    const steps = fc.array(fc.record({ refused: fc.boolean(), took: fc.integer({ min: 0, max: 5000 }) }), {
      maxLength: 300,
    });
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 64 }), (list, concurrency) => {
        let took = 0;
        const { pace, write } = paced(concurrency, () => took);
        for (const step of list) {
          took = step.took;
          write(step.refused);
          expect(pace.enough).toBeGreaterThanOrEqual(LEAST_ITEMS);
          expect(pace.enough).toBeLessThanOrEqual(MOST_ITEMS);
          expect(Number.isInteger(pace.enough)).toBe(true);
          expect(pace.width).toBeGreaterThanOrEqual(1);
          expect(pace.width).toBeLessThanOrEqual(concurrency);
        }
      }),
    );
  });

  it("cuts a batch into portions that are neither much larger than the size nor a few items", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20_000 }), fc.array(fc.boolean(), { maxLength: 60 }), (items, refusals) => {
        const { pace, write } = paced(4, () => 1);
        for (const refused of refusals) write(refused);
        const portions: number[] = [];
        for (let left = items; left > 0; left -= portions.at(-1)!) portions.push(pace.portion(left));
        expect(Math.max(...portions)).toBeLessThanOrEqual(pace.enough * 1.5);
        if (portions.length > 1) expect(Math.min(...portions)).toBeGreaterThanOrEqual(pace.enough * 0.5);
      }),
    );
  });

  it("grows while each write costs more than its records", () => {
    const { pace, write } = paced(4, (items) => 50 + items * 0.01);
    expect(Math.max(...sizesOf(pace, write, 200))).toBe(MOST_ITEMS);
  });

  it("does not grow where that gains nothing", () => {
    const { pace, write } = paced(4, (items) => items * 0.1);
    // It tries now and then, and takes it back.
    const sizes = sizesOf(pace, write, 2000).slice(100);
    expect(sizes.filter((size) => size <= 1000).length).toBeGreaterThan(sizes.length * 0.8);
  });

  it("shrinks where large writes are slow out of proportion", () => {
    const { pace, write } = paced(2, (items) => 5 + items * 0.01 + (items / 400) ** 3);
    const sizes = sizesOf(pace, write, 3000).slice(500);
    expect(sizes.filter((size) => size <= 500).length).toBeGreaterThan(sizes.length * 0.8);
  });

  it("halves size and writes when it is refused, once for all writes that were under way together", () => {
    const { pace, write } = paced(8, () => 10);
    for (let i = 0; i < 8; i++) write(true);
    expect([pace.enough, pace.width]).toEqual([500, 4]);
    for (let i = 0; i < 200; i++) write(true);
    expect([pace.enough, pace.width]).toEqual([LEAST_ITEMS, 1]);
  });

  it("lets the writes come back one by one when the target is calm again", () => {
    const { pace, write } = paced(4, () => 60);
    for (let i = 0; i < 100; i++) write(true);
    expect(pace.width).toBe(1);
    const widths = Array.from({ length: 200 }, () => {
      write();
      return pace.width;
    });
    expect([...new Set([1, ...widths])]).toEqual([1, 2, 3, 4]);
  });
});

describe("batch_size auto", () => {
  it("moves every record once, in as few writes as the pages allow", async () => {
    const source = new ScriptedStore(records(5300));
    const target = new ScriptedStore();
    const result = await transfer(source, target, { batch_size: "auto" });
    expect(result).toMatchObject({ totalRecords: 5300, successCount: 5300 });
    expect(source.readOptions[0]?.batchSize).toBe(1000);
    expect(target.sent.map((sent) => sent.length)).toEqual([1000, 1000, 1000, 1000, 1000, 300]);
  });

  it("writes less at a time to a target that is busy, and loses nothing", async () => {
    const target = new ScriptedStore([], {
      write: (call) => {
        if (call.records.length > 260) throw busy();
        return call.apply();
      },
    });
    const options = { batchSize: "auto", concurrency: 2, maxRetries: 1 } as const;
    const result = await transfer(new ScriptedStore(records(9000)), target, options);
    expect(result).toMatchObject({ totalRecords: 9000, successCount: 9000 });
    expect(target.ids).toEqual(records(9000).map(({ id }) => id));
    expect(target.sent.at(-1)!.length).toBeLessThanOrEqual(260);
  });

  it("does not go on halving for a target that is busy for good", async () => {
    const target = new ScriptedStore([], {
      write: () => {
        throw busy();
      },
    });
    const run = transfer(new ScriptedStore(records(3000)), target, {
      batchSize: "auto",
      concurrency: 1,
      maxRetries: 1,
    });
    await expect(run).rejects.toMatchObject({ code: "BUSY" });
    expect(target.sent.length).toBeLessThanOrEqual(12);
    expect(target.sent.at(-1)!.length).toBeLessThanOrEqual(LEAST_ITEMS);
  });

  it("sends in halves what is too large together, down to single records", async () => {
    const tooLarge = (): WriteResult => {
      throw new P2PError("RECORD_TOO_LARGE", "the request is too large");
    };
    const target = new ScriptedStore([], {
      write: (call) => (call.records.length > 3 ? tooLarge() : call.apply()),
    });
    const result = await transfer(new ScriptedStore(records(40)), target, { batchSize: "auto" });
    expect(result).toMatchObject({ totalRecords: 40, successCount: 40, failureCount: 0 });
    target.script = { write: tooLarge };
    await expect(transfer(new ScriptedStore(records(4)), target, { batchSize: "auto" })).rejects.toMatchObject({
      code: "RECORD_TOO_LARGE",
    });
    await expect(transfer(new ScriptedStore(records(4)), target, { batchSize: 4 })).rejects.toMatchObject({
      code: "RECORD_TOO_LARGE",
    });
  });
});
