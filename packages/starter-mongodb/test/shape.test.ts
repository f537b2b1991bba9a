import { type P2PRecord, type P2PValue, recordTrouble, setField, valuesEqual } from "@omni/p2p-core/starter";
import * as mongodb from "mongodb";
import { BSON } from "mongodb";
import { describe, expect, test } from "vitest";
import { FERRETDB, MONGODB } from "../src/client/dialect.ts";
import { RecordDecoder } from "../src/values/decode.ts";
import { RecordEncoder } from "../src/values/encode.ts";

const newDecoder = () => new RecordDecoder((bytes) => new mongodb.Decimal128(bytes).toString());

/** Through one encoder and one decoder, twice, so that shapes are made and used. */
function expectAllBack(records: readonly P2PRecord[]): void {
  for (const dialect of [MONGODB, FERRETDB]) {
    const encoder = new RecordEncoder(dialect, mongodb);
    const decoder = newDecoder();
    for (const record of [...records, ...records]) {
      const document = encoder.document(record);
      // Servers want it first. An object's whole numbers come before all its other names.
      expect(Object.keys(document).find((name) => !/^\d+$/.test(name))).toBe("_id");
      const back = decoder.decode(BSON.serialize(document, { ignoreUndefined: true }));
      if (!valuesEqual(back, record)) expect(back).toEqual(record);
    }
  }
}

function withFields(id: number, names: readonly string[]): P2PRecord {
  const record: Record<string, P2PValue> = { id };
  for (const [i, name] of names.entries()) setField(record, name, i % 3 ? i : `text ${i}`);
  return record as P2PRecord;
}

const names = (count: number, prefix = "field") => Array.from({ length: count }, (_, i) => `${prefix} ${i}`);

describe("documents of the same shape", () => {
  test("keep the order of their fields, and each its own values", () => {
    const decoder = newDecoder();
    for (let i = 0; i < 5; i++) {
      const record = decoder.decode(BSON.serialize({ b: i, _id: i, a: `a${i}`, id: null }));
      expect(Object.entries(record)).toEqual([
        ["b", i],
        ["id", i],
        ["a", `a${i}`],
        ["_id", null],
      ]);
    }
  });

  test("with fields missing, in another order, or of another type", () => {
    expectAllBack([
      { id: 1, a: 1, b: "2", c: null },
      { id: 2, a: 1, c: null },
      { id: 3, c: 1.5, b: [1], a: new Date(5) },
      { id: 4n, a: { a: 1, b: { a: 2 } }, b: { a: 1 } },
      { b: 1, id: 5 },
      { id: 6 },
      { id: 7, a: 2n ** 70n, b: undefined, $c: 1 },
    ]);
  });

  test("of many fields, and of more than any shape has", () => {
    for (const count of [30, 200, 255, 256, 257, 1000]) {
      expectAllBack([withFields(1, names(count)), withFields(2, names(count)), withFields(3, names(count + 1))]);
      expectAllBack([{ id: 1, inner: withFields(1, names(count)) }]);
    }
  });

  test("with names that objects have a meaning for", () => {
    const odd = ["__proto__", "constructor", "toString", "7", "0", "", "_id", "hasOwnProperty", "$p2p", "_p2p"];
    expectAllBack([withFields(1, odd), withFields(2, odd), { id: 3, inner: withFields(1, odd) }]);
  });
});

test("documents with names of their own are read too, when no more shapes are made", () => {
  expectAllBack(
    Array.from({ length: 6000 }, (_, i): P2PRecord => ({ id: i, [`own ${i}`]: i, inner: { [`o${i}`]: i } })),
  );
});

test("a value that cannot be read does not spoil the next document", () => {
  const decoder = newDecoder();
  const document = BSON.serialize({ _id: 1, inner: { a: 1, b: 2 }, last: "text" });
  const damaged = Uint8Array.from(document);
  damaged[damaged.length - 3] = 0xff;
  for (let i = 0; i < 3; i++) {
    expect(decoder.decode(document)).toEqual({ id: 1, inner: { a: 1, b: 2 }, last: "text" });
    expect(() => decoder.decode(damaged)).toThrow("not UTF-8");
  }
});

test("a record is vouched for only when it is valid", () => {
  let deep: P2PValue = 1;
  for (let i = 0; i < 110; i++) deep = i % 2 ? [deep] : { deep };
  const documents: [mongodb.Document, boolean][] = [
    [{ _id: "a", b: [{ c: new Date(0) }] }, true],
    [{ _id: 5n, id: null }, true],
    [{ _id: new mongodb.ObjectId() }, true],
    [{ _id: null }, false],
    [{ _id: "" }, false],
    [{ _id: Number.NaN }, false],
    [{ _id: new mongodb.BSONSymbol("") }, false],
    [{ _id: Buffer.alloc(0) }, false],
    [{ a: 1 }, false],
    [{ _id: 1, deep }, false],
    [{ _id: 1, _p2p: '{"a":"\\ud800"}' }, false],
    [{ _id: 1, a: { _p2p: '["\\ud800"]' } }, false],
  ];
  const decoder = newDecoder();
  for (const [document, isValid] of documents) {
    const record = decoder.decode(BSON.serialize(document));
    expect([document, recordTrouble(record) === undefined]).toEqual([document, isValid]);
    expect([document, decoder.isSound]).toEqual([document, isValid]);
  }
});
