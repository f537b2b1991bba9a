import { describe, expect, it } from "vitest";
import { nearest } from "../src/engine.ts";
import { suggest } from "../src/starter.ts";

describe("nearest", () => {
  it.each([
    ["user_name", ["name", "userName"], "userName"],
    ["user names", ["userName"], "userName"],
    ["document", ["docs", "Documents"], "Documents"],
    ["tilte", ["title", "tile"], "title"],
    ["nothing like it", ["title"], undefined],
    ["-", ["__proto", "title"], undefined],
    ["a".repeat(1e6), ["a".repeat(1e6)], undefined],
    ["title", [], undefined],
  ])("to %.20s among %.30j is %s", (name, known, near) => {
    expect(nearest(name, known)).toBe(near);
    expect(suggest(name, known)).toBe(near === undefined ? "" : ` (did you mean "${near}"?)`);
  });
});
