import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dateOfIso, dateOfText, isoText } from "../../src/model/iso-date.ts";
import { decodeJson, encodeJson } from "../../src/starter.ts";

const YEARS_0_TO_9999 = { min: new Date(-62_167_219_200_000), max: new Date(253_402_300_799_999) };

describe("ISO 8601 texts", () => {
  test("are those of toISOString, for every date, and lead back to it", () => {
    fc.assert(
      fc.property(
        fc.date({ noInvalidDate: true }),
        fc.date({ ...YEARS_0_TO_9999, noInvalidDate: true }),
        (any, usual) => {
          expect(isoText(any)).toBe(any.toISOString());
          expect(isoText(usual)).toBe(usual.toISOString());
          expect(dateOfIso(usual.toISOString())).toEqual(usual);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("days that share a place in the memory of days are kept apart", () => {
    for (const day of [0, 4096, -4096, 0, 8192]) {
      const date = new Date(day * 86_400_000 + 1);
      expect(isoText(date)).toBe(date.toISOString());
    }
  });

  test("the ends of months, leap years and days", () => {
    for (const text of ["0000-01-01T00:00:00.000Z", "0000-02-29T23:59:59.999Z", "1900-02-28T00:00:00.000Z"]) {
      expect(dateOfIso(text)?.toISOString()).toBe(text);
    }
    for (const text of ["2000-02-29T00:00:00.000Z", "2024-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"]) {
      expect(dateOfIso(text)?.toISOString()).toBe(text);
    }
  });

  test("a text is a date only where writing the date gives the text", () => {
    const character = fc.constantFrom(..."0123456789-:.TZ+ t/a٣");
    const texts = fc
      .tuple(fc.date({ ...YEARS_0_TO_9999, noInvalidDate: true }), fc.nat(23), character, fc.nat(23), character)
      .map(([date, at, one, other, two]) => {
        const characters = [...date.toISOString()];
        characters[at] = one;
        if (other % 3 === 0) characters[other] = two;
        return characters.join("");
      });
    fc.assert(
      fc.property(texts, (text) => {
        const date = new Date(text);
        const same = !Number.isNaN(date.getTime()) && date.toISOString() === text;
        expect(dateOfIso(text)).toEqual(same ? date : undefined);
      }),
      { numRuns: 5000 },
    );
  });

  test.each([
    "1900-02-29T00:00:00.000Z",
    "2023-02-29T00:00:00.000Z",
    "2024-04-31T00:00:00.000Z",
    "2024-01-01T24:00:00.000Z",
    "2024-00-01T00:00:00.000Z",
    "2024-01-00T00:00:00.000Z",
    "2024-01-01T00:60:00.000Z",
    "2024-01-01T00:00:60.000Z",
    "2024-01-01 00:00:00.000Z",
    "2024-01-01T00:00:00.000z",
    "2024-01-01T00:00:00Z",
    "",
  ])("%s is none", (text) => {
    expect(dateOfIso(text)).toBeUndefined();
  });
});

describe("the date of a text", () => {
  test.each([
    ["2024-02-29", Date.UTC(2024, 1, 29)],
    ["2024-02-29T12:30:45Z", Date.UTC(2024, 1, 29, 12, 30, 45)],
    ["2024-02-29T12:30:45+02:00", Date.UTC(2024, 1, 29, 10, 30, 45)],
    ["+012024-02-29T00:00:00.000Z", Date.UTC(12_024, 1, 29)],
    ["-000004-02-29T00:00:00.000Z", new Date("-000004-02-29T00:00:00.000Z").getTime()],
  ])("%s is what JavaScript reads", (text, time) => {
    expect(dateOfText(text)?.getTime()).toBe(time);
  });

  test.each([
    "2024-02-30",
    "2023-02-29",
    "2024-06-31T00:00:00Z",
    "2024-06-31T00:00:00.000Z",
    "+012023-02-29T00:00:00.000Z",
    "2024-01-01T24:00:00Z",
    "2024-01-01T24:00:00.000Z",
    "2024-00-01",
    "2024-01-00",
    "5",
    "Feb 30, 2024",
    "",
  ])("%s is none, and is not moved to another day", (text) => {
    expect(dateOfText(text)).toBeUndefined();
  });

  test("a tag of a day that does not exist is refused", () => {
    expect(() => decodeJson(encodeJson(new Date(0)).replace("1970-01-01", "1970-02-30"))).toThrow();
    expect(decodeJson(encodeJson(new Date(0)))).toEqual(new Date(0));
  });
});
