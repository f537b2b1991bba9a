import { describe, expect, it } from "vitest";
import { readOptions } from "../src/options.ts";
import { RESULTS_FILE } from "../src/results.ts";

describe("readOptions", () => {
  it("means everything by nothing", () => {
    const options = readOptions([]);
    expect(options.directions).toHaveLength(36);
    expect(options).toMatchObject({ shapes: ["text", "wide"], rounds: 5, growth: true, results: RESULTS_FILE });
  });

  it("takes one direction, and stars for any store", () => {
    expect(readOptions(["--only", "sqlite -> redis"]).directions).toEqual([{ from: "sqlite", to: "redis" }]);
    expect(readOptions(["--only", "* -> redis", "--only", "redis->*"]).directions).toHaveLength(11);
  });

  it("takes no rounds, to add growth alone", () => expect(readOptions(["--rounds", "0"]).rounds).toBe(0));

  it("takes numbers, a shape, and no growth", () => {
    const args = ["--records", "300", "--rounds", "1", "--shape", "wide", "--no-growth"];
    expect(readOptions(args)).toMatchObject({ records: 300, rounds: 1, shapes: ["wide"], growth: false });
  });

  it.each([
    ["--only", "sqlite"],
    ["--shape", "long"],
    ["--rounds", "-1"],
    ["--records", "0"],
    ["--records", "many"],
    ["--fast"],
  ])("refuses %s %s", (...args) =>
    expect(() => readOptions(args.filter((arg) => arg !== undefined))).toThrow(TypeError),
  );
});
