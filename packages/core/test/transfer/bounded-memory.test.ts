import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { moveMixed } from "../support/mixed-source.ts";
import { expectNoUnhandledRejections } from "../support/transferring.ts";

expectNoUnhandledRejections();

const MIB = 1024 * 1024;

/** What a batch may weigh: 8 MiB, or all that may be in flight when that is less, or one record that is larger. */
const largestBatch = (sizes: readonly number[], maxBytesInFlight: number) =>
  Math.max(Math.min(8 * MIB, maxBytesInFlight), ...sizes.map((size) => size + 1000));

describe("law 5, bounded memory", () => {
  it("goes by bytes where records of one byte and of megabytes come in one stream", async () => {
    const size = fc.oneof({ weight: 20, arbitrary: fc.constant(1) }, fc.integer({ min: 1, max: 300_000 }));
    await fc.assert(
      fc.asyncProperty(
        fc.array(size, { minLength: 1, maxLength: 400 }),
        fc.constantFrom(1, 500, "auto" as const),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 6 }),
        async (sizes, batchSize, concurrency, readAhead) => {
          const maxBytesInFlight = 200_000;
          const options = { batchSize, concurrency, readAhead, maxBytesInFlight };
          const { most, arrived } = await moveMixed(sizes, options, 3);
          expect(arrived.toSorted((a, b) => a - b)).toEqual(sizes.toSorted((a, b) => a - b));
          // Reading goes on until the bound is reached: so one batch too many, and the one that is then made.
          expect(most).toBeLessThanOrEqual(maxBytesInFlight + 2 * largestBatch(sizes, maxBytesInFlight));
        },
      ),
      { numRuns: 40 },
    );
  });

  it.each([500, "auto"] as const)(
    "holds 64 MiB of records of 10 MiB by default, and the next two: %s",
    async (batchSize) => {
      const sizes = Array.from({ length: 60 }, (_, at) => (at % 2 === 0 ? 10 * MIB : 1));
      const { most, arrived } = await moveMixed(sizes, { batchSize });
      expect(arrived).toEqual(sizes);
      expect(most).toBeLessThanOrEqual((64 + 20) * MIB + 10_000);
    },
  );

  it("is flat for a target ten times as slow as the source, however many records there are", async () => {
    const held = async (count: number) => {
      const sizes = new Array<number>(count).fill(100);
      return (await moveMixed(sizes, { batchSize: 10, concurrency: 4, readAhead: 2 })).most;
    };
    const few = await held(200);
    // Four that are written, two that are read ahead, and one that is being read.
    expect(few).toBeLessThanOrEqual(7 * 10 * 300);
    expect(await held(20_000)).toBeLessThanOrEqual(few * 1.2);
  });

  it("holds for a whole process that moves a gigabyte", { timeout: 60_000 }, async () => {
    const child = join(import.meta.dirname, "..", "support", "mixed-source.ts");
    const run = async (count: number, large: number) =>
      Number((await promisify(execFile)(process.execPath, [child, String(count), String(large), "500"])).stdout);
    const idle = await run(10, 1);
    const peak = await run(1000, 10 * MIB);
    // 64 MiB and two batches are on the way; as much again may wait for the collector.
    expect(peak - idle).toBeLessThan(300);
  });
});
