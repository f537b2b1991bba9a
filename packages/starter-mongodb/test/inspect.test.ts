import { MongoClient, MongoServerError } from "mongodb";
import { expect, test } from "vitest";
import { inspectServer } from "../src/inspecting/inspect.ts";
import { calm } from "./scratch.ts";

/** A server of which one database cannot be listed, one collection not be counted, and one is a view. */
function troubled(): MongoClient {
  const client = new MongoClient("mongodb://127.0.0.1:1");
  const refuse = (errmsg: string): never => {
    throw new MongoServerError({ ok: 0, code: 13, errmsg });
  };
  const db = (databaseName: string) => ({
    databaseName,
    command: async (command: Record<string, unknown>) => {
      if ("listDatabases" in command) return { databases: [{ name: "app" }, { name: "closed" }, { name: "local" }] };
      if ("buildInfo" in command) return { version: "8.0.4" };
      return command.count === "torn" ? refuse("cannot open storage") : { n: 3 };
    },
    listCollections: () => ({
      toArray: async () => {
        if (databaseName === "closed") refuse("not authorized on closed");
        return ["whole", "torn"].map((name) => ({ name, type: "collection" })).concat({ name: "seen", type: "view" });
      },
    }),
  });
  return Object.assign(client, { db: db as unknown as MongoClient["db"] });
}

test("one collection, or one database, that is in trouble does not end the looking", async () => {
  const { product, collections } = await inspectServer(troubled(), undefined, "test", calm);
  expect(product).toBe("MongoDB 8.0.4");
  expect(collections.map(({ name, records, trouble }) => [name, records, trouble])).toEqual([
    ["app.seen", undefined, undefined],
    ["app.torn", undefined, "cannot open storage"],
    ["app.whole", 3, undefined],
    ["closed", undefined, "not authorized on closed"],
  ]);
  const one = await inspectServer(troubled(), "app", "test", calm);
  expect(one.collections.map(({ name }) => name)).toEqual(["seen", "torn", "whole"]);
});
