import { decodeJson, encodeJson, idKey, recordTrouble, valuesEqual, valueType } from "@omni/p2p-core/starter";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  AWKWARD_FIELDS,
  assertSameRecords,
  everyValueType,
  OPERATOR_TEXTS,
  recordArbitrary,
  recordsArbitrary,
  SAMPLE_VALUES,
  sampleRecords,
  VALUE_TYPES,
  valueArbitrary,
} from "../src/index.ts";

test("sample records are the same each time, valid, and use every value type", () => {
  const records = sampleRecords(500);
  assertSameRecords(sampleRecords(500), records, { ordered: true });
  assertSameRecords(sampleRecords(100), records.slice(0, 100), { ordered: true });
  for (const record of records) {
    expect(recordTrouble(record)).toBeUndefined();
    expect(new Set(Object.values(record).map((value) => valueType(value!)))).toEqual(new Set(VALUE_TYPES));
  }
  expect(new Set(records.map(({ id }) => id)).size).toBe(500);
});

test("there is a record for every sample value", () => {
  const records = everyValueType();
  expect(records).toHaveLength(Object.values(SAMPLE_VALUES).flat().length);
  expect(new Set(records.map(({ id }) => id)).size).toBe(records.length);
});

test("sample values are of the kind they stand under, and distinct", () => {
  for (const type of VALUE_TYPES) {
    for (const [i, value] of SAMPLE_VALUES[type].entries()) {
      expect(valueType(value)).toBe(type);
      expect(recordTrouble({ id: 1, value })).toBeUndefined();
      const twin = SAMPLE_VALUES[type].findIndex((other) => valuesEqual(other, value));
      expect(twin, `${type} ${i} and ${twin} are the same`).toBe(i);
    }
  }
  expect(new Set(AWKWARD_FIELDS).size).toBe(AWKWARD_FIELDS.length);
  expect(new Set(OPERATOR_TEXTS).size).toBe(OPERATOR_TEXTS.length);
});

test("generated records are valid, and their values survive the core's own JSON", () => {
  fc.assert(
    fc.property(recordArbitrary(), (record) => {
      expect(recordTrouble(record)).toBeUndefined();
      expect(valuesEqual(decodeJson(encodeJson(record)), record)).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test("generated values reach every kind, every plane, and a depth of 5", () => {
  const kinds = new Set<string>();
  const planes = new Set<number>();
  let deepest = 0;
  for (const value of fc.sample(valueArbitrary({ maxStringLength: 100 }), { numRuns: 4000, seed: 1 })) {
    kinds.add(valueType(value));
    deepest = Math.max(deepest, depthOf(value));
    if (typeof value === "string") for (const character of value) planes.add(character.codePointAt(0)! >> 16);
  }
  expect(kinds).toEqual(new Set(VALUE_TYPES));
  expect([...planes].sort((a, b) => a - b)).toEqual(Array.from({ length: 17 }, (_, plane) => plane));
  expect(deepest).toBeGreaterThanOrEqual(5);
});

test("limits are kept", () => {
  const limits = {
    maxStringLength: 10,
    maxBytesLength: 5,
    maxDepth: 1,
    without: ["bigint", "tagged", "number"],
    minDate: new Date(0),
    maxDate: new Date(1e12),
    awkwardFieldNames: false,
  } as const;
  const holds = (value: unknown): boolean => {
    if (typeof value === "string") return value.length <= 10;
    if (value instanceof Date) return value.getTime() >= 0 && value.getTime() <= 1e12;
    if (value instanceof Uint8Array) return value.length <= 5;
    if (Array.isArray(value)) return value.every(holds);
    if (typeof value === "object" && value !== null) {
      return Object.entries(value).every(([field, inner]) => /^[a-z]+$/.test(field) && holds(inner));
    }
    return value === null || typeof value === "boolean";
  };
  fc.assert(
    fc.property(valueArbitrary(limits), (value) => {
      expect(holds(value)).toBe(true);
      expect(depthOf(value)).toBeLessThanOrEqual(1);
    }),
    { numRuns: 500 },
  );
});

test("lists of records have no identity twice", () => {
  fc.assert(
    fc.property(recordsArbitrary(), (records) => {
      expect(new Set(records.map(({ id }) => idKey(id))).size).toBe(records.length);
    }),
  );
});

function depthOf(value: unknown): number {
  if (typeof value !== "object" || value === null || value instanceof Date || value instanceof Uint8Array) return 0;
  if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}
