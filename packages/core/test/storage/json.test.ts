import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isP2PError, type P2PValue, TaggedValue } from "../../src/index.ts";
import {
  base64,
  decodeJson,
  encodeJson,
  fromBase64,
  fromJson,
  type JsonValue,
  toJson,
  valuesEqual,
} from "../../src/starter.ts";
import { objectOf, value } from "../support/arbitraries.ts";

const there = (given: P2PValue): P2PValue => decodeJson(encodeJson(given));

describe("values as JSON", () => {
  it("come back equal, with their types, whatever they are", () => {
    fc.assert(
      fc.property(value, (given) => {
        expect(valuesEqual(there(given), given), encodeJson(given)).toBe(true);
        expect(encodeJson(there(given))).toBe(encodeJson(given));
      }),
      { numRuns: 1000 },
    );
  });

  it("are plain JSON where JSON can say them", () => {
    expect(encodeJson({ id: 1, tags: ["a", null, true, 1.5], sub: { x: "ü" } })).toBe(
      '{"id":1,"tags":["a",null,true,1.5],"sub":{"x":"ü"}}',
    );
  });

  it.each<[string, P2PValue, JsonValue]>([
    ["NaN", Number.NaN, { $p2p: "number", value: "NaN" }],
    ["-0", -0, { $p2p: "number", value: "-0" }],
    ["Infinity", Infinity, { $p2p: "number", value: "Infinity" }],
    ["-Infinity", -Infinity, { $p2p: "number", value: "-Infinity" }],
    ["bigint", 2n ** 63n, { $p2p: "bigint", value: "9223372036854775808" }],
    ["a date", new Date(0), { $p2p: "date", value: "1970-01-01T00:00:00.000Z" }],
    ["a date of year 275760", new Date(8.64e15), { $p2p: "date", value: "+275760-09-13T00:00:00.000Z" }],
    ["bytes", Uint8Array.of(0, 255), { $p2p: "bytes", value: "AP8=" }],
    ["no bytes", new Uint8Array(), { $p2p: "bytes", value: "" }],
    ["a tag", new TaggedValue("a:b", 1n), { $p2p: "a:b", value: { $p2p: "bigint", value: "1" } }],
    [
      "a field $p2p",
      { $p2p: "date", x: 1 },
      {
        $p2p: "object",
        value: [
          ["$p2p", "date"],
          ["x", 1],
        ],
      },
    ],
  ])("%s has its documented form", (_, given, form) => {
    expect(toJson(given)).toEqual(form);
    expect(valuesEqual(fromJson(form), given)).toBe(true);
  });

  it("keeps __proto__ as a field of its own, at every depth", () => {
    const given = objectOf([
      ["__proto__", objectOf([["__proto__", 1n]])],
      ["$p2p", objectOf([["__proto__", -0]])],
    ]);
    const back = there(given) as Record<string, unknown>;
    expect(Object.keys(back)).toEqual(["__proto__", "$p2p"]);
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
    expect(valuesEqual(back as never, given)).toBe(true);
  });

  it("leaves out fields that are undefined", () => {
    expect(encodeJson({ a: undefined, b: 1 })).toBe('{"b":1}');
    expect(encodeJson({ $p2p: undefined, b: 1 })).toBe('{"$p2p":"object","value":[["b",1]]}');
    expect(there({ $p2p: undefined, b: 1 })).toEqual({ b: 1 });
  });

  it("reads JSON of others as it stands, even where it looks like a tag", () => {
    const foreign = [
      '{"$p2p":1,"value":2}',
      '{"$p2p":"date"}',
      '{"$p2p":"date","value":"x","more":1}',
      '{"$p2p":"mine","value":1}',
      '{"value":1}',
    ];
    for (const text of foreign) expect(decodeJson(text), text).toEqual(JSON.parse(text));
  });

  it.each([
    '{"$p2p":"bigint","value":"1.5"}',
    '{"$p2p":"bigint","value":"many"}',
    '{"$p2p":"bigint","value":{}}',
    '{"$p2p":"bigint","value":""}',
    '{"$p2p":"date","value":"yesterday"}',
    '{"$p2p":"date","value":null}',
    '{"$p2p":"number","value":"ten"}',
    '{"$p2p":"number","value":[]}',
    '{"$p2p":"bytes","value":7}',
    '{"$p2p":"object","value":{}}',
    '{"$p2p":"object","value":[1]}',
    '{"$p2p":"object","value":[["a"]]}',
  ])("refuses the tag %s, whose payload does not fit, with a typed error", (text) => {
    expect(() => decodeJson(text)).toThrow(expect.toSatisfy((error) => isP2PError(error, "INVALID_RECORD")));
  });

  it("never changes what it is given", () => {
    const given = { d: new Date(5), list: [1n, { $p2p: 1 }] };
    const json = toJson(given);
    const before = JSON.stringify(json);
    fromJson(json);
    expect(JSON.stringify(json)).toBe(before);
    expect(given).toEqual({ d: new Date(5), list: [1n, { $p2p: 1 }] });
  });

  it("puts bytes into memory of their own", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const back = fromBase64(base64(bytes));
        expect(Buffer.compare(back, bytes)).toBe(0);
        expect(back.buffer.byteLength).toBe(back.length);
        expect(base64(Buffer.concat([Buffer.from("x"), bytes]).subarray(1))).toBe(base64(bytes));
      }),
    );
  });
});
