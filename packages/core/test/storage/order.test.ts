import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareStrings, compareValues, type P2PValue, TaggedValue } from "../../src/index.ts";
import { text } from "../support/arbitraries.ts";

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

  it("there is none between kinds, nor with NaN, nor of what has no size", () => {
    const things: P2PValue[] = [
      1,
      "1",
      true,
      new Date(1),
      Uint8Array.of(1),
      null,
      [1],
      { a: 1 },
      new TaggedValue("a:b", 1),
    ];
    for (const [i, a] of things.entries()) {
      for (const b of things.slice(i + 1)) expect(compareValues(a, b), `${String(a)} ${String(b)}`).toBeUndefined();
    }
    for (const a of [null, [], {}, new TaggedValue("a:b", 1)]) expect(compareValues(a, a)).toBeUndefined();
    expect(compareValues(Number.NaN, 1)).toBeUndefined();
    expect(compareValues(Number.NaN, Number.NaN)).toBeUndefined();
    expect(compareValues(1n, Number.NaN)).toBeUndefined();
  });
});
