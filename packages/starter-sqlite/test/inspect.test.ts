import { existsSync } from "node:fs";
import { join } from "node:path";
import { type P2PRecord, parseEndpoint } from "@omni/p2p-core/starter";
import { describe, expect, test } from "vitest";
import { sqliteStarter } from "../src/index.ts";
import { at, calm, databaseWith, rejection, temporaryFolder } from "./support.ts";

const context = { role: "target", signal: calm(), connectTimeoutMs: 1000 } as const;
const describeMapping = (file: string, sample: readonly P2PRecord[], metadata: Record<string, unknown> = {}) =>
  sqliteStarter.describeMapping!(parseEndpoint(at(file, { table: "t", ...metadata })), sample, context);

test("inspect lists tables and views with their columns, and never makes a file", async () => {
  const file = databaseWith(`
    CREATE TABLE b (id INTEGER PRIMARY KEY, v); INSERT INTO b VALUES (1, 2), (2, 3);
    CREATE TABLE a (x TEXT, y, PRIMARY KEY (x, y)) WITHOUT ROWID;
    CREATE VIEW c AS SELECT id FROM b;`);
  const { product, collections } = await sqliteStarter.inspect!(parseEndpoint(at(file)), context);
  expect(product).toMatch(/^SQLite 3\.\d+/);
  expect(collections).toEqual([
    {
      name: "a",
      records: 0,
      fields: [
        { name: "x", type: "TEXT", key: true },
        { name: "y", type: "any type", key: true },
      ],
      endpoint: { metadata: { table: "a" } },
    },
    {
      name: "b",
      records: 2,
      fields: [
        { name: "id", type: "INTEGER", key: true },
        { name: "v", type: "any type" },
      ],
      endpoint: { metadata: { table: "b" } },
    },
    { name: "c", fields: [{ name: "_id", type: "INTEGER" }], endpoint: { metadata: { table: "c" } } },
  ]);
  const missing = join(temporaryFolder(), "none.db");
  expect(await rejection(sqliteStarter.inspect!(parseEndpoint(at(missing)), context))).toMatchObject({
    code: "SOURCE_NOT_FOUND",
  });
  expect(existsSync(missing)).toBe(false);
});

describe("describeMapping", () => {
  test("of a table that is not there yet", async () => {
    const file = join(temporaryFolder(), "none.db");
    const mappings = await describeMapping(file, [
      { id: 1, title: "a", mixed: 1, odd: Number.NaN, Title: "b" },
      { id: 2, title: "b", mixed: "x", odd: 1 },
    ]);
    expect(mappings.map(({ field, storedAs, lossless }) => [field, storedAs, lossless])).toEqual([
      ["id", "INTEGER", true],
      ["title", "TEXT", true],
      ["mixed", "no type", true],
      ["odd", "NUMERIC, _p2p", true],
      ["Title", "_p2p", true],
    ]);
    expect(existsSync(file)).toBe(false);
  });

  test("of a table that others made says what would be refused, changed or left out", async () => {
    const file = databaseWith("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, s TEXT, g AS (n + 1))");
    const sample = [
      { id: 1, n: "abc", s: 5, g: 1, extra: true },
      { id: 2, n: 1, s: "x" },
    ];
    const mappings = await describeMapping(file, sample);
    expect(mappings).toMatchObject([
      { field: "id", storedAs: "INTEGER", lossless: true },
      { field: "n", storedAs: "INTEGER", lossless: false, note: expect.stringContaining('"abc"') },
      { field: "s", storedAs: "TEXT", lossless: false, note: "A number would come back as a string" },
      { field: "g", storedAs: "nothing", lossless: false },
      { field: "extra", storedAs: "nothing", lossless: false, note: expect.stringContaining("unknownFields") },
    ]);
    const adding = await describeMapping(file, sample, { unknownFields: "add" });
    expect(adding.at(-1)).toMatchObject({ field: "extra", storedAs: "BOOLEAN", lossless: true });
  });
});
