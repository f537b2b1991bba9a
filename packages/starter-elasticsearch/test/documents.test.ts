import { idKey, type P2PRecord, type P2PValue, parseJson, valuesEqual } from "@omni/p2p-core/starter";
import { recordArbitrary, SAMPLE_VALUES, VALUE_TYPES } from "@omni/p2p-testkit";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ELASTICSEARCH } from "../src/client/dialect.ts";
import { needsOf, newIndexBody } from "../src/mapping/load-schema.ts";
import {
  type IndexSchema,
  type MappingJson,
  mergedSchema,
  type PropertyJson,
  schemasOf,
} from "../src/mapping/schema.ts";
import { ELASTICSEARCH_TYPE_MAPPING, SIDECAR } from "../src/types.ts";
import { decodePage } from "../src/values/decode.ts";
import { documentEncoder } from "../src/values/encode.ts";

const INDEX = "knowledge";

/** The schema of the index that would be made for these records. */
function ownSchema(records: readonly P2PRecord[]): IndexSchema {
  const { mappings } = JSON.parse(newIndexBody(needsOf(records), { shards: 1 }, ELASTICSEARCH)) as {
    mappings: MappingJson;
  };
  return mergedSchema(schemasOf({ [INDEX]: mappings }));
}

function foreignSchema(properties: Record<string, PropertyJson>, dynamic = "true"): IndexSchema {
  return mergedSchema(schemasOf({ [INDEX]: { dynamic, properties } }));
}

/** A record's document, as it is written. */
function encode(record: P2PRecord, schema: IndexSchema): string {
  const encoder = documentEncoder(schema);
  return encoder.encodePlain(record) ?? encoder.encode(record, idKey(record.id)).source;
}

function sourceOf(record: P2PRecord, schema: IndexSchema): Record<string, unknown> {
  return parseJson(encode(record, schema)) as Record<string, unknown>;
}

/** A record after it has been a document. */
function thereAndBack(record: P2PRecord, schema: IndexSchema): P2PRecord {
  const source = encode(record, schema);
  const key = idKey(record.id);
  return read(
    `{"hits":{"hits":[{"_index":"${INDEX}","_id":${JSON.stringify(key)},"_source":${source},"sort":[1,2]}]}}`,
    schema,
  );
}

function indexOf(schema: IndexSchema) {
  return { schemas: new Map([[INDEX, schema]]), link: { label: "elasticsearch:test" } };
}

function read(text: string, schema: IndexSchema): P2PRecord {
  const [hit] = decodePage(parseJson(text) as never, text, indexOf(schema)).hits;
  if (hit?.item === undefined) throw hit?.error ?? new Error("nothing was read");
  return hit.item;
}

function readSource(key: string, source: string, schema: IndexSchema): P2PRecord {
  return read(
    `{"hits":{"hits":[{"_index":"${INDEX}","_id":${JSON.stringify(key)},"_source":${source},"sort":[1,2]}]}}`,
    schema,
  );
}

describe("documents of an index that we made", () => {
  test.each(VALUE_TYPES)("%s stands in the source as the type mapping says", (type) => {
    const values = SAMPLE_VALUES[type];
    const schema = ownSchema(values.map((value, i) => ({ id: `v${i}`, value })));
    const field = schema.fields.get("value")?.type;
    const row = ELASTICSEARCH_TYPE_MAPPING.find((mapping) => mapping.value === type)!;
    // What fits any field has no field of its own; a list has that of its items.
    if (type !== "null" && type !== "array") expect(row.field.split(/\W/)[0]).toBe(field);
    for (const [i, value] of values.entries()) {
      const record = { id: `v${i}`, value };
      expect(valuesEqual(thereAndBack(record, schema), record), `${type} ${i}`).toBe(true);
      if (row.sidecar === "never") expect(sourceOf(record, schema), `${type} ${i}`).not.toHaveProperty(SIDECAR);
      if (row.sidecar === "always") expect(sourceOf(record, schema), `${type} ${i}`).toHaveProperty(SIDECAR);
    }
  });

  test("plain records are plain documents", () => {
    const record: P2PRecord = {
      id: "a",
      title: "text",
      n: 1.5,
      big: 5n,
      huge: 2n ** 63n - 1n,
      flag: true,
      at: new Date(0),
      bytes: Uint8Array.of(1, 2),
      object: { inner: { x: [1, "two", null] } },
      nothing: null,
      absent: undefined,
    };
    expect(sourceOf(record, ownSchema([record]))).toEqual({
      id: "a",
      title: "text",
      n: 1.5,
      big: 5,
      huge: "9223372036854775807",
      flag: true,
      at: "1970-01-01T00:00:00.000Z",
      bytes: "AQI=",
      object: { inner: { x: [1, "two", null] } },
      nothing: null,
    });
  });

  test("only what the fields cannot say is in the sidecar", () => {
    const record: P2PRecord = { id: "a", title: "text", n: 1, object: { at: new Date(0), x: 1 }, tags: ["a", "b"] };
    const schema = ownSchema([record]);
    expect(sourceOf(record, schema)).toEqual({
      id: "a",
      title: "text",
      n: 1,
      object: { at: "1970-01-01T00:00:00.000Z", x: 1 },
      tags: ["a", "b"],
      [SIDECAR]: {
        fields: ["tags"],
        values: { object: { at: [{ $p2p: "date", value: "1970-01-01T00:00:00.000Z" }] } },
      },
    });
    expect(sourceOf({ id: "b", n: "not a number", "a.b": 1 }, schema)).toEqual({
      id: "b",
      [SIDECAR]: { fields: ["n", "a.b"], values: { n: ["not a number"], "a.b": [1] }, texts: { n: "not a number" } },
    });
  });

  test("any record comes back from any mapping", () => {
    // The mapping is made for one record and used for another, so hardly anything fits it.
    fc.assert(
      fc.property(recordArbitrary(), recordArbitrary(), fc.boolean(), (first, second, ours) => {
        const own = ownSchema([first]);
        const schema = ours ? own : { ...foreignSchema({}), fields: own.fields };
        const back = thereAndBack(second, schema);
        if (!valuesEqual(back, second)) expect(back).toEqual(second);
      }),
      { numRuns: 500 },
    );
  });

  test("any record comes back from types that others chose", () => {
    const types = [
      "keyword",
      "text",
      "long",
      "integer",
      "double",
      "float",
      "boolean",
      "date",
      "date_nanos",
      "binary",
      "flattened",
      "ip",
    ];
    const property = fc.oneof(
      fc.constantFrom(...types).map((type): PropertyJson => ({ type })),
      fc
        .constantFrom("yyyy-MM-dd", "epoch_second", "dd/MM/yyyy")
        .map((format): PropertyJson => ({ type: "date", format })),
      fc.constantFrom(...types).map((type): PropertyJson => ({ properties: { a: { type }, when: { type: "date" } } })),
    );
    const names = ["id", "a", "b", "c", "title", "count", "size", "when", "meta", "tags", "flag", "blob", "a.b"];
    const properties = fc.dictionary(fc.constantFrom(...names), property);
    fc.assert(
      fc.property(recordArbitrary(), properties, fc.constantFrom("true", "false", "strict"), (record, own, dynamic) => {
        const back = thereAndBack(record, foreignSchema(own, dynamic));
        if (!valuesEqual(back, record)) expect(back).toEqual(record);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("documents of others", () => {
  const schema = foreignSchema({
    id: { type: "long" },
    at: { type: "date" },
    nanos: { type: "date_nanos" },
    n: { type: "long" },
    x: { type: "double" },
    b: { type: "binary" },
    o: { properties: { at: { type: "date" }, list: { type: "nested", properties: { n: { type: "long" } } } } },
  });

  test("values are read by the mapping, with all their digits", () => {
    const source =
      '{"at":["2024-01-01",1700000000000],"nanos":"2024-01-01T00:00:00.123456789Z","n":9223372036854775807,"x":9007199254740993,' +
      '"b":"AAEC","o":{"at":"2024-01-01T00:00:00+01:00","list":[{"n":5},{"n":-9223372036854775808}]},"u":12345678901234567890,"s":"2024-01-01"}';
    expect(readSource("k", source, schema)).toEqual({
      id: "k",
      at: [new Date("2024-01-01"), new Date(1700000000000)],
      nanos: "2024-01-01T00:00:00.123456789Z",
      n: 2n ** 63n - 1n,
      x: 2 ** 53,
      b: Uint8Array.of(0, 1, 2),
      o: { at: new Date("2023-12-31T23:00:00Z"), list: [{ n: 5 }, { n: -(2n ** 63n) }] },
      u: 12345678901234567890n,
      s: "2024-01-01",
    });
  });

  test("a field called id is the id with its type, or is carried beside it and goes back to its place", () => {
    expect(readSource("7", '{"id":7}', schema)).toEqual({ id: 7 });
    expect(readSource("k", '{"id":7}', schema)).toEqual({ id: "k", _id: 7 });
    expect(readSource("k", '{"id":null}', schema)).toEqual({ id: "k", _id: null });
    expect(readSource("k", '{"id":[1],"_p2p":5}', schema)).toEqual({ id: "k", _id: [1], _p2p: 5 });
    expect(sourceOf({ id: "k", _id: 7 }, schema)).toEqual({ id: 7 });
    const both: P2PRecord = { id: "7", _id: 7 };
    expect(valuesEqual(thereAndBack(both, schema), both)).toBe(true);
  });

  test("what only looks like a sidecar is a field", () => {
    for (const value of [5, null, {}, { fields: 1 }, { values: [] }, { values: {}, more: 1 }] as P2PValue[]) {
      expect(readSource("k", JSON.stringify({ _p2p: value }), schema)).toEqual({ id: "k", _p2p: value });
    }
  });

  test("a document without source is a failure of its own", () => {
    const text = '{"hits":{"hits":[{"_index":"knowledge","_id":"k","sort":[1,2]}]}}';
    const [hit] = decodePage(parseJson(text) as never, text, indexOf(schema)).hits;
    expect(hit?.error?.code).toBe("READ_FAILED");
    expect(hit?.error?.message).toContain('"k"');
  });
});
