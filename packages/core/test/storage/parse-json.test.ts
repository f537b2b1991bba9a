import { execFileSync } from "node:child_process";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeJson, encodeJson, type JsonValue, parseJson, valuesEqual } from "../../src/starter.ts";
import { fieldName, objectOf, value } from "../support/arbitraries.ts";

const ESCAPED = ["\\", "\n", "\t", '"', "\b", "\u0001", "\\n", "\nx", "a\\", "a\n", "\\\\", "\n\n", "/"];

describe("parseJson", () => {
  it("gives every field its name, whatever was parsed before", () => {
    // In a process of its own: what V8 expects comes from all texts that it has seen.
    const script = `
      import { parseJson, decodeJson } from ${JSON.stringify(new URL("../../src/starter.ts", import.meta.url).href)};
      const names = ${JSON.stringify(ESCAPED)};
      const wrong = [];
      for (const parse of [parseJson, decodeJson]) {
        for (const first of names) for (const second of names) {
          JSON.parse(JSON.stringify({ [first]: 1 }));
          parse(JSON.stringify({ [first]: 1 }));
          const read = Object.keys(parse(JSON.stringify({ [second]: 1 })));
          if (read[0] !== second) wrong.push([first, second, read]);
        }
      }
      console.log(JSON.stringify(wrong));
    `;
    expect(execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" }).trim()).toBe(
      "[]",
    );
    JSON.parse('{"\\\\":1}');
    expect(Object.keys(parseJson('{"\\n":1}') as object)).toEqual(["\n"]);
    expect(Object.keys(decodeJson('{"\\u000a" : 1}') as object)).toEqual(["\n"]);
  });

  it("reads what JSON.stringify wrote, with and without space", () => {
    const name = fc.oneof(fieldName, fc.constantFrom(...ESCAPED));
    const json = fc.letrec<{ json: JsonValue }>((tie) => ({
      json: fc.oneof(
        { depthSize: "small" },
        fc.constantFrom<JsonValue>(null, true, false, "", 'a"\\', "\n", 0, -1.5e-7, 1e300),
        fc.string({ unit: "binary" }),
        fc.array(tie("json"), { maxLength: 4 }),
        fc.array(fc.tuple(name, tie("json")), { maxLength: 4 }).map((entries) => objectOf(entries) as JsonValue),
      ),
    })).json;
    fc.assert(
      fc.property(json, fc.constantFrom("", " ", "\t\n"), (given, space) => {
        expect(JSON.stringify(parseJson(JSON.stringify(given, null, space)))).toBe(JSON.stringify(given));
      }),
      { numRuns: 1000 },
    );
  });

  it("gives values back through text, with names of all kinds", () => {
    fc.assert(
      fc.property(fc.constantFrom(...ESCAPED), fc.constantFrom(...ESCAPED), value, (a, b, inner) => {
        const given = objectOf([
          [a, inner],
          ["x", objectOf([[b, [inner]]])],
        ]);
        expect(valuesEqual(decodeJson(encodeJson(given)), given)).toBe(true);
      }),
    );
  });

  it.each([
    "",
    "{",
    '{"\\n":}',
    '{"\\n":1,}',
    '{"\\n" 1}',
    '["\\n":1]',
    '{"\\q":1}',
    '{"\\n":1}}',
    '{"\\n":01}',
    '"\\n',
  ])("refuses %j like JSON.parse", (text) => {
    expect(() => parseJson(text)).toThrow(SyntaxError);
  });

  it("tells a number as it was written, also beside names with escapes", () => {
    const read = (source: string, number: number) => (Number.isSafeInteger(number) ? number : `big ${source}`);
    for (const name of ["a", "\n"]) {
      const text = `{${JSON.stringify(name)}:[1,9007199254740993],"b":-0}`;
      expect(parseJson(text, read)).toEqual({ [name]: [1, "big 9007199254740993"], b: -0 });
    }
  });

  it("keeps __proto__ as a field, the last of two of one name, and depth", () => {
    const parsed = parseJson('{"\\n":1,"__proto__":{"a":1},"\\n":2}');
    expect(Object.entries(parsed as object)).toEqual([
      ["\n", 2],
      ["__proto__", { a: 1 }],
    ]);
    expect(() => parseJson(`${'{"\\n":'.repeat(100_000)}1${"}".repeat(100_000)}`)).not.toThrow();
  });

  it("takes as long as a text is, also where it is no JSON", () => {
    // A pattern that divides a text in every way takes hours for these, and one that keeps a stack cannot read them.
    for (const text of [`"\\n${"a".repeat(100)}`, `{"\\n":"${"a".repeat(100)}`, `"${"\\n".repeat(10_000_000)}`]) {
      expect(() => parseJson(text)).toThrow(SyntaxError);
    }
    const long = "\\n".repeat(10_000_000);
    expect(parseJson(`"${long}"`)).toHaveLength(10_000_000);
    expect((parseJson(`{"\\n":["${long}"]}`) as { "\n": string[] })["\n"][0]).toHaveLength(10_000_000);
  });
});
