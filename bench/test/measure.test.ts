import { describe, expect, it } from "vitest";
import { median, timed, watchTimers } from "../src/measure.ts";

describe("median", () => {
  it("is the middle one, or between the two middle ones", () => {
    expect(median([10, 9, 100])).toBe(10);
    expect(median([1, 4, 2, 3])).toBe(2.5);
  });
});

describe("timed", () => {
  it("takes as long as the work", async () => {
    expect(await timed(() => new Promise((resolve) => setTimeout(resolve, 30)))).toBeGreaterThan(28);
  });
});

describe("watchTimers", () => {
  it("sees that the process was busy", async () => {
    const lateness = watchTimers();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const end = performance.now() + 60;
    while (performance.now() < end);
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(lateness()).toBeGreaterThan(40);
  });
});
