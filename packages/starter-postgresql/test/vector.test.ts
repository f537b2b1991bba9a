import { expect, test } from "vitest";
import type { Column, ColumnType } from "../src/client/table.ts";
import { decoderOf } from "../src/values/decode.ts";
import { encodeCell } from "../src/values/encode.ts";

// The extension pgvector is not among what the test service has, so that its texts stand here as its manual has them.
const type: ColumnType = { oid: 16_400, schema: "public", name: "vector", kind: "base", delimiter: "," };
const column: Pick<Column, "name" | "type" | "typmod" | "declared"> = {
  name: "embedding",
  type,
  typmod: 3,
  declared: "vector(3)",
};

test.each([
  ["[1,2,3]", [1, 2, 3]],
  ["[0.1,-2.5e-05,1e+10]", [0.1, -2.5e-5, 1e10]],
  ["[0.0023064255,-0,3.4028235e+38]", [0.0023064255, -0, 3.4028235e38]],
])("a vector %s is a list of numbers, and comes back", (text, numbers) => {
  const value = decoderOf(column, { plain: false })(text);
  expect(value).toEqual(numbers);
  expect(decoderOf(column, { plain: false })(encodeCell(column, value)!)).toEqual(numbers);
});

test("a vector takes what its floats of four bytes say, and no more", () => {
  expect(encodeCell(column, [0.1, Math.fround(0.1), 0.30000001192092896])).toBe(
    "[0.1,0.10000000149011612,0.30000001192092896]",
  );
  for (const value of [[0.123456789012], [Number.NaN], [Number.POSITIVE_INFINITY], [1n], ["1"], [null], { 0: 1 }]) {
    expect(
      () => encodeCell(column, value),
      JSON.stringify(value, (_, v) => String(v)),
    ).toThrow(/embedding/);
  }
});
