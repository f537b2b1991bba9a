import { encodeJson, getField, type P2PRecord, setField } from "@omni/p2p-core/starter";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeJsonRecord } from "../src/values/json-record.ts";

const decode = (text: string, key = "k") => decodeJsonRecord(Buffer.from(text), key);

describe("JSON of others", () => {
  it("whole numbers keep all their digits, and are bigints only where a number would lose some", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }), (value) => {
        const read = decode(`{"deep":[{"n":${value}}]}`).deep as readonly [{ readonly n: number | bigint }];
        expect(BigInt(read[0].n)).toBe(value);
        if (Number.isSafeInteger(Number(value))) expect(read[0].n).toBeTypeOf("number");
      }),
    );
  });

  it("broken numbers are what JSON.parse makes of them", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(decode(JSON.stringify({ value })).value).toBe(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it("any JSON object comes whole, whatever its fields are called", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue({ maxDepth: 2 })), (source) => {
        const fields = Object.entries(source).filter(([field]) => !["id", "$p2p"].includes(field));
        const plain: Record<string, unknown> = {};
        for (const [field, value] of fields) setField(plain, field, value);
        const record = decode(JSON.stringify(plain));
        for (const [field] of fields) {
          expect(getField(record, field)).toEqual(JSON.parse(JSON.stringify(source[field])));
        }
        expect(record.id).toBe("k");
      }),
    );
  });

  it("text that is no JSON object is text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        fc.pre(text.isWellFormed() && !text.trimStart().startsWith("{"));
        expect(decode(text)).toEqual({ id: "k", type: "string", value: text });
      }),
    );
  });
});

it("own numbers of any size stay numbers", () => {
  fc.assert(
    fc.property(fc.double(), (n) => {
      const record: P2PRecord = { id: "k", n, list: [n] };
      expect(Object.is(decode(encodeJson(record)).n, n)).toBe(true);
    }),
  );
});
