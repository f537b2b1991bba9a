import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { TaggedValue } from "../../src/index.ts";
import type { P2PRecord } from "../../src/model/record.ts";
import type { P2PObject } from "../../src/model/value-tree.ts";
import { comparedText } from "../../src/transfer/verify/compared-text.ts";
import { newFingerprinter, ShaFingerprinter, SipHashFingerprinter } from "../../src/transfer/verify/fingerprint.ts";
import { INPUT_AT, SipHash } from "../../src/transfer/verify/siphash.ts";
import { value } from "../support/arbitraries.ts";

const KEY = Uint8Array.from({ length: 16 }, (_, at) => at);
const MASK = (1n << 64n) - 1n;

afterEach(() => vi.unstubAllGlobals());

/** What the generated code makes of whole words. */
function generated(words: readonly bigint[], rounds: { each: number; last: number }): string {
  const hash = new SipHash(KEY, rounds);
  for (const [at, word] of words.entries()) hash.view.setBigUint64(INPUT_AT + at * 8, word, true);
  hash.begin();
  hash.absorb(INPUT_AT + words.length * 8);
  hash.finish();
  const { buffer, byteOffset, byteLength } = hash.output;
  return Buffer.from(buffer, byteOffset, byteLength).toString("hex");
}

/** The algorithm as the paper has it, word by word. */
function reference(words: readonly bigint[], { each, last }: { each: number; last: number }): string {
  const key = Buffer.from(KEY);
  const [k0, k1] = [key.readBigUInt64LE(0), key.readBigUInt64LE(8)];
  let v0 = k0 ^ 0x736f6d6570736575n;
  let v1 = k1 ^ 0x646f72616e646f6dn ^ 0xeen;
  let v2 = k0 ^ 0x6c7967656e657261n;
  let v3 = k1 ^ 0x7465646279746573n;
  const rotl = (x: bigint, by: bigint) => ((x << by) | (x >> (64n - by))) & MASK;
  const round = () => {
    v0 = (v0 + v1) & MASK;
    v1 = rotl(v1, 13n) ^ v0;
    v0 = rotl(v0, 32n);
    v2 = (v2 + v3) & MASK;
    v3 = rotl(v3, 16n) ^ v2;
    v0 = (v0 + v3) & MASK;
    v3 = rotl(v3, 21n) ^ v0;
    v2 = (v2 + v1) & MASK;
    v1 = rotl(v1, 17n) ^ v2;
    v2 = rotl(v2, 32n);
  };
  for (const word of words) {
    v3 ^= word;
    for (let i = 0; i < each; i++) round();
    v0 ^= word;
  }
  const output = Buffer.alloc(16);
  v2 ^= 0xeen;
  for (let i = 0; i < last; i++) round();
  output.writeBigUInt64LE(v0 ^ v1 ^ v2 ^ v3, 0);
  v1 ^= 0xddn;
  for (let i = 0; i < last; i++) round();
  output.writeBigUInt64LE(v0 ^ v1 ^ v2 ^ v3, 8);
  return output.toString("hex");
}

describe("SipHash by code generation", () => {
  it.each([
    [[0n], "a3817f04ba25a8e66df67214c7550293"],
    [[1n << 56n], "da87c1d86b99af44347659119b22fc45"],
    [[(2n << 56n) | 0x0100n], "8177228da4a45dc7fca38bdef60affe4"],
  ])("gives the reference implementation's vectors of SipHash-2-4", (words, expected) => {
    expect(generated(words, { each: 2, last: 4 })).toBe(expected);
  });

  it("is SipHash-1-3 of any words", () => {
    const words = fc.array(fc.bigInt({ min: 0n, max: MASK }), { minLength: 1, maxLength: 20 });
    const rounds = { each: 1, last: 3 };
    fc.assert(fc.property(words, (some) => generated(some, rounds) === reference(some, rounds)));
  });
});

describe("a fingerprint", () => {
  const hasher = new SipHashFingerprinter(KEY);
  const idOf = ({ id = "" }: P2PObject) => (typeof id === "string" ? id : comparedText(id));
  const printOf = (record: P2PObject, id = idOf(record)) => [
    ...hasher.spread(id),
    ...hasher.content(id, record as P2PRecord),
  ];

  it("is shared by two records exactly when they are equal", () => {
    const few = fc.constantFrom("", "1", "é", "e\u0301", 0, -0, 1, 1n, Number.NaN, null, true, [], {}, undefined);
    const odd = fc.constantFrom(
      new Date(0),
      new Date(1),
      new Uint8Array([0]),
      new TaggedValue("a:b", "a"),
      "𝔘".repeat(30),
    );
    const small = fc.dictionary(fc.constantFrom("id", "a", "b", "toString", "__proto__"), fc.oneof(few, odd, value), {
      maxKeys: 3,
    }) as fc.Arbitrary<P2PObject>;
    fc.assert(
      fc.property(small, small, (a, b) => {
        const [left, right] = [printOf(a), printOf(b)];
        const equal = comparedText(a) === comparedText(b) && idOf(a) === idOf(b);
        expect(left.join() === right.join()).toBe(equal);
        expect(printOf(Object.fromEntries(Object.entries(a).reverse()))).toEqual(left);
      }),
      { numRuns: 3000 },
    );
  });

  it("takes in texts of any length, whole, and what comes after them", () => {
    const seen = new Set<string>();
    for (const unit of ["x", "é", "𝔘"]) {
      for (const length of [40, 48, 49, 16_384, 16_385, 87_000, 90_001, 300_000]) {
        const text = unit.repeat(Math.ceil(length / unit.length));
        const all = [text, `${text}y`, `y${text}`, `${text.slice(0, 32)}y${text.slice(34)}`];
        for (const body of all) {
          const same = Buffer.from(body, "utf16le").toString("utf16le");
          expect(printOf({ id: "1", body: same, end: 1 })).toEqual(printOf({ id: "1", body, end: 1 }));
          seen.add(printOf({ id: "1", body, end: 1 }).join()).add(printOf({ id: "1", body, end: 2 }).join());
        }
      }
    }
    expect(seen.size).toBe(3 * 8 * 4 * 2);
  });

  it("takes in many small values and deep ones, whatever room they need", () => {
    const items = Array.from({ length: 200_000 }, (_, at) => at);
    const other = [...items.slice(0, -1), -1];
    expect(printOf({ id: "1", items })).toEqual(printOf({ items, id: "1" }));
    expect(printOf({ id: "1", items })).not.toEqual(printOf({ id: "1", items: other }));
    const names = Object.fromEntries(items.slice(0, 50_000).map((at) => [`name-${at}`, at]));
    expect(printOf({ id: "1", names })).toEqual(printOf({ id: "1", names: { ...names, absent: undefined } }));
    expect(printOf({ id: "1", names })).not.toEqual(printOf({ id: "1", names: { ...names, more: null } }));
  });

  it("is another one under another key", () => {
    const record = { id: "1" };
    expect(printOf(record)).not.toEqual([
      ...new SipHashFingerprinter().spread("1"),
      ...new SipHashFingerprinter().content("1", record),
    ]);
  });

  it("is made by SHA-256 where there is no WebAssembly", () => {
    expect(newFingerprinter()).toBeInstanceOf(SipHashFingerprinter);
    vi.stubGlobal("WebAssembly", undefined);
    expect(newFingerprinter()).toBeInstanceOf(ShaFingerprinter);
  });
});
