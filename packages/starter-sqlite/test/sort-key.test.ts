import { compareValues, type P2PValue, TaggedValue } from "@omni/p2p-core/starter";
import fc from "fast-check";
import { expect, test } from "vitest";
import { sortKey } from "../src/query/sort-key.ts";

const { value } = fc.letrec<{ value: P2PValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom(
      null,
      true,
      false,
      Number.NaN,
      -0,
      0,
      1,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      2 ** 53,
    ),
    fc.constantFrom<P2PValue>(
      "",
      "a",
      "a\u0000",
      "a\u0000b",
      "ab",
      "\u{1f600}",
      "\uff5e",
      new Uint8Array(0),
      Uint8Array.of(0),
    ),
    fc.constantFrom(
      2n ** 53n,
      2n ** 53n + 1n,
      -(2n ** 53n) - 1n,
      2n ** 1024n,
      2n ** 2000n,
      -(2n ** 1024n),
      10n ** 400n,
      5n,
    ),
    fc.double(),
    fc.integer({ min: -3, max: 3 }),
    fc.bigInt({ min: -(2n ** 66n), max: 2n ** 66n }),
    fc.string({ maxLength: 3 }),
    fc.uint8Array({ maxLength: 3 }),
    fc.date({ noInvalidDate: false }),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("a", "b", "ab"), tie("value"), { maxKeys: 3 }),
    fc.tuple(fc.constantFrom("x:y", "x:z"), fc.constantFrom("a", "b")).map(([type, of]) => new TaggedValue(type, of)),
  ),
}));

test("keys sort as the values do", () => {
  fc.assert(
    fc.property(value, value, (a, b) => {
      expect(Math.sign(Buffer.compare(sortKey(a), sortKey(b)))).toBe(Math.sign(compareValues(a, b)));
    }),
    { numRuns: 20_000, seed: 14 },
  );
});
