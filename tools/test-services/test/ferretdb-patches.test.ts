import { expect, it } from "vitest";
import { applyPatch } from "../src/ferretdb-patches.ts";

const patch = { file: "a.go", why: "", find: "x := 1\n", replace: "x := 2\n" };

it("changes the one place", () => {
  expect(applyPatch("a\nx := 1\nb\n", patch)).toBe("a\nx := 2\nb\n");
});

it("refuses a source that it does not fit", () => {
  expect(() => applyPatch("a\n", patch)).toThrow("found 0 times in FerretDB's a.go");
  expect(() => applyPatch("x := 1\nx := 1\n", patch)).toThrow("found 2 times");
});
