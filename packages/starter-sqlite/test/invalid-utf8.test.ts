import type { P2PQuery } from "@omni/p2p-core/starter";
import { describe, expect, test } from "vitest";
import { at, calm, databaseWith, open, overTheWire, readAll } from "./support.ts";

/** Of each letter a key that is valid, and two that are not: read as strings, they are before where they stand. */
const rows = [..."abcdefg"].flatMap((letter, i) => {
  const raw = (end: string) => `CAST(x'${(0x61 + i).toString(16)}${end}' AS TEXT)`;
  return [`('${letter}', ${i}, 'x')`, `(${raw("ff")}, ${i + 10}, ${raw("ff")})`, `(${raw("fe")}, ${i + 20}, 'x')`];
});
const insert = `INSERT INTO t VALUES ${rows.join(", ")}`;

describe("keys that are not valid UTF-8 are read to the end, each once", () => {
  test.for<[string, string, P2PQuery, Record<string, unknown>]>([
    ["by rowid", "CREATE TABLE t (id TEXT PRIMARY KEY, n, v);", {}, {}],
    ["without rowid", "CREATE TABLE t (id TEXT PRIMARY KEY, n, v) WITHOUT ROWID;", {}, {}],
    [
      "without rowid, of two columns",
      "CREATE TABLE t (id TEXT, n, v TEXT, PRIMARY KEY (v DESC, id)) WITHOUT ROWID;",
      {},
      {},
    ],
    ["sorted by id", "CREATE TABLE t (id TEXT PRIMARY KEY, n, v);", { orderBy: "id" }, {}],
    [
      "sorted by another field",
      "CREATE TABLE t (id TEXT PRIMARY KEY, n, v TEXT); CREATE INDEX s ON t (v);",
      { orderBy: [{ field: "v", direction: "desc" }] },
      {},
    ],
    ["of a view", "CREATE TABLE o (id TEXT, n, v); CREATE VIEW t AS SELECT * FROM o;", {}, { key: "id" }],
  ])("%s", async ([, create, query, options]) => {
    const file = databaseWith(create + insert.replace("INTO t", create.includes("VIEW") ? "INTO o" : "INTO t"));
    const source = await open(at(file, { table: "t", ...options }), "source");
    for (const batchSize of [1, 2, 3, 100]) {
      const numbers: unknown[] = [];
      const cursors: unknown[] = [];
      for await (const { records, cursor } of source.readFromSource(query, { batchSize, signal: calm() })) {
        numbers.push(...records.map(({ n }) => n));
        cursors.push(cursor);
        if (numbers.length > rows.length) break;
      }
      expect(new Set(numbers).size).toBe(rows.length);
      expect(numbers).toHaveLength(rows.length);
      const middle = Math.floor(cursors.length / 2);
      const rest = await readAll(source, query, { batchSize, after: overTheWire(cursors[middle]) as never });
      expect(rest.records.map(({ n }) => n)).toEqual(numbers.slice((middle + 1) * batchSize));
    }
    expect(await source.count({ where: { n: { gte: 0 } } }, calm())).toBe(rows.length);
  });
});
