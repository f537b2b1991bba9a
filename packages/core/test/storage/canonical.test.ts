import fc from "fast-check";
import { expect, it } from "vitest";
import { canonicalText } from "../../src/model/canonical.ts";
import { JSON_TAG, toJson } from "../../src/model/json.ts";
import type { JsonValue } from "../../src/model/json-value.ts";
import { type P2PValue, TaggedValue, valuesEqual } from "../../src/model/value-tree.ts";
import { comparedText } from "../../src/transfer/verify/compared-text.ts";

/** What it means, in two steps: the tagged JSON, with the fields in order. */
function reference(value: P2PValue): string {
  return write(toJson(value));
}

function write(json: JsonValue): string {
  if (typeof json !== "object" || json === null) return JSON.stringify(json);
  if (Array.isArray(json)) return `[${json.map(write).join(",")}]`;
  const object = json as { readonly [key: string]: JsonValue };
  if (object[JSON_TAG] === "object" && Array.isArray(object.value)) {
    const entries = (object.value as readonly (readonly [string, JsonValue])[]).map(
      ([key, inner]) => `${JSON.stringify(key)}:${write(inner)}`,
    );
    return `{{${entries.sort().join(",")}}}`;
  }
  const fields = Object.keys(object).sort();
  return `{${fields.map((key) => `${JSON.stringify(key)}:${write(object[key]!)}`).join(",")}}`;
}

const leaf = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.double(),
  fc.bigInt(),
  fc.string({ unit: "binary" }),
  fc.date({ noInvalidDate: true }),
  fc.uint8Array({ maxLength: 8 }),
  fc.constant(undefined),
);
const name = fc.oneof(
  fc.string({ maxLength: 3 }),
  fc.constantFrom(JSON_TAG, "value", "id", "__proto__", "1", "10", "2", "toString"),
);
const { value: any } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    leaf,
    fc.array(
      tie("value").filter((item) => item !== undefined),
      { maxLength: 4 },
    ),
    fc.dictionary(name, tie("value"), { maxKeys: 5 }),
    fc.record({ a: tie("value"), b: tie("value") }),
    tie("value").map((inner) => new TaggedValue("some:tag", (inner ?? null) as P2PValue)),
  ),
}));

it("is the tagged JSON with the fields in order", () => {
  fc.assert(
    fc.property(any, (value) => {
      if (value === undefined) return;
      expect(canonicalText(value as P2PValue)).toBe(reference(value as P2PValue));
    }),
    { numRuns: 2000 },
  );
});

it("does not depend on the order in which fields came, also after many other orders", () => {
  const wide = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`f${i}`, i]));
  for (let round = 0; round < 20; round++) {
    expect(canonicalText({ [`k${round}`]: 1, id: "1", a: wide })).toBe(
      canonicalText({ a: Object.fromEntries(Object.entries(wide).reverse()), id: "1", [`k${round}`]: 1 }),
    );
  }
});

it("is shared, like the text that comparisons hash, by two values exactly when they are equal", () => {
  const few = fc.constantFrom("", "1", "s1:a", "a", ":", "1:", 0, -0, 1, 1n, Number.NaN, null, true, false, undefined);
  const small = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      few,
      fc.array(
        tie("value").filter((item) => item !== undefined),
        { maxLength: 2 },
      ),
      fc.dictionary(fc.constantFrom("a", "1", "a1:"), tie("value"), { maxKeys: 2 }),
      fc.constantFrom(new Date(0), new Uint8Array([0]), new TaggedValue("a:b", "a"), new TaggedValue("a:b", 1)),
    ),
  })).value as fc.Arbitrary<P2PValue | undefined>;
  fc.assert(
    fc.property(small, small, (a, b) => {
      if (a === undefined || b === undefined) return;
      const equal = valuesEqual(a, b);
      expect(canonicalText(a) === canonicalText(b)).toBe(equal);
      expect(comparedText(a) === comparedText(b)).toBe(equal);
      expect(comparedText(reversed(a))).toBe(comparedText(a));
    }),
    { numRuns: 3000 },
  );
});

/** The same value with its fields in the other order. */
function reversed(value: P2PValue): P2PValue {
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([field, inner]) => [field, reversed(inner as P2PValue)]),
  );
}
