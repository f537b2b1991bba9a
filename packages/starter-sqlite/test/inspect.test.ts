import { existsSync } from "node:fs";
import { join } from "node:path";
import { type P2PRecord, parseEndpoint } from "@omni/p2p-core/starter";
import { describe, expect, test } from "vitest";
import { sqliteStarter } from "../src/index.ts";
import { at, calm, databaseWith, rejection, temporaryFolder } from "./support.ts";

const context = { role: "target", signal: calm(), connectTimeoutMs: 1000 } as const;
/** What the table of a file declares, as a copy's target is told. */
async function schemaOf(file: string, table: string) {
  const store = await sqliteStarter.open(parseEndpoint(at(file, { table })), { ...context, role: "source" });
  try {
    return await store.schema!({}, context.signal);
  } finally {
    await store.close();
  }
}
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

  test("of a table that would be made like the source's takes its declared types, and what only a copy of it can hold", async () => {
    const source = databaseWith("CREATE TABLE t (code TEXT NOT NULL PRIMARY KEY, n INTEGER, at DATETIME NOT NULL)");
    const schema = await schemaOf(source, "t");
    const sample = [{ id: "a", code: "a", n: "many", at: "2024-01-31" }];
    const target = parseEndpoint(at(join(temporaryFolder(), "none.db"), { table: "t" }));
    expect(await sqliteStarter.describeMapping!(target, sample, { ...context, schema })).toEqual([
      {
        field: "id",
        types: ["string"],
        storedAs: "TEXT",
        lossless: true,
        note: "Declared as in the source: key, NOT NULL",
      },
      {
        field: "code",
        types: ["string"],
        storedAs: "TEXT",
        lossless: true,
        note: "Declared as in the source: key, NOT NULL",
      },
      { field: "n", types: ["string"], storedAs: "INTEGER", lossless: true, note: "Declared as in the source" },
      {
        field: "at",
        types: ["string"],
        storedAs: "DATETIME",
        lossless: true,
        note: "Declared as in the source: NOT NULL",
      },
    ]);
    const foreign = { format: "other:table", definition: null };
    const [, ...others] = await sqliteStarter.describeMapping!(target, sample, { ...context, schema: foreign });
    expect(others.map(({ storedAs }) => storedAs)).toEqual(["TEXT", "TEXT", "TEXT"]);
  });

  test.each([
    [
      "null where the column is NOT NULL",
      "a TEXT NOT NULL DEFAULT 'x'",
      { id: 1, a: null },
      "a",
      /NOT NULL, so records with null/,
    ],
    ["a record without what has no default", "a TEXT NOT NULL", { id: 1 }, "a", /NOT NULL and has no default/],
  ])("of a table that others made finds %s", async (_, column, bad, field, note) => {
    const file = databaseWith(`CREATE TABLE t (id INTEGER PRIMARY KEY, ${column})`);
    const mappings = await describeMapping(file, [{ id: 2, a: "fine" }, bad]);
    expect(mappings.find((mapping) => mapping.field === field)).toMatchObject({
      lossless: false,
      note: expect.stringMatching(note),
    });
    const [alone] = (await describeMapping(file, [bad])).filter((mapping) => mapping.field === field);
    expect(alone).toMatchObject({ lossless: false });
    const store = await sqliteStarter.open(parseEndpoint(at(file, { table: "t" })), context);
    const { failures } = await store.writeToTarget([bad as P2PRecord], { mode: "upsert", signal: context.signal });
    await store.close();
    expect(failures).toHaveLength(1);
  });

  test("of a table with another key finds ids that do not name its rows", async () => {
    const pair = databaseWith("CREATE TABLE t (a TEXT, b TEXT, PRIMARY KEY (a, b))");
    expect((await describeMapping(pair, [{ id: "x" }]))[0]).toMatchObject({
      storedAs: "the columns a, b",
      lossless: false,
    });
    expect((await describeMapping(pair, [{ id: '["x","y"]' }]))[0]).toMatchObject({ lossless: true });
    const keyless = databaseWith("CREATE TABLE t (a TEXT)");
    expect((await describeMapping(keyless, [{ id: "x", a: "y" }]))[0]).toMatchObject({
      storedAs: "the rowid",
      lossless: false,
    });
    expect((await describeMapping(keyless, [{ id: 7, a: "y" }]))[0]).toMatchObject({ lossless: true });
  });

  test("of a table of ours tells names that SQLite does not tell apart", async () => {
    const file = databaseWith("CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, _p2p TEXT)");
    const mappings = await describeMapping(file, [{ id: "a", Title: "x", title: "y", rowid: 5 }]);
    expect(mappings.map(({ field, storedAs }) => [field, storedAs])).toEqual([
      ["id", "TEXT"],
      ["Title", "TEXT"],
      ["title", "_p2p"],
      ["rowid", "_p2p"],
    ]);
  });
});
