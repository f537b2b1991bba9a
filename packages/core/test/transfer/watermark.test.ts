import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TaggedValue } from "../../src/index.ts";
import { compareValues } from "../../src/model/order.ts";
import type { P2PValue } from "../../src/model/value-tree.ts";
import { assertGrows, beginBefore, notAfter, otherForm } from "../../src/transfer/since/watermark.ts";

const iso = fc
  .date({ min: new Date("1970-01-02"), max: new Date("2999-01-01"), noInvalidDate: true })
  .map((date) => date.toISOString());
const forms: readonly ((iso: string) => string)[] = [
  (text) => text,
  (text) => `${text.slice(0, 19)}Z`,
  (text) => text.slice(0, 19).replace("T", " "),
  (text) => text.slice(0, -1).replace("T", " "),
  (text) => text.slice(0, 10),
];

describe("a watermark", () => {
  it("has what is at it or later, or within the overlap, behind where a run begins", () => {
    const text = fc.tuple(iso, fc.constantFrom(...forms)).map(([at, form]) => form(at));
    const value = fc.oneof(
      text,
      iso.map((at) => new Date(at)),
      fc.bigInt(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
    );
    fc.assert(
      fc.property(value, fc.constantFrom(undefined, 0, 1, 1500, 3_600_000), (watermark: P2PValue, overlap) => {
        expect(compareValues(beginBefore(watermark, overlap), watermark)).toBeLessThanOrEqual(0);
      }),
    );
    expect(beginBefore("2024-01-01 12:00:00", undefined)).toBe("2024-01-01 11:59:00");
    expect(beginBefore("2024-01-01T12:00:00.5Z", 0)).toBe("2024-01-01T12:00:00");
    expect(beginBefore("2024-01-01", undefined)).toBe("2023-12-31");
    expect(beginBefore(9007199254740993n, 2)).toBe(9007199254740991n);
  });

  it("of a text with a T is looked for with a blank too, which sorts before", () => {
    fc.assert(
      fc.property(iso, fc.nat({ max: 86_400_000 }), (at, later) => {
        const from = beginBefore(at, 0) as string;
        const other = otherForm(from)!;
        const day = new Date(new Date(from.slice(0, 10)).getTime() + later).toISOString();
        const blank = day.slice(0, -1).replace("T", " ");
        const isLater = blank.slice(0, 10) === from.slice(0, 10) && day >= from;
        expect(blank >= other.from && blank < other.before).toBe(isLater);
        expect(day >= other.before || day < other.from || day.slice(0, 10) !== from.slice(0, 10)).toBe(true);
      }),
    );
    for (const none of ["2024-01-01 10:00:00", "2024-01-01", 5, 5n, new Date(0)]) {
      expect(otherForm(none)).toBeUndefined();
    }
  });

  it("is not in the future", () => {
    const now = new Date("2024-05-01T10:00:00.000Z");
    expect(notAfter(new Date("9999-01-01"), now)).toEqual(now);
    expect(notAfter("9999-12-31 00:00:00", now)).toBe("2024-05-01 10:00:00");
    expect(notAfter("9999-12-31T00:00:00.000Z", now)).toBe("2024-05-01T10:00:00Z");
    expect(notAfter("2024-04-30 10:00:00", now)).toBe("2024-04-30 10:00:00");
    expect(notAfter(5e15, now)).toBe(5e15);
  });

  it.each([
    [1, 2n],
    [new Date(0), new Date(1)],
    ["2024-01-01 00:00:00", "2024-01-02 00:00:00.5"],
  ] as [P2PValue, P2PValue][])("may be of values from %s to %s", (lowest, highest) => {
    expect(() => assertGrows("at", lowest, highest)).not.toThrow();
  });

  it.each([
    [1, "2024-01-01", /several kinds/],
    ["2024-01-01 00:00:00", "2024-01-02T00:00:00", /several kinds/],
    ["2024-01-01T00:00:00+02:00", "2024-01-02T00:00:00+02:00", /texts sort as times only as/],
    ["2024-02-30", "2024-02-30", /texts sort as times only as/],
    [new TaggedValue("postgresql:timestamptz", "2024-01-01T00:00:00.000001Z"), new Date(0), /timestamptz\(3\)/],
    [1, Number.NaN, /does not grow/],
    [false, true, /does not grow/],
  ] as [P2PValue, P2PValue, RegExp][])("is none of values from %s to %s", (lowest, highest, reason) => {
    expect(() => assertGrows("at", lowest, highest)).toThrow(reason);
  });
});
