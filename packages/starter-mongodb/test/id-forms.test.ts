import { idKey, type P2PId, TaggedValue } from "@omni/p2p-core/starter";
import { idArbitrary } from "@omni/p2p-testkit";
import * as fc from "fast-check";
import * as mongodb from "mongodb";
import { expect, test } from "vitest";
import { MONGODB } from "../src/client/dialect.ts";
import { RecordEncoder } from "../src/values/encode.ts";
import { formsOf, oddIds } from "../src/values/id-forms.ts";

const encoder = new RecordEncoder(MONGODB, mongodb);
const bytesOf = (value: unknown) => Buffer.from(mongodb.BSON.serialize({ value })).toString("hex");

/** Whether one of the values that a look-up of this id asks for is the very one. */
function asksFor(asked: P2PId, stored: unknown): boolean {
  return formsOf(asked, encoder, MONGODB).some((form) => bytesOf(form) === bytesOf(stored));
}

const tags: readonly TaggedValue[] = [
  new TaggedValue("mongodb:objectId", "65f0c0ffee0ddba11ca7f00d"),
  new TaggedValue("mongodb:uuid", "0e4f2c5a-9d3b-4a6e-8f10-123456789abc"),
  new TaggedValue("mongodb:binary", { subtype: 5, base64: "AQI=" }),
  new TaggedValue("mongodb:decimal128", "12.50"),
  new TaggedValue("mongodb:timestamp", { t: 1, i: 2 }),
  new TaggedValue("mongodb:code", "return 1"),
  new TaggedValue("mongodb:codeWithScope", { code: "x", scope: { a: 1 } }),
  new TaggedValue("mongodb:minKey", null),
  new TaggedValue("mongodb:maxKey", null),
];

test("an id is asked for as it is stored, also by its text alone", () => {
  for (const tag of tags) {
    expect(asksFor(tag, encoder.id(tag)), tag.type).toBe(true);
    expect(asksFor(idKey(tag), encoder.id(tag)), `${tag.type} by its text`).toBe(true);
  }
  // A symbol is the text to the server.
  expect(asksFor(new TaggedValue("mongodb:symbol", "text"), "text")).toBe(true);
  expect(asksFor('{"a":1}', { a: 1 })).toBe(true);
});

test("any id is asked for as it is stored, also by its text alone", () => {
  fc.assert(
    fc.property(idArbitrary(), (id) => {
      expect(asksFor(id, encoder.id(id))).toBe(true);
      expect(asksFor(idKey(id), encoder.id(id)) || typeof encoder.id(id) === "object").toBe(true);
    }),
  );
});

test("ids whose form cannot be told from their text are looked for among all of their types", () => {
  const [types, after, before] = oddIds(["text"], MONGODB).$or;
  expect(types._id.$type).toEqual([3, 12, 13, 15, 17, -1, 127]);
  expect(oddIds(['{"subtype":5,"base64":"AQI="}'], MONGODB).$or[0]._id.$type).toContain(5);
  // Dates out of JavaScript's reach, which no driver's value stands for.
  expect([after._id.$gt, before._id.$lt]).toEqual([new Date(8.64e15), new Date(-8.64e15)]);
});
