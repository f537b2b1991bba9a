import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { SINGLE_KINDS, singleKindNamed } from "../../src/model/value-types.ts";
import { compareValues, encodeJson, isSingleObject, kindOrder, type P2PValue, valueType } from "../../src/starter.ts";

const SAMPLES: Record<(typeof SINGLE_KINDS)[number]["name"], readonly P2PValue[]> = {
  date: [new Date(0), new Date(5), runInNewContext("new Date(7)") as Date],
  bytes: [Uint8Array.of(1), Buffer.from([1, 2]), runInNewContext("Uint8Array.of(3)") as Uint8Array],
};

describe("the table of kinds", () => {
  it.each(SINGLE_KINDS.map(({ name }) => name))(
    "%s: every value is known by its kind, of whatever class and realm",
    (name) => {
      const kind = singleKindNamed(name)!;
      for (const value of SAMPLES[name]) {
        expect(valueType(value)).toBe(name);
        expect(isSingleObject(value)).toBe(true);
        expect(kindOrder(value)).toBe(kind.order);
        expect(encodeJson(value)).toContain(`{"$p2p":"${name}"`);
        const copy = kind.clone(value as never);
        expect(copy).not.toBe(value);
        expect(kind.equals(copy, value as never)).toBe(true);
        expect(kind.size(copy)).toBeGreaterThan(0);
        expect(kind.fromJson(kind.toJson(copy))).toEqual(copy);
      }
      expect(compareValues(SAMPLES[name][0], SAMPLES[name][1])).toBeLessThan(0);
    },
  );

  it("has a place in the order and a name for each kind alone", () => {
    expect(new Set(SINGLE_KINDS.map(({ order }) => order)).size).toBe(SINGLE_KINDS.length);
    expect(new Set(SINGLE_KINDS.map(({ name }) => name)).size).toBe(SINGLE_KINDS.length);
    expect(singleKindNamed("object")).toBeUndefined();
  });

  it("takes nothing else for a single value", () => {
    for (const other of [null, undefined, "x", 5, {}, [], new Map(), new Uint16Array(1), new ArrayBuffer(1)])
      expect(isSingleObject(other)).toBe(false);
  });
});
