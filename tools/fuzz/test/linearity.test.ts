import { describe, expect, it } from "vitest";
import { growthOf } from "../src/linearity.ts";
import { isFine, PARSERS, type Parser } from "../src/parsers.ts";

/** Longest text here, in characters. Half of it is beyond the 20,000 digits that a number may have. */
const LONGEST = 49_152;

/** Beside other tests, times of a millisecond waver; by the square of the length they grow fourfold. The long run allows 2.5. */
const MOST_HERE = 3.2;

/** A parser that takes time by the square of the length. */
const SQUARE: Parser = {
  name: "square",
  limit: 1_000_000,
  longest: 4000,
  shapes: [],
  parse: (text) => {
    let found = 0;
    for (let i = 0; i < text.length; i++) for (let j = 0; j < i; j++) if (text[i] === text[j]) found++;
    return found;
  },
};

describe("linearity", () => {
  // Noise may hit one measurement; what grows by the square is found by each.
  it.each(PARSERS.map((parser) => [parser.name, parser] as const))("%s", { retry: 2 }, async (_, parser) => {
    const longest = Math.min(parser.longest, LONGEST);
    const growths = await growthOf(parser, { longest, sampleMs: 1, most: MOST_HERE });
    expect(growths.filter(({ trouble }) => trouble !== undefined)).toEqual([]);
  });

  it("is not found in a parser that lacks it, unless its limit keeps it short", async () => {
    const [long] = await growthOf(SQUARE);
    expect(long!.trouble).toMatch(/takes [34]\.\d+ times as long when doubled/);
    const [short] = await growthOf({ ...SQUARE, limit: 500, longest: 500 });
    expect(short).toMatchObject({ bounded: true });
    expect(short!.trouble).toBeUndefined();
  });
});

describe("a limit", () => {
  const limited = PARSERS.filter(({ limit }) => limit <= 1_000_000);

  it("is one that every kind of text has that people write by hand", () => {
    expect(limited.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["endpoint", "--where", "config file in YAML", "config file in JSON"]),
    );
  });

  it.each(limited.map((parser) => [parser.name, parser] as const))("of %s is kept and told", async (_, parser) => {
    const error = await Promise.resolve("a".repeat(parser.limit + 1))
      .then(parser.parse)
      .catch((thrown: unknown) => thrown);
    expect(isFine(error)).toBe(true);
    expect((error as Error).message).toMatch(/\d{5,} characters; \d{5,} is the most/);
    expect((error as Error).message.length).toBeLessThan(300);
  });
});
