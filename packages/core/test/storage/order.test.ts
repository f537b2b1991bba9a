import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type P2PObject, type P2PValue, TaggedValue } from "../../src/index.ts";
import { cloneValue, compareStrings, compareValues, kindOrder, valuesEqual } from "../../src/starter.ts";
import { objectOf, text, value } from "../support/arbitraries.ts";

describe("order", () => {
  it("of strings is that of their code points, which is that of their UTF-8", () => {
    fc.assert(
      fc.property(text, text, text, (start, a, b) => {
        for (const [x, y] of [
          [a, b],
          [start + a, start + b],
          [start, start + a],
        ] as const) {
          expect(Math.sign(compareStrings(x, y))).toBe(Buffer.compare(Buffer.from(x), Buffer.from(y)));
        }
      }),
      { numRuns: 2000 },
    );
    expect(compareStrings("\uff5e", "\u{1f600}")).toBeLessThan(0);
    expect(compareStrings("\ud7ff", "\u{10000}")).toBeLessThan(0);
  });

  it("of numbers and bigints is that of their size", () => {
    expect(compareValues(5, 5n)).toBe(0);
    expect(compareValues(5n, 5)).toBe(0);
    expect(compareValues(-0, 0n)).toBe(0);
    expect(compareValues(2 ** 53, 2n ** 53n + 1n)).toBe(-1);
    expect(compareValues(5.5, 5n)).toBe(1);
    expect(compareValues(Infinity, 10n ** 400n)).toBe(1);
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.maxSafeInteger(), (a, b) => {
        const order = Math.sign(a - b);
        for (const [x, y] of [
          [a, b],
          [BigInt(a), b],
          [a, BigInt(b)],
          [BigInt(a), BigInt(b)],
        ] as const) {
          expect(compareValues(x, y)).toBe(order === 0 ? 0 : order);
        }
      }),
    );
  });

  it.each<[P2PValue, P2PValue, number]>([
    [false, true, -1],
    [true, true, 0],
    [new Date(-1), new Date(0), -1],
    [new Date(5), new Date(5), 0],
    [Uint8Array.of(1), Uint8Array.of(1, 0), -1],
    [Uint8Array.of(200), Uint8Array.of(3), 1],
    [new Uint8Array(), new Uint8Array(), 0],
  ])("of %j and %j is %d", (a, b, order) => {
    expect(compareValues(a, b)).toBe(order);
    expect(compareValues(b, a)).toBe(order === 0 ? 0 : -order);
  });

  /** Each is before all that follow it; those in one list are equal. */
  const LADDER: readonly (readonly (P2PValue | undefined)[])[] = [
    [null, undefined],
    [Number.NaN],
    [Number.NEGATIVE_INFINITY],
    [-(10n ** 400n)],
    [-1e300],
    [-5.5],
    [-5, -5n],
    [0, -0, 0n],
    [Number.MIN_VALUE],
    [5n, 5],
    [2 ** 53, 2n ** 53n],
    [2n ** 53n + 1n],
    [10n ** 400n],
    [Number.POSITIVE_INFINITY],
    [""],
    ["1"],
    ["a"],
    ["a\0"],
    ["\uff5e"],
    ["\u{1f600}"],
    [{}, { a: undefined }],
    [{ a: null }],
    [{ a: 1 }, { a: 1n }],
    [
      { a: 1, b: 1 },
      objectOf([
        ["b", 1],
        ["a", 1],
      ]),
    ],
    [{ a: 2 }],
    [{ b: 0 }],
    [[]],
    [[null]],
    [[1], [1n]],
    [
      [1, 0],
      [1, -0],
    ],
    [[2]],
    [[[]]],
    [new Uint8Array(), Buffer.alloc(0)],
    [Uint8Array.of(0)],
    [Uint8Array.of(3), Buffer.of(3)],
    [Uint8Array.of(3, 0)],
    [Uint8Array.of(200)],
    [new TaggedValue("a:a", 2)],
    [new TaggedValue("a:b", 1), new TaggedValue("a:b", 1n)],
    [new TaggedValue("a:b", "1")],
    [false],
    [true],
    [new Date(Number.NaN)],
    [new Date(-8.64e15)],
    [new Date(-1)],
    [new Date(0)],
    [new Date(8.64e15)],
  ];

  it("is one for all kinds, as the guide has it", () => {
    const places = LADDER.flatMap((equals, place) => equals.map((thing) => ({ thing, place })));
    for (const a of places) {
      for (const b of places) {
        expect(
          Math.sign(compareValues(a.thing, b.thing)),
          `${a.place} ${String(a.thing)} and ${b.place} ${String(b.thing)}`,
        ).toBe(Math.sign(a.place - b.place));
      }
    }
  });

  it("is a total preorder: reflexive, antisymmetric, transitive", () => {
    const any = fc.oneof(value, fc.constantFrom(...LADDER.flat(), undefined));
    fc.assert(
      fc.property(any, any, any, (a, b, c) => {
        expect(compareValues(a, a)).toBe(0);
        const [ab, ba, bc, ac] = [compareValues(a, b), compareValues(b, a), compareValues(b, c), compareValues(a, c)];
        expect(Number.isNaN(ab)).toBe(false);
        expect(Math.sign(ab)).toBe(-Math.sign(ba) || 0);
        if (ab <= 0 && bc <= 0) expect(ac).toBeLessThanOrEqual(0);
        if (ab === 0 && bc === 0) expect(ac).toBe(0);
        if (ab < 0 && bc <= 0) expect(ac).toBeLessThan(0);
      }),
      { numRuns: 5000 },
    );
  });

  it("has values at one place that are equal, and those alone but for the kinds of number", () => {
    fc.assert(
      fc.property(value, value, (a, b) => {
        expect(compareValues(a, cloneValue(a))).toBe(0);
        expect(compareValues(a, b) === 0).toBe(valuesEqual(plainNumbers(a), plainNumbers(b)));
      }),
      { numRuns: 2000 },
    );
  });

  it("of a list does not depend on how the list stood before", () => {
    fc.assert(
      fc.property(
        fc.array(value, { maxLength: 30 }),
        fc.infiniteStream(fc.double({ min: 0, max: 1 })),
        (list, dice) => {
          const places = list.map((thing, place) => ({ thing, place, at: dice.next().value as number }));
          const shuffled = places.toSorted((a, b) => a.at - b.at);
          const inOrder = (of: typeof places) =>
            of.toSorted((a, b) => compareValues(a.thing, b.thing) || a.place - b.place).map(({ place }) => place);
          expect(inOrder(shuffled)).toEqual(inOrder(places));
        },
      ),
    );
  });

  it("tells the kinds' places, which are those of the values", () => {
    fc.assert(
      fc.property(value, value, (a, b) => {
        const [left, right] = [kindOrder(a), kindOrder(b)];
        if (left !== right) expect(Math.sign(compareValues(a, b))).toBe(Math.sign(left - right));
      }),
    );
    expect(kindOrder(undefined)).toBe(kindOrder(null));
    expect(kindOrder(5)).toBe(kindOrder(5n));
  });
});

/** With each number that a bigint can say as that bigint, so that `5`, `5n` and `0`, `-0` are one. */
function plainNumbers(thing: P2PValue): P2PValue {
  if (typeof thing === "number") return Number.isInteger(thing) ? BigInt(thing) : thing;
  if (typeof thing !== "object" || thing === null || thing instanceof Date || thing instanceof Uint8Array) return thing;
  if (thing instanceof TaggedValue) return new TaggedValue(thing.type, plainNumbers(thing.value));
  if (Array.isArray(thing)) return (thing as readonly P2PValue[]).map(plainNumbers);
  return objectOf(
    Object.entries(thing as P2PObject).map(([key, inner]) => [key, inner === undefined ? inner : plainNumbers(inner)]),
  );
}
