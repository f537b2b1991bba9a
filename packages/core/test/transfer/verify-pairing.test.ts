import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { idKey, type P2PRecord } from "../../src/model/record.ts";
import { comparedText } from "../../src/transfer/verify/compared-text.ts";
import { type PairedSide, Pairing, sameRecord } from "../../src/transfer/verify/pairing.ts";
import { fieldName, objectOf, value } from "../support/arbitraries.ts";

const signal = new AbortController().signal;

function pairingOf(patienceMs?: number) {
  const kept: [P2PRecord[], P2PRecord[]] = [[], []];
  const keep = (side: PairedSide, record: P2PRecord) => void kept[side].push(record);
  return { pairing: new Pairing(sameRecord, keep, signal, patienceMs), kept };
}

/** What records add to the digests of one side beyond those of the other. */
function surplus(source: readonly P2PRecord[], target: readonly P2PRecord[]): Map<string, number> {
  const times = new Map<string, number>();
  const add = (record: P2PRecord, by: number) => {
    const text = `${idKey(record.id)} ${comparedText(record)}`;
    const sum = (times.get(text) ?? 0) + by;
    if (sum === 0) times.delete(text);
    else times.set(text, sum);
  };
  for (const record of source) add(record, 1);
  for (const record of target) add(record, -1);
  return times;
}

/** Reads both sides side by side, as the comparison does. */
async function readBoth(pairing: Pairing, batches: readonly [readonly P2PRecord[][], readonly P2PRecord[][]]) {
  const read = async (side: PairedSide) => {
    for (const batch of batches[side]) {
      pairing.add(side, batch, 100);
      await pairing.turn(side);
    }
    pairing.end(side);
  };
  await Promise.all([read(0), read(1)]);
}

describe("pairing", () => {
  const record = fc
    .tuple(fc.oneof(fc.integer({ min: 0, max: 12 }), fc.constantFrom("3", "4")), fc.integer({ min: 0, max: 2 }))
    .map(([id, n]): P2PRecord => ({ id, n }));
  const batches = fc.array(fc.array(record, { maxLength: 6 }), { maxLength: 8 });

  it("leaves the difference of the digests as it is, in whatever order and however often records come", async () => {
    await fc.assert(
      fc.asyncProperty(batches, batches, async (source, target) => {
        const { pairing, kept } = pairingOf();
        await readBoth(pairing, [source, target]);
        expect(surplus(kept[0], kept[1])).toEqual(surplus(source.flat(), target.flat()));
        expect(kept[0].length + pairing.pairs).toBe(source.flat().length);
        expect(kept[1].length + pairing.pairs).toBe(target.flat().length);
      }),
      { numRuns: 500 },
    );
  });

  const numbered = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i): P2PRecord => ({ id: from + i, n: 0 }));
  const cut = (records: readonly P2PRecord[], size: number) =>
    Array.from({ length: Math.ceil(records.length / size) }, (_, i) => records.slice(i * size, (i + 1) * size));

  it("pairs all that is equal where some are missing, changed and moved to the end, and batches are of other sizes", async () => {
    const source = numbered(0, 100_000);
    const moved = source.filter(({ id }) => Number(id) % 100 === 7);
    const target = source.flatMap((record) => {
      const last = Number(record.id) % 100;
      return last === 5 || last === 7 ? [] : last === 6 ? [{ ...record, n: 1 }] : [record];
    });
    const { pairing, kept } = pairingOf();
    await readBoth(pairing, [cut(source, 1000), cut([...target, ...moved], 700)]);
    expect(pairing.pairs).toBe(98_000);
    expect(kept.map(({ length }) => length)).toEqual([2000, 1000]);
  });

  it("holds a bounded number of records, and gives up where the two orders have nothing in common", async () => {
    const source = numbered(0, 80_000);
    const target = source.toReversed();
    const { pairing, kept } = pairingOf();
    const sizes: number[] = [];
    for (const [i, batch] of cut(source, 1000).entries()) {
      pairing.add(0, batch, 100);
      pairing.add(1, cut(target, 1000)[i]!, 100);
      sizes.push((i + 1) * 2000 - kept[0].length - kept[1].length - 2 * pairing.pairs);
    }
    expect(Math.max(...sizes)).toBeLessThanOrEqual(20_000);
    expect(sizes.at(-1)).toBe(0);
    expect(kept[0].length + pairing.pairs).toBe(80_000);
  });

  it("holds a bounded number of bytes", () => {
    const { pairing, kept } = pairingOf();
    for (const batch of cut(numbered(0, 100), 10)) pairing.add(0, batch, 1024 * 1024);
    expect(100 - kept[0].length).toBeLessThanOrEqual(16);
  });

  it("goes on where a side is served only when the other has been read", async () => {
    const { pairing, kept } = pairingOf(5);
    for (const batch of cut(numbered(0, 10_000), 1000)) {
      pairing.add(0, batch, 100);
      await pairing.turn(0);
    }
    pairing.end(0);
    for (const batch of cut(numbered(0, 10_000), 1000)) pairing.add(1, batch, 100);
    pairing.end(1);
    expect(pairing.pairs).toBe(10_000);
    expect(kept).toEqual([[], []]);
  });

  it("ends waiting when it is called off", async () => {
    const calledOff = new AbortController();
    const pairing = new Pairing(sameRecord, () => {}, calledOff.signal);
    pairing.add(0, numbered(0, 10), 100);
    const waiting = pairing.turn(0);
    calledOff.abort(new Error("called off"));
    await expect(waiting).rejects.toThrow("called off");
  });
});

describe("sameRecord", () => {
  it("is true of just those records that have one text for hashing", () => {
    const fields = fc.array(fc.tuple(fieldName, fc.oneof(value, fc.constant(undefined))), { maxLength: 4 });
    const record = fields.map((entries) => objectOf([["id", 1], ...entries]) as P2PRecord);
    const alike = fields.map((entries) => {
      const all = new Map<string, P2PRecord[string]>([["id", 1], ...entries]);
      return [objectOf([...all]), objectOf([...all].reverse())] as [P2PRecord, P2PRecord];
    });
    fc.assert(
      fc.property(fc.oneof(fc.tuple(record, record), alike), ([a, b]) => {
        expect(sameRecord(a, b)).toBe(comparedText(a) === comparedText(b));
        expect(sameRecord(a, copyOf(a))).toBe(true);
      }),
      { numRuns: 1000 },
    );
    for (const [a, b] of [
      [0, -0],
      [1, 1n],
      [1, "1"],
      [Number.NaN, Number.NaN],
      [null, undefined],
    ] as const)
      expect(sameRecord({ id: 1, a }, { id: 1, a: b } as P2PRecord)).toBe(Object.is(a, b));
  });
});

/** The same fields and values in another object. */
function copyOf(record: P2PRecord): P2PRecord {
  return objectOf(Object.keys(record).map((name) => [name, record[name]] as const)) as P2PRecord;
}
