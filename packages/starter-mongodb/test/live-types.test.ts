import { type FerretdbLack, lacks } from "@omni/p2p-test-services";
import { describeWithService } from "@omni/p2p-test-services/suite";
import {
  Binary,
  BSON,
  BSONRegExp,
  BSONSymbol,
  Code,
  DBRef,
  Decimal128,
  Double,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
  UUID,
} from "mongodb";
import { expect, test } from "vitest";
import { calm, open, readAll, scratchCollections } from "./scratch.ts";

const oid = new ObjectId("65f0c0ffee0ddba11ca7f00d");

/** Values as applications write them, and what FerretDB is known to lack of them. */
const values: readonly (readonly [string, unknown, FerretdbLack?])[] = [
  ["ObjectId", oid],
  ["UUID", new UUID("0e4f2c5a-9d3b-4a6e-8f10-123456789abc")],
  ["Binary of a subtype of its own", new Binary(Buffer.from("abc"), 128)],
  ["BSONRegExp", new BSONRegExp("^a.*$", "im")],
  ["Timestamp", new Timestamp({ t: 1_700_000_000, i: 7 })],
  ["Int64", Long.fromString("-9223372036854775808")],
  ["Date", new Date(-62_135_596_800_001)],
  ["nested documents", { a: [{ b: { c: [oid, null, { d: new Date(0) }] } }] }],
  ["Decimal128", Decimal128.fromString("-0.1000"), "Decimal128 values"],
  ["MinKey", new MinKey(), "MinKey and MaxKey"],
  ["MaxKey", new MaxKey(), "MinKey and MaxKey"],
  ["Code", new Code("function () {}"), "Code values"],
  ["Code with scope", new Code("f", { a: 1 }), "Code values"],
  ["Symbol", new BSONSymbol("s"), "Symbol values"],
  ["DBRef", new DBRef("docs", oid), "DBRef values"],
  ["NaN", Number.NaN, "NaN values"],
  ["Infinity", Number.NEGATIVE_INFINITY, "infinite numbers"],
  ["negative zero", new Double(-0), "negative zero"],
  ["nested arrays", [[1, [2]], []], "nested arrays"],
  ["field names with dots", { "a.b": { "c.d": 1 } }, "field names with a dot"],
];

describeWithService("mongodb", "values that applications wrote", (service) => {
  const { createEndpoint } = scratchCollections(service.url, "live-types");

  for (const [name, value, lack] of values) {
    test(`${name}: read, and written to another collection as it was`, async (context) => {
      if (lack !== undefined && lacks(service.product, lack)) {
        console.info(`mongodb: not run: ${name} (${service.product} lacks: ${lack})`);
        context.skip(`${service.product} lacks: ${lack}`);
      }
      const [from, to] = [await createEndpoint(), await createEndpoint()];
      await from.collection.insertOne({ _id: oid, value });
      const [source, target] = [await open(from.endpoint), await open(to.endpoint, "target")];
      const result = await target.writeToTarget(await readAll(source), { mode: "upsert", signal: calm });
      expect(result.failures).toEqual([]);
      const [copy] = await to.collection.find({}, { raw: true }).toArray();
      expect(Buffer.from(copy as unknown as Uint8Array)).toEqual(Buffer.from(BSON.serialize({ _id: oid, value })));
      await Promise.all([source.close(), target.close()]);
    });
  }
});
