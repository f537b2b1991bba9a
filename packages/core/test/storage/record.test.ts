import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isP2PError, type P2PId, TaggedValue } from "../../src/index.ts";
import { assertRecord, idKey, recordTrouble } from "../../src/starter.ts";
import { value } from "../support/arbitraries.ts";

describe("records and their ids", () => {
  it.each<[P2PId, string]>([
    ["a", "a"],
    [1, "1"],
    [1n, "1"],
    ["1", "1"],
    [-0, "0"],
    [0, "0"],
    [1.5, "1.5"],
    [1e21, "1e+21"],
    [2n ** 63n - 1n, "9223372036854775807"],
    [true, "true"],
    [new Date(0), "1970-01-01T00:00:00.000Z"],
    [Uint8Array.of(0, 171), "00ab"],
    [Buffer.from("xx\u0001").subarray(2), "01"],
    [new TaggedValue("mongodb:objectId", "65f0"), "65f0"],
    [new TaggedValue("a:long", 5n), "5"],
    [new TaggedValue("a:number", 5), "5"],
    [new TaggedValue("a:pair", { t: 1, i: 2n }), '{"t":1,"i":"2"}'],
    [{ tenant: "a", n: 1n }, '{"tenant":"a","n":{"$p2p":"bigint","value":"1"}}'],
  ])("no. %#: canonical text %2$s", (id, key) => {
    expect(idKey(id)).toBe(key);
  });

  it("of any kind have a canonical text that does not change, if they are ids at all", () => {
    fc.assert(
      fc.property(value, (id) => {
        if (recordTrouble({ id }) !== undefined) return;
        const key = idKey(id as P2PId);
        expect(key).toBe(idKey(id as P2PId));
        expect(key).not.toBe("");
      }),
    );
  });

  it.each<[string, unknown, RegExp]>([
    ["null", null, /not null/],
    ["a string", "x", /not string/],
    ["an array", [], /not an array/],
    ["undefined", undefined, /not undefined/],
    ["no id", { title: "x" }, /no id/],
    ["an inherited id", Object.create({ id: 1 }), /no id/],
    ["a null id", { id: null }, /no id/],
    ["an undefined id", { id: undefined }, /no id/],
    ["an empty id", { id: "" }, /id is empty/],
    ["an empty binary id", { id: new Uint8Array() }, /id is empty/],
    ["an empty tagged id", { id: new TaggedValue("a:b", "") }, /id is empty/],
    ["an array id", { id: [1] }, /id is an array/],
    ["NaN as id", { id: Number.NaN }, /id is NaN/],
    ["Infinity as id", { id: Infinity }, /id is Infinity/],
    ["an invalid date as id", { id: new Date(Number.NaN) }, /record\.id is an invalid date/],
    ["a lone surrogate as id", { id: "\ud800" }, /record\.id holds a lone surrogate/],
    ["a bad field", { id: 1, f: Symbol("x") }, /record\.f is a symbol/],
    ["a map", new Map([["id", 1]]), /no id/],
  ])("refuses %s", (_, given, message) => {
    expect(recordTrouble(given)).toMatch(message);
    expect(() => assertRecord(given)).toThrow(expect.toSatisfy((error) => isP2PError(error, "INVALID_RECORD")));
  });

  it("takes ids that are huge, unicode, dates, tagged and objects", () => {
    for (const id of [
      "x".repeat(1e6),
      "\u{1f600}",
      " ",
      new Date(-1),
      new TaggedValue("a:b", 1n),
      { a: 1 },
      false,
      0,
    ]) {
      expect(recordTrouble({ id })).toBeUndefined();
    }
  });
});
