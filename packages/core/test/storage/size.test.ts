import { describe, expect, it } from "vitest";
import { TaggedValue } from "../../src/index.ts";
import { estimateBytes } from "../../src/starter.ts";

describe("estimateBytes", () => {
  it("grows with what a value holds", () => {
    expect(estimateBytes("x".repeat(1000))).toBeGreaterThanOrEqual(1000);
    expect(estimateBytes(new Uint8Array(1000))).toBeGreaterThanOrEqual(1000);
    expect(
      estimateBytes({ a: ["x".repeat(500), { b: new TaggedValue("a:b", "x".repeat(500)) }] }),
    ).toBeGreaterThanOrEqual(1000);
    for (const value of [null, 1, 1n, true, undefined, new Date(), "", []])
      expect(estimateBytes(value)).toBeGreaterThan(0);
  });
});
