import { type P2PId, TaggedValue } from "@omni/p2p-core";
import { describe, expect, it } from "vitest";
import { idForm } from "../src/id-form.ts";

describe("ids that MongoDB has for one", () => {
  it.each<[P2PId, P2PId, boolean]>([
    [1, 1n, true],
    [0, -0, true],
    [1, "1", false],
    [true, "true", false],
    [new Date(0), new Date(0), true],
    [new Date(0), new Date(0).toISOString(), false],
    [new TaggedValue("mongodb:objectId", "65f0c0ffee0ddba11ca7f00d"), "65f0c0ffee0ddba11ca7f00d", false],
    [{ a: 1 }, { a: 1 }, true],
    [new Uint8Array([1]), "01", false],
  ])("%s and %s: %s", (a, b, same) => {
    expect(idForm(a) === idForm(b)).toBe(same);
  });
});
