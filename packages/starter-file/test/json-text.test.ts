import type { P2PObject } from "@omni/p2p-core/starter";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { fieldsOfJson, jsonOfFields } from "../src/values/json-text.ts";

it("integers come back with all their digits and their type, wherever they stand in the text", () => {
  const numbers = fc.oneof(
    fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }),
    fc.integer({ min: 0, max: 90 }).map((power) => 2 ** power),
    fc.double({ noNaN: true }),
  );
  fc.assert(
    fc.property(fc.string({ maxLength: 40 }), fc.array(numbers, { maxLength: 3 }), (text, list) => {
      const fields = { id: "x", text, list } as P2PObject;
      expect(fieldsOfJson(jsonOfFields(fields))).toEqual(fields);
      const foreign = list.find((value) => typeof value === "bigint");
      if (foreign === undefined || Number.isSafeInteger(Number(foreign))) return;
      expect(fieldsOfJson(`{"t":${JSON.stringify(text)},"n":${foreign}}`).n).toBe(foreign);
    }),
    { numRuns: 500 },
  );
});
