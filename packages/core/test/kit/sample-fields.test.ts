import { describe, expect, it } from "vitest";
import { sampleFields } from "../../src/starter.ts";

describe("sampleFields", () => {
  it("tells each field once, with the types and the values that the records have", () => {
    expect(
      sampleFields([
        { id: 1, a: "x", gone: undefined },
        { id: 2n, a: null },
        { id: 3, a: "y", b: [1] },
      ]),
    ).toEqual([
      { field: "id", types: ["number", "bigint"], values: [1, 2n, 3] },
      { field: "a", types: ["string", "null"], values: ["x", null, "y"] },
      { field: "b", types: ["array"], values: [[1]] },
    ]);
    expect(sampleFields([])).toEqual([]);
  });

  it("takes a field called __proto__ for one, and what is inherited for none", () => {
    const record = JSON.parse('{"id":1,"__proto__":"own"}');
    expect(sampleFields([record]).map(({ field }) => field)).toEqual(["id", "__proto__"]);
  });
});
