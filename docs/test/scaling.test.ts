import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "..", "..");
const measured = JSON.parse(readFileSync(join(root, "tools/distributed/results/measured.json"), "utf8")) as {
  readonly "speed: 1, 2 and 4 workers": {
    readonly outcome: {
      readonly batchSize: number;
      readonly speeds: readonly {
        readonly workers: number;
        readonly recordsPerSecond: number;
        readonly times: number;
      }[];
    };
  };
  readonly "overhead: sqlite to redis": { readonly outcome: { readonly engineMs: number; readonly records: number } };
};

/** What a batch waits for, in seconds: the target's delay, the timer's grain and the round trips, as the page says. */
const WAIT = 0.021;

describe.each(["docs/guide/scaling.md", "docs/zh/guide/scaling.md"])("%s", (page) => {
  const text = readFileSync(join(root, page), "utf8").replace(/ +/g, " ");

  it("sets the model beside what was measured", () => {
    const { outcome: overhead } = measured["overhead: sqlite to redis"];
    const { batchSize, speeds } = measured["speed: 1, 2 and 4 workers"].outcome;
    const own = Number((overhead.engineMs / overhead.records).toFixed(4)) / 1000;
    const one = batchSize / (WAIT + own * batchSize);
    for (const { workers, recordsPerSecond, times } of speeds) {
      const row = text.split("\n").find((line) => line.startsWith(`| ${workers} | `));
      const [, model, real, share, ratio] = row!
        .split("|")
        .slice(1)
        .map((cell) => Number(cell.replaceAll(",", "")));
      expect([real, ratio]).toEqual([recordsPerSecond, times]);
      expect(Math.abs(model! / (workers * one) - 1)).toBeLessThan(0.01);
      expect(share).toBeCloseTo(real! / model!, 2);
    }
  });
});
