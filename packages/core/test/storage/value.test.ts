import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type P2PValue, TaggedValue } from "../../src/index.ts";
import {
  cloneValue,
  findInvalidValue,
  getField,
  MAX_DEPTH,
  type ValueType,
  valuesEqual,
  valueType,
} from "../../src/starter.ts";
import { objectOf, value } from "../support/arbitraries.ts";

function nested(levels: number): unknown {
  let inner: unknown = 1;
  for (let i = 0; i < levels; i++) inner = i % 2 ? [inner] : { inner };
  return inner;
}

describe("values", () => {
  it.each<[P2PValue, ValueType]>([
    [null, "null"],
    [false, "boolean"],
    [Number.NaN, "number"],
    [1n, "bigint"],
    ["", "string"],
    [new Date(0), "date"],
    [new Uint8Array(), "bytes"],
    [Buffer.from("x"), "bytes"],
    [[], "array"],
    [{}, "object"],
    [new TaggedValue("a:b", 1), "tagged"],
  ])("no. %#: kind %2$s", (given, kind) => {
    expect(valueType(given)).toBe(kind);
    expect(findInvalidValue(given, "field")).toBeUndefined();
  });

  it("of every kind are found valid, equal to a copy, and different once anything differs", () => {
    fc.assert(
      fc.property(value, value, (a, b) => {
        expect(findInvalidValue(a, "field")).toBeUndefined();
        expect(valuesEqual(a, cloneValue(a))).toBe(true);
        expect(valuesEqual(a, b)).toBe(valuesEqual(b, a));
        expect(valuesEqual([a], [a, b])).toBe(false);
        expect(valuesEqual({ a, b }, { b, a })).toBe(true);
        expect(valuesEqual({ a }, { a, x: b })).toBe(false);
      }),
    );
  });

  it.each<[string, P2PValue | undefined, P2PValue | undefined]>([
    ["0 and -0", 0, -0],
    ["5 and 5n", 5, 5n],
    ["5 and '5'", 5, "5"],
    ["null and absent", null, undefined],
    ["a date and its text", new Date(0), new Date(0).toISOString()],
    ["bytes and a list", Uint8Array.of(1), [1]],
    ["a list and an object", [1], { 0: 1 }],
    ["é composed and decomposed", "é", "e\u0301"],
    ["tags of two types", new TaggedValue("a:b", 1), new TaggedValue("a:c", 1)],
    ["a tag and its look-alike", new TaggedValue("a:b", 1), { type: "a:b", value: 1 }],
    ["an own and an inherited field", { toString: 1 }, {}],
    ["__proto__ as a field and none", objectOf([["__proto__", 1]]), {}],
    ["bytes of other length", Uint8Array.of(1), Uint8Array.of(1, 0)],
  ])("%s are not equal", (_, a, b) => {
    expect(valuesEqual(a, b)).toBe(false);
    expect(valuesEqual(b, a)).toBe(false);
  });

  it("with fields undefined equal those without", () => {
    expect(valuesEqual({ a: undefined, b: 1 }, { b: 1 })).toBe(true);
    expect(valuesEqual({ b: 1 }, { a: undefined, b: 1 })).toBe(true);
    expect(valuesEqual(Buffer.from("ab"), new Uint8Array([97, 98]))).toBe(true);
  });

  it("are copied without sharing anything", () => {
    const given = {
      d: new Date(1),
      b: Uint8Array.of(1),
      list: [{ x: 1 }],
      t: new TaggedValue("a:b", { y: [1] }),
      u: undefined,
    };
    const copy = cloneValue(given) as typeof given;
    expect(copy).toEqual({ d: given.d, b: given.b, list: given.list, t: given.t });
    expect(Object.keys(copy)).not.toContain("u");
    expect(copy.d).not.toBe(given.d);
    expect(copy.b.buffer).not.toBe(given.b.buffer);
    expect(copy.list[0]).not.toBe(given.list[0]);
    expect((copy.t.value as { y: unknown }).y).not.toBe((given.t.value as { y: unknown }).y);
  });

  it("may be nested so deep and no deeper, and not in a circle", () => {
    expect(findInvalidValue(nested(MAX_DEPTH), "record")).toBeUndefined();
    expect(findInvalidValue(nested(MAX_DEPTH + 1), "record")).toMatch(/deeper than 100 levels/);
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    expect(findInvalidValue(circle, "record")).toMatch(/circle/);
  });

  it.each<[string, unknown, RegExp]>([
    ["undefined in a list", [1, undefined], /^record\[1\] is undefined/],
    ["a hole in a list", new Array(1), /^record\[0\] is undefined/],
    ["a function", { f: () => 1 }, /^record\.f is a function/],
    ["a symbol", { s: Symbol("x") }, /^record\.s is a symbol/],
    ["an invalid date", { d: new Date(Number.NaN) }, /^record\.d is an invalid date/],
    ["a lone surrogate", { a: { b: "x\ud800" } }, /^record\.a\.b holds a lone surrogate/],
    ["a lone surrogate in a name", { a: { "\udc00": 1 } }, /^record\.a has a field name with a lone surrogate/],
    ["a map", { m: new Map() }, /^record\.m is an instance of Map/],
    ["a regular expression", { r: /x/ }, /^record\.r is an instance of RegExp/],
    ["a boxed number", { n: Object(1) }, /^record\.n is an instance of Number/],
    ["a class of one's own", { c: new (class Money {})() }, /^record\.c is an instance of Money/],
    ["an error", { e: new Error("x") }, /^record\.e is an instance of Error/],
    [
      "what is wrong inside a tag",
      { t: new TaggedValue("a:b", [new Date(Number.NaN)]) },
      /^record\.t\.value\[0\] is an invalid date/,
    ],
    [
      "a tag with the name of a built-in one",
      { t: new TaggedValue("date", "x") },
      /^record\.t has the tag "date".*<store>:<name>/,
    ],
    ["a tag without a name", { t: new TaggedValue(undefined as never, "x") }, /^record\.t has the tag/],
    ["a tag whose name is not Unicode", { t: new TaggedValue("a:\ud800", "x") }, /^record\.t has the tag/],
  ])("refuses %s and says where", (_, given, message) => {
    expect(findInvalidValue(given, "record")).toMatch(message);
  });

  it("takes objects without a prototype and from another realm", async () => {
    const { runInNewContext } = await import("node:vm");
    expect(findInvalidValue(Object.assign(Object.create(null), { a: 1 }), "record")).toBeUndefined();
    expect(findInvalidValue(runInNewContext("({ a: { b: [1] } })"), "record")).toBeUndefined();
  });

  it("reads own fields only", () => {
    expect(getField({}, "constructor")).toBeUndefined();
    expect(getField({}, "__proto__")).toBeUndefined();
    expect(getField(objectOf([["__proto__", 1]]), "__proto__")).toBe(1);
  });
});
