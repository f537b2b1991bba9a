import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { P2PError } from "../../src/index.ts";
import { BatchBuilder } from "../../src/starter.ts";

const failure = { id: "7", error: new P2PError("INVALID_RECORD", "damaged") };

describe("BatchBuilder", () => {
  it("gathers at most so many items and so many bytes, but for a single item that is larger", () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 200 }));
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 300 }), (items, batchSize, most) => {
        const builder = new BatchBuilder<number>({ batchSize, batchBytes: most });
        const batches: number[][] = [];
        const take = () => {
          const batch = builder.take();
          if (!batch) return;
          expect(batch.bytes).toBe(batch.items.reduce((sum, size) => sum + size, 0));
          batches.push(batch.items);
        };
        for (const size of items) {
          if (!builder.hasRoomFor(size)) take();
          builder.add(size, size);
        }
        take();
        expect(batches.flat()).toEqual(items);
        for (const batch of batches) {
          expect(batch.length).toBeLessThanOrEqual(batchSize);
          const bytes = batch.reduce((sum, size) => sum + size, 0);
          if (batch.length > 1) expect(bytes).toBeLessThanOrEqual(most);
        }
      }),
    );
  });

  it("counts failures as items, and tells of them only where there are any", () => {
    const builder = new BatchBuilder<string>({ batchSize: 2 });
    builder.add("a", 1);
    expect(builder.room).toBe(1);
    builder.fail(failure, 5);
    expect(builder.isFull).toBe(true);
    expect(builder.hasRoomFor(0)).toBe(false);
    expect(builder.take()).toEqual({ items: ["a"], failures: [failure], bytes: 6, valid: true });
    builder.add("b", 1);
    expect(builder.take()).toEqual({ items: ["b"], bytes: 1, valid: true });
  });

  it("vouches for a batch only when it can for each item", () => {
    const builder = new BatchBuilder<string>({ batchSize: 10 });
    builder.add("a", 1);
    builder.add("b", 1, false);
    expect(builder.take()).toMatchObject({ valid: false });
    builder.add("c", 1);
    expect(builder.take()).toMatchObject({ valid: true });
  });

  it("has no batch where there is nothing in it, and none twice", () => {
    const builder = new BatchBuilder<string>({ batchSize: 10 });
    expect(builder.take()).toBeUndefined();
    builder.add("a", 1);
    expect(builder.take()).toBeDefined();
    expect(builder.take()).toBeUndefined();
    expect(builder.isEmpty).toBe(true);
  });

  it("takes many at once, and tells how much still goes in", () => {
    const builder = new BatchBuilder<number>({ batchSize: 10, batchBytes: 100 });
    builder.addAll([1, 2, 3], 30);
    builder.addAll([4], 10, false);
    expect([builder.room, builder.budget, builder.isFull]).toEqual([6, 60, false]);
    builder.add(5, 60);
    expect([builder.budget, builder.isFull]).toEqual([0, true]);
    expect(builder.take()).toEqual({ items: [1, 2, 3, 4, 5], bytes: 100, valid: false });
  });

  it("holds 16 MiB where the reader does not say, or what the store says", () => {
    expect(new BatchBuilder({ batchSize: 1 }).limitBytes).toBe(16 * 2 ** 20);
    expect(new BatchBuilder({ batchSize: 1 }, Number.POSITIVE_INFINITY).limitBytes).toBe(Number.POSITIVE_INFINITY);
    expect(new BatchBuilder({ batchSize: 1, batchBytes: 5 }, 10).limitBytes).toBe(5);
  });
});
