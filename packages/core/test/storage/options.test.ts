import { describe, expect, expectTypeOf, it } from "vitest";
import { isP2PError } from "../../src/index.ts";
import { type OptionSpecs, parseOptions } from "../../src/starter.ts";
import { suggest } from "../../src/suggest.ts";

const specs = {
  table: { type: "string", description: "…" },
  journal: { type: "string", values: ["wal", "delete"], default: "wal", description: "…" },
  pageSize: { type: "number", min: 1, max: 1000, default: 100, description: "…" },
  ratio: { type: "number", fraction: true, description: "…" },
  readonly: { type: "boolean", default: false, description: "…" },
  tls: { type: "object", description: "…" },
} as const satisfies OptionSpecs;

const parse = (metadata?: Record<string, unknown>) =>
  parseOptions(specs, { endpointId: "e", storageType: "sqlite", database: "a.db", ...(metadata && { metadata }) });

describe("a starter's options", () => {
  it("are completed with the defaults", () => {
    const options = parse();
    expect(options).toEqual({ journal: "wal", pageSize: 100, readonly: false });
    expectTypeOf(options.journal).toEqualTypeOf<"wal" | "delete">();
    expectTypeOf(options.pageSize).toEqualTypeOf<number>();
    expectTypeOf(options.table).toEqualTypeOf<string | undefined>();
  });

  it("are converted from the text of a URL", () => {
    expect(parse({ pageSize: "500", ratio: "0.5", readonly: "true", table: "t" })).toMatchObject({
      pageSize: 500,
      ratio: 0.5,
      readonly: true,
      table: "t",
    });
    expect(parse({ readonly: "0" }).readonly).toBe(false);
    expect(parse({ readonly: "1" }).readonly).toBe(true);
    expect(parse({ tls: { ca: "x" } }).tls).toEqual({ ca: "x" });
  });

  it("let pass the user's own", () => {
    expect(parse({ description: "mine", "x-team": 5, table: undefined })).toEqual({
      journal: "wal",
      pageSize: 100,
      readonly: false,
    });
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    [
      "an unknown name",
      { tabel: "t" },
      /unknown option "tabel" \(did you mean "table"\?\)\. Known options: table, journal/,
    ],
    ["an unknown name like no other", { zzzzzz: 1 }, /unknown option "zzzzzz"\. Known/],
    ["an inherited name", { constructor: 1 }, /unknown option "constructor"/],
    ["text for a number", { pageSize: "many" }, /"pageSize" must be a whole number/],
    ["empty text for a number", { pageSize: "" }, /"pageSize" must be a whole number/],
    ["half a number", { pageSize: 1.5 }, /"pageSize" must be a whole number/],
    ["NaN", { ratio: Number.NaN }, /"ratio" must be a number/],
    ["an infinite number", { ratio: "Infinity" }, /"ratio" must be a number/],
    ["too small a number", { pageSize: 0 }, /"pageSize" must be from 1 to 1000/],
    ["too large a number", { pageSize: "1001" }, /"pageSize" must be from 1 to 1000/],
    ["a word for a boolean", { readonly: "yes" }, /"readonly" must be true or false/],
    ["a number for text", { table: 5 }, /"table" must be a string/],
    ["another word", { journal: "off" }, /"journal" must be one of wal, delete/],
    ["text for an object", { tls: "x" }, /"tls" must be an object/],
    ["null for text", { table: null }, /"table" must be a string/],
  ])("are refused with %s, naming endpoint and option", (_, metadata, message) => {
    expect(() => parse(metadata)).toThrow(message);
    expect(() => parse(metadata)).toThrow(/^Invalid endpoint sqlite:a\.db: /);
    expect(() => parse(metadata)).toThrow(expect.toSatisfy((error) => isP2PError(error, "INVALID_ENDPOINT")));
  });

  it("never repeats a value in a message", () => {
    for (const metadata of [
      { table: 5, password: "s3cr3t" },
      { journal: "s3cr3t" },
      { pageSize: "s3cr3t" },
      { readonly: "s3cr3t" },
    ]) {
      expect(() => parse(metadata)).toThrow(expect.not.stringContaining("s3cr3t"));
    }
  });
});

describe("suggest", () => {
  it.each([
    ["tabel", ' (did you mean "table"?)'],
    ["TABLE", ' (did you mean "table"?)'],
    ["batchsize", ' (did you mean "batchSize"?)'],
    ["batch-size", ' (did you mean "batchSize"?)'],
    ["x", ""],
    ["", ""],
    ["something else", ""],
  ])("for %s says%s", (name, words) => {
    expect(suggest(name, ["table", "batchSize", "maxRetries"])).toBe(words);
  });
});
