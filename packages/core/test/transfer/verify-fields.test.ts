import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { valuesEqual } from "../../src/model/value-tree.ts";
import { fieldDifferences } from "../../src/transfer/verify/fields.ts";
import { value } from "../support/arbitraries.ts";

/** Both texts of the one field in which two records differ. */
function shown(left: unknown, right: unknown): [string | undefined, string | undefined] {
  const { fields } = fieldDifferences({ id: 1, a: left as string }, { id: 1, a: right as string });
  expect(fields).toHaveLength(1);
  return [fields[0]!.source, fields[0]!.target];
}

describe("the values of a differing field", () => {
  it.each([
    ["é", "e\u0301", String.raw`"\u{e9}"`, String.raw`"e\u{301}"`],
    ["a\u200bb", "ab", String.raw`"a\u{200b}b"`, `"ab"`],
    ["a\u00a0b", "a b", String.raw`"a\u{a0}b"`, `"a b"`],
    ["ﬁn", "fin", String.raw`"\u{fb01}n"`, `"fin"`],
    ["中文", "国文", `"中文"`, `"国文"`],
  ])("tell %j from %j to the eye", (left, right, source, target) => {
    expect(shown(left, right)).toEqual([source, target]);
  });

  it("show where very long texts part", () => {
    const start = "😀x".repeat(400_000);
    const [source, target] = shown(`${start}left`, `${start}right`);
    expect(source).toContain("xleft");
    expect(target).toContain("xright");
    expect(source!.isWellFormed() && target!.isWellFormed()).toBe(true);
  });

  it("say so where they part behind what is looked at", () => {
    const bytes = (last: number) => new Uint8Array(200_001).fill(last, 200_000);
    const [source, target] = shown(bytes(1), bytes(2));
    expect(source).toMatch(/A+.*\(they part further on\)$/);
    expect(target).toBe(source);
  });

  it("have two different texts of 200 characters at most, whatever they are", () => {
    fc.assert(
      fc.property(value, value, (left, right) => {
        fc.pre(!valuesEqual(left, right));
        for (const { source, target } of fieldDifferences({ id: 1, a: left }, { id: 1, a: right }).fields) {
          expect(source).not.toBe(target);
          expect(Math.max(source?.length ?? 0, target?.length ?? 0)).toBeLessThanOrEqual(200);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
