import { encodeJson, parseEndpoint } from "@omni/p2p-core/starter";
import { describe, expect, it } from "vitest";
import { parseRedisEndpoint } from "../src/endpoint.ts";
import { decodeJsonRecord } from "../src/values/json-record.ts";
import { rawFormat, recordOf, toDocument } from "../src/values/raw-document.ts";

const settings = parseRedisEndpoint(parseEndpoint("redis://localhost/0?prefix=docs:"));
const withTtl = parseRedisEndpoint(parseEndpoint("redis://localhost/0?prefix=docs:&ttlField=until"));

const documentOf = (value: string | Buffer, at = settings, expiry?: number) =>
  toDocument("docs:1", { type: "string", value: Buffer.from(value as string) }, expiry, at);

/** `levels` objects or arrays within each other. */
const nested = (levels: number) => `{"id":"1","deep":${"[".repeat(levels)}${"]".repeat(levels)}}`;

describe("texts that are copied as they are", () => {
  for (const [what, text] of [
    ["of plain fields", '{"id":"1","title":"a \\n b","n":5,"list":[1,{"x":null}]}'],
    ["with tags that are sound", encodeJson({ id: "1", at: new Date("2024-02-28T10:00:00.000Z"), big: 5n })],
    ["of others, without an id", ' {"title":"t"}'.trim()],
    ["that only look like JSON", "{not json}"],
  ] as const) {
    it(what, () => {
      const document = documentOf(text);
      expect(document).toEqual({ suffix: "1", text, expiry: undefined });
      expect(recordOf(document!, settings)).toEqual(decodeJsonRecord(Buffer.from(text), "1"));
    });
  }

  it("with an expiry that becomes the field", () => {
    const document = documentOf('{"id":"1"}', withTtl, 5000);
    expect(document).toMatchObject({ expiry: 5000 });
    expect(recordOf(document!, withTtl)).toEqual({ id: "1", until: new Date(5000) });
  });
});

describe("values that must be looked into", () => {
  for (const [what, value] of [
    ["text that is no object", "[1,2]"],
    ["white space before the object", ' {"id":"1"}'],
    ["escapes, which may be half of a pair", '{"id":"1","bad":"\\ud800"}'],
    ["bytes that are no UTF-8", Buffer.from([0x7b, 0xff, 0x7d])],
    ["a broken tag", '{"id":"1","at":{"$p2p":"date","value":"2024-02-31T10:00:00.000Z"}}'],
    ["a tag that is seldom", encodeJson({ id: "1", bytes: new Uint8Array([1]) })],
    ["a field with the name of a tag", '{"id":"1","$p2p":5}'],
    ["objects nested deeply", nested(101)],
  ] as const) {
    it(what, () => expect(documentOf(value)).toBeUndefined());
  }

  it("the field for the expiry within the text, which writing would take out", () => {
    expect(documentOf('{"id":"1","until":5}', withTtl)).toBeUndefined();
    expect(documentOf('{"id":"1","until":5}')).toBeDefined();
  });

  it("keys that are the prefix, gone, of another type, or no text", () => {
    const value = Buffer.from('{"id":"1"}');
    expect(toDocument("docs:", { type: "string", value }, undefined, settings)).toBeUndefined();
    expect(toDocument("docs:1", undefined, undefined, settings)).toBeUndefined();
    expect(toDocument("docs:1", { type: "list", value: [value] }, undefined, settings)).toBeUndefined();
    expect(toDocument(Buffer.from([0xff]), { type: "string", value }, undefined, settings)).toBeUndefined();
  });

  it("endpoints with another field for the expiry have another form", () => {
    expect(rawFormat(settings)).not.toBe(rawFormat(withTtl));
  });
});
