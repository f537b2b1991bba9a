import * as mongodb from "mongodb";
import { expect, test } from "vitest";
import { MONGODB } from "../src/client/dialect.ts";
import { shardKeyPaths } from "../src/client/shard-key.ts";
import { RecordEncoder } from "../src/values/encode.ts";
import { isSameLocator, locatorFilter, locatorOf } from "../src/values/locator.ts";

const encoder = new RecordEncoder(MONGODB, mongodb);

test("a shard key is told by what the config database says of the collection", () => {
  expect(shardKeyPaths({ key: { region: 1, "a.b": "hashed", _id: 1 } })).toEqual(["region", "a.b"]);
  expect(shardKeyPaths({ key: { _id: "hashed" } })).toEqual([]);
  expect(shardKeyPaths({ key: { _id: 1 }, unsplittable: true })).toEqual([]);
  expect(shardKeyPaths({ key: { region: 1 }, dropped: true })).toEqual([]);
  expect(shardKeyPaths({})).toEqual([]);
  expect(shardKeyPaths(null)).toEqual([]);
});

test("a locator is plain JSON with the values of the shard key, and a filter for them", () => {
  const paths = ["region", "a.b", "_id.k", "id", "gone.by", "list.x"];
  const record = { id: { k: 5n }, _id: "inner", region: new Date(0), a: { b: 2n ** 70n }, gone: 1, list: [{ x: 1 }] };
  const locator = locatorOf(record, paths);
  const travelled = JSON.parse(JSON.stringify(locator));
  expect(travelled).toEqual(locator);
  expect(isSameLocator(locator, travelled)).toBe(true);
  expect(isSameLocator(locator, locatorOf({ ...record, region: "eu" }, paths))).toBe(false);
  expect(locatorFilter(travelled, paths, encoder, MONGODB)).toEqual({
    region: { $eq: new Date(0) },
    "a.b": { $eq: 2 ** 70 },
    "_id.k": { $eq: 5n },
    id: { $eq: "inner" },
    "gone.by": { $eq: null },
    "list.x": { $eq: null },
  });
});

test("what is no locator of this shard key is no filter", () => {
  for (const foreign of [undefined, null, "eu", [1], { zone: "eu" }]) {
    expect(locatorFilter(foreign, ["region"], encoder, MONGODB)).toBeUndefined();
  }
  expect(locatorFilter({ region: "eu" }, [], encoder, MONGODB)).toBeUndefined();
});
