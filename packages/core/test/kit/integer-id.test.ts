import { describe, expect, it } from "vitest";
import { integerOfIdText, LAST_HASHED_ID } from "../../src/starter.ts";

describe("integerOfIdText", () => {
  it.each(["0", "5", "-5", "9223372036854775807", String(LAST_HASHED_ID + 1n)])(
    "is the integer that %s spells",
    (text) => {
      expect(String(integerOfIdText(text))).toBe(text);
    },
  );

  it("is a large negative integer, always the same, for every other text", () => {
    const texts = [
      "",
      "abc",
      "1.5",
      "007",
      "-0",
      "+5",
      " 5",
      "5\n",
      "9223372036854775808",
      String(LAST_HASHED_ID),
      "9".repeat(1_000_000),
    ];
    const integers = texts.map(integerOfIdText);
    for (const integer of integers) {
      expect(integer >= -(2n ** 63n) && integer <= LAST_HASHED_ID).toBe(true);
    }
    expect(new Set(integers).size).toBe(texts.length);
    // The tables that there are go by it.
    expect(integerOfIdText("abc")).toBe(-5_010_229_573_455_851_542n);
  });
});
