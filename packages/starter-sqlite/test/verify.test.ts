import { verify } from "@omni/p2p-core";
import { type P2PRecord, type P2PValue, parseEndpoint, valuesEqual } from "@omni/p2p-core/starter";
import { referenceAdapter, SAMPLE_VALUES, VALUE_TYPES, valueArbitrary } from "@omni/p2p-testkit";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sqliteStarter } from "../src/index.ts";
import { calm, cleanUp, temporaryFolder } from "./support.ts";

/** Compares records in memory with what SQLite gives back of others. */
async function compared(source: readonly P2PRecord[], target: readonly P2PRecord[]) {
  const reference = referenceAdapter();
  const place = await reference.createEndpoint();
  const ends = [
    { starter: reference.starter, endpoint: parseEndpoint(place.endpoint), records: source },
    {
      starter: sqliteStarter,
      endpoint: parseEndpoint(`sqlite:${temporaryFolder()}/a.db?table=docs`),
      records: target,
    },
  ] as const;
  const [ours, theirs] = await Promise.all(
    ends.map(async ({ starter, endpoint, records }) => {
      const service = await starter.open(endpoint, { role: "target", connectTimeoutMs: 5000, signal: calm() });
      cleanUp(() => service.close());
      const written = await service.writeToTarget(records, { mode: "upsert", signal: calm() });
      expect(written.failures).toEqual([]);
      return { service, endpoint };
    }),
  );
  cleanUp(() => place.dispose?.());
  return verify(ours!, theirs!, {});
}

const samples: readonly P2PValue[] = VALUE_TYPES.flatMap((type) => SAMPLE_VALUES[type].slice(0, 25));

describe("verify between memory and SQLite", () => {
  it("finds every change from one sample value to another, of every type, and no other", async () => {
    const pairs = samples.flatMap((a) => samples.map((b) => [a, b] as const));
    const of = (side: 0 | 1) => pairs.map((pair, at): P2PRecord => ({ id: `r${at}`, same: 1, value: pair[side] }));
    const found = await compared(of(0), of(1));
    const changed = pairs.flatMap(([a, b], at) => (valuesEqual(a, b) ? [] : [`r${at}`]));
    expect(found).toMatchObject({ missing: 0, extra: 0, unreadable: 0, different: changed.length });
    const told = await compared(of(0).slice(0, 60), of(1).slice(0, 60));
    for (const { fields } of told.differences)
      expect(fields).toMatchObject([{ field: expect.stringMatching(/^value/) }]);
  }, 60_000);

  it("finds a change of a single field among others, wherever it lies", async () => {
    const value = valueArbitrary({ maxDepth: 3, maxStringLength: 200 });
    await fc.assert(
      fc.asyncProperty(fc.array(value, { minLength: 1, maxLength: 8 }), value, fc.nat(), async (values, other, at) => {
        const place = at % values.length;
        const source = values.map((field, i): P2PRecord => ({ id: i, field }));
        const target = source.map((record, i) => (i === place ? { ...record, field: other } : record));
        const found = await compared(source, target);
        const same = valuesEqual(values[place]!, other);
        expect(found).toMatchObject({ equal: same, different: same ? 0 : 1, missing: 0, extra: 0 });
        expect(found.differences.map(({ id }) => id)).toEqual(same ? [] : [String(place)]);
        if (!same) expect(found.differences[0]!.fields![0]!.field).toMatch(/^field/);
      }),
      { numRuns: 40 },
    );
  }, 60_000);

  it("takes the order of an object's fields for nothing, and that of a list for a difference", async () => {
    const ordered: P2PRecord = { id: 1, meta: { a: 1, b: { c: [1, 2], d: null } }, z: true };
    const turned: P2PRecord = { z: true, meta: { b: { d: null, c: [1, 2] }, a: 1 }, id: 1 };
    expect(await compared([ordered], [turned])).toMatchObject({ equal: true });
    const found = await compared([ordered], [{ ...ordered, meta: { a: 1, b: { c: [2, 1], d: null } } }]);
    expect(found.differences).toMatchObject([{ fields: [{ field: "meta.b.c[0]" }, { field: "meta.b.c[1]" }] }]);
  });

  it("tells an absent field from null, from an empty text and from an empty list", async () => {
    const source = [1, 2, 3, 4].map((id): P2PRecord => ({ id, other: 1 }));
    const target: P2PRecord[] = [
      { id: 1, other: 1, field: null },
      { id: 2, other: 1, field: "" },
      { id: 3, other: 1, field: [] },
      { id: 4, other: 1 },
    ];
    const found = await compared(source, target);
    expect(found.differences.map(({ fields }) => fields)).toEqual([
      [{ field: "field", target: "null" }],
      [{ field: "field", target: '""' }],
      [{ field: "field", target: "[]" }],
    ]);
  });
});
