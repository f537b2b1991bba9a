import { encodeJson, type P2PRecord, type P2PValue, TaggedValue, valuesEqual } from "@omni/p2p-core/starter";
import { AWKWARD_FIELDS, recordArbitrary, SAMPLE_VALUES } from "@omni/p2p-testkit";
import * as fc from "fast-check";
import * as mongodb from "mongodb";
import { BSON, type Document } from "mongodb";
import { describe, expect, test } from "vitest";
import { type Dialect, FERRETDB, MONGODB } from "../src/client/dialect.ts";
import { RecordDecoder } from "../src/values/decode.ts";
import { RecordEncoder } from "../src/values/encode.ts";

const decoder = new RecordDecoder((bytes) => new mongodb.Decimal128(bytes).toString());
const dialects: readonly Dialect[] = [MONGODB, FERRETDB];

function encode(record: P2PRecord, dialect: Dialect): Document {
  return new RecordEncoder(dialect, mongodb).document(record);
}

function bytesOf(document: Document): Uint8Array {
  return BSON.serialize(document, { ignoreUndefined: true });
}

function expectSame(record: P2PRecord, dialect: Dialect): void {
  const back = decoder.decode(bytesOf(encode(record, dialect)));
  if (!valuesEqual(back, record)) expect(back, dialect.product).toEqual(record);
  expect(valuesEqual(back, record), dialect.product).toBe(true);
}

describe("records become BSON and come back", () => {
  for (const dialect of dialects) {
    test(`any record, as ${dialect.product} keeps it`, () => {
      fc.assert(
        fc.property(recordArbitrary(), (record) => expectSame(record, dialect)),
        { numRuns: 300 },
      );
    });

    test(`every sample of every type, as ${dialect.product} keeps it`, () => {
      for (const value of Object.values(SAMPLE_VALUES).flat()) {
        expectSame({ id: 1, value, list: [value, [value]], object: { value } }, dialect);
        for (const field of AWKWARD_FIELDS) expectSame(JSON.parse(`{"id":1,${JSON.stringify(field)}:5}`), dialect);
      }
    });
  }

  test("what FerretDB cannot take is not sent to it", () => {
    const offences = (value: unknown, inArray: boolean): string[] => {
      if (typeof value === "number") return Number.isFinite(value) && !Object.is(value, -0) ? [] : [`number ${value}`];
      if (Array.isArray(value))
        return [...(inArray ? ["nested array"] : []), ...value.flatMap((item) => offences(item, true))];
      if (typeof value !== "object" || value === null || value instanceof Date || value instanceof Uint8Array)
        return [];
      if ("_bsontype" in value) {
        return /^(?:ObjectId|Binary|BSONRegExp|Timestamp)$/.test(String(value._bsontype))
          ? []
          : [String(value._bsontype)];
      }
      return Object.entries(value).flatMap(([name, inner]) => [
        ...(FERRETDB.unfitName.test(name) && name !== "_p2p" ? [`name ${name}`] : []),
        ...offences(inner, false),
      ]);
    };
    fc.assert(
      fc.property(recordArbitrary(), (record) => {
        expect(offences(encode(record, FERRETDB), false)).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});

describe("MongoDB's own types", () => {
  const { Binary, BSONRegExp, BSONSymbol, Code, DBRef, Decimal128, Double, Long, MaxKey, MinKey, ObjectId, Timestamp } =
    mongodb;
  const { UUID } = mongodb;
  const hex = "65f0c0ffee0ddba11ca7f00d";
  const uuid = "0e4f2c5a-9d3b-4a6e-8f10-123456789abc";
  const cases: readonly [string, unknown, P2PValue][] = [
    ["objectId", new ObjectId(hex), new TaggedValue("mongodb:objectId", hex)],
    ["uuid", new UUID(uuid), new TaggedValue("mongodb:uuid", uuid)],
    [
      "binary",
      new Binary(Buffer.from("abc"), 128),
      new TaggedValue("mongodb:binary", { subtype: 128, base64: "YWJj" }),
    ],
    [
      "old uuid",
      new Binary(Buffer.alloc(16), 3),
      new TaggedValue("mongodb:binary", { subtype: 3, base64: Buffer.alloc(16).toString("base64") }),
    ],
    [
      "old binary",
      new Binary(Buffer.from("abc"), 2),
      new TaggedValue("mongodb:binary", { subtype: 2, base64: "YWJj" }),
    ],
    ["regex", new BSONRegExp("^a.b", "im"), new TaggedValue("mongodb:regex", { pattern: "^a.b", options: "im" })],
    [
      "timestamp",
      new Timestamp({ t: 4_294_967_295, i: 2 }),
      new TaggedValue("mongodb:timestamp", { t: 4_294_967_295, i: 2 }),
    ],
    ["decimal128", Decimal128.fromString("12.50"), new TaggedValue("mongodb:decimal128", "12.50")],
    ["decimal128 infinity", Decimal128.fromString("-Infinity"), new TaggedValue("mongodb:decimal128", "-Infinity")],
    ["decimal128 exponent", Decimal128.fromString("1E+6000"), new TaggedValue("mongodb:decimal128", "1E+6000")],
    ["minKey", new MinKey(), new TaggedValue("mongodb:minKey", null)],
    ["maxKey", new MaxKey(), new TaggedValue("mongodb:maxKey", null)],
    ["symbol", new BSONSymbol("s"), new TaggedValue("mongodb:symbol", "s")],
    ["code", new Code("f()"), new TaggedValue("mongodb:code", "f()")],
    [
      "codeWithScope",
      new Code("f()", { a: 1 }),
      new TaggedValue("mongodb:codeWithScope", { code: "f()", scope: { a: 1 } }),
    ],
    [
      "dbRef",
      new DBRef("docs", new ObjectId(hex), "app"),
      new TaggedValue("mongodb:dbRef", { $ref: "docs", $id: new TaggedValue("mongodb:objectId", hex), $db: "app" }),
    ],
    ["long", Long.fromString("9223372036854775807"), 9223372036854775807n],
    ["small long", Long.fromNumber(5), 5n],
    ["double", new Double(5.5), 5.5],
    ["negative zero", new Double(-0), -0],
    ["date before 1970", new Date(-62_198_755_200_000), new Date(-62_198_755_200_000)],
    ["binary of subtype 0", new Binary(Uint8Array.of(1, 2)), Uint8Array.of(1, 2)],
  ];

  for (const [name, stored, expected] of cases) {
    test(`${name} is read, and written back as it was`, () => {
      for (const wrap of [(value: unknown) => value, (value: unknown) => [{ value }]]) {
        const document = { _id: 1, value: wrap(stored) };
        const record = decoder.decode(BSON.serialize(document));
        expect(valuesEqual(record.value, wrap(expected) as P2PValue), encodeJson(record.value!)).toBe(true);
        expect(Buffer.from(bytesOf(encode(record, MONGODB)))).toEqual(Buffer.from(BSON.serialize(document)));
      }
    });
  }

  test("types that the driver itself would lose", () => {
    const raw = (type: number, payload: readonly number[]) =>
      Uint8Array.of(13 + payload.length, 0, 0, 0, 0x0a, 0x5f, 0x69, 0x64, 0, type, 0x76, 0, ...payload, 0);
    const read = (type: number, payload: readonly number[]) => decoder.decode(raw(type, payload)).v;
    expect(read(0x06, [])).toEqual(new TaggedValue("mongodb:undefined", null));
    expect(read(0x09, [255, 255, 255, 255, 255, 255, 255, 127])).toEqual(
      new TaggedValue("mongodb:date", "9223372036854775807"),
    );
    expect(read(0x0c, [2, 0, 0, 0, 0x61, 0, ...Buffer.from(hex, "hex")])).toEqual(
      new TaggedValue("mongodb:dbPointer", { namespace: "a", id: hex }),
    );
    // A replacement character that stands there by right, and one for what is not text.
    expect(read(0x02, [4, 0, 0, 0, 0xef, 0xbf, 0xbd, 0])).toBe("\ufffd");
    expect(() => read(0x02, [2, 0, 0, 0, 0xff, 0])).toThrow("not UTF-8");
    expect(() => read(0x42, [])).toThrow("unknown type 66");
    expect(() => decoder.decode(raw(0x02, [100, 0, 0, 0]))).toThrow("length that does not fit");
    for (const type of [0x06, 0x09, 0x0c]) {
      const value = type === 0x06 ? new TaggedValue("mongodb:undefined", null) : new TaggedValue("mongodb:date", "1");
      expectSame({ id: 1, value }, MONGODB);
    }
  });

  test("a payload that is not in the form of its type is kept as a tag", () => {
    const odd: readonly [string, P2PValue][] = [
      ["objectId", "65F0C0FFEE0DDBA11CA7F00D"],
      ["objectId", "short"],
      ["objectId", 5],
      ["uuid", uuid.toUpperCase()],
      ["decimal128", "1e3"],
      ["decimal128", "much"],
      ["binary", { subtype: 0, base64: "" }],
      ["binary", { subtype: 300, base64: "" }],
      ["binary", { subtype: 5, base64: "?" }],
      ["binary", { subtype: 5, base64: "", more: 1 }],
      ["regex", { pattern: "a", options: "mi" }],
      ["regex", { pattern: "a\u0000", options: "" }],
      ["timestamp", { t: 0, i: 0 }],
      ["timestamp", { t: -1, i: 0 }],
      ["timestamp", { t: 1.5, i: 0 }],
      ["minKey", 1],
      ["code", { code: 1 }],
      ["codeWithScope", { code: "f", scope: { $a: 1 } }],
      ["dbRef", { $ref: "a" }],
      ["dbRef", { $ref: "a", $id: 1, $other: 2 }],
      ["unheardOf", "x"],
    ];
    for (const [name, value] of odd) expectSame({ id: 1, value: new TaggedValue(`mongodb:${name}`, value) }, MONGODB);
  });
});

describe("names", () => {
  test("_id is id, and a field id is carried as _id", () => {
    const document = { _id: 1, id: "inner", other: 2 };
    const record = decoder.decode(BSON.serialize(document));
    expect(record).toEqual({ id: 1, _id: "inner", other: 2 });
    expect(encode(record, MONGODB)).toEqual(document);
  });

  test("names with dots are MongoDB's own to keep, others go into the sidecar", () => {
    const record: P2PRecord = { id: 1, "a.b": 1, $set: 2, inner: { "c.d": 3 }, other: { $gt: 4 } };
    expect(encode(record, MONGODB)).toEqual({
      _id: 1,
      "a.b": 1,
      inner: { "c.d": 3 },
      other: { _p2p: '{"$gt":4}' },
      _p2p: '{"$set":2}',
    });
    expect(encode(record, FERRETDB)).toEqual({
      _id: 1,
      inner: { _p2p: '{"c.d":3}' },
      other: { _p2p: '{"$gt":4}' },
      _p2p: '{"a.b":1,"$set":2}',
    });
  });

  test("an object with a field _bsontype is not taken for a value of the driver", () => {
    const record: P2PRecord = { id: 1, _bsontype: "ObjectId", inner: { _bsontype: "Long", low: 1, high: 2 } };
    for (const dialect of dialects) expectSame(record, dialect);
  });

  test("data of others that looks like ours is left alone", () => {
    for (const _p2p of ["text", "5", "{broken", 7, { a: 1 }]) {
      const record = decoder.decode(BSON.serialize({ _id: 1, _p2p, inner: { _p2p } }));
      expect(record).toEqual({ id: 1, _p2p, inner: { _p2p } });
      for (const dialect of dialects) expectSame(record, dialect);
    }
  });
});

describe("numbers without a type of their own", () => {
  test("stand in the field as the nearest, and exactly in the sidecar", () => {
    const large = 2n ** 64n + 1n;
    const document = encode({ id: 1, large }, MONGODB);
    expect(document).toEqual({ _id: 1, large: 2 ** 64, _p2p: `{"large":{"$p2p":"bigint","value":"${large}"}}` });
    // Someone who knew nothing of the sidecar changed the number.
    expect(decoder.decode(bytesOf({ ...document, large: 5 }))).toEqual({ id: 1, large: 5 });
  });

  test("of infinite size too", () => {
    for (const dialect of dialects) {
      for (const value of [
        10n ** 400n,
        -(10n ** 400n),
        Number.POSITIVE_INFINITY,
        Number.NEGATIVE_INFINITY,
        Number.NaN,
        -0,
      ]) {
        expectSame({ id: 1, value }, dialect);
      }
    }
  });
});
