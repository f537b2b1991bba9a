import { describe, expect, test } from "vitest";
import type { SqliteNativeQuery } from "../src/index.ts";
import { at, calm, databaseWith, open, overTheWire, readAll, rejection } from "./support.ts";

const SQL = `
  CREATE TABLE docs (id INTEGER PRIMARY KEY, title TEXT, author INTEGER);
  CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT);
  INSERT INTO authors VALUES (1, 'Ann'), (2, 'Bob');
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
    INSERT INTO docs SELECT i, 'title ' || i, 1 + i % 2 FROM n;
  CREATE VIEW named AS SELECT docs.id AS doc, title, name FROM docs JOIN authors ON authors.id = author;
  CREATE VIEW loose AS SELECT id % 10 AS k, title FROM docs;
  CREATE VIEW gappy AS SELECT nullif(id, 5) AS k, title FROM docs;`;

describe("native queries", () => {
  const source = async (options: Record<string, unknown> = { table: "docs" }) =>
    open(at(databaseWith(SQL), options), "source");

  test("where, with params of any kind, beside the portable where", async () => {
    const docs = await source();
    const sqlite: SqliteNativeQuery = { where: "id % ? = 0 OR title = ? -- a comment", params: [7n, "title 3"] };
    const query = { native: { sqlite }, where: { id: { lt: 15 } } };
    expect((await readAll(docs, query, { batchSize: 1 })).records.map(({ id }) => id)).toEqual([3, 7, 14]);
    expect(await docs.count(query, calm())).toBe(3);
    const parts = [];
    for (const part of await docs.partitions(query, 3, calm())) parts.push(...(await readAll(docs, part)).records);
    expect(parts.map(({ id }) => id)).toEqual([3, 7, 14]);
  });

  test("sql: any SELECT, paged by its key", async () => {
    const docs = await source();
    const sql =
      "SELECT name AS id, count(*) AS docs, max(title) AS last FROM docs JOIN authors ON authors.id = author WHERE docs.id > ? GROUP BY name;";
    const query = { native: { sqlite: { sql, params: [2] } } };
    const { records, batches } = await readAll(docs, query, { batchSize: 1 });
    expect(records).toEqual([
      { id: "Ann", docs: 9, last: "title 8" },
      { id: "Bob", docs: 9, last: "title 9" },
    ]);
    expect((await readAll(docs, query, { after: overTheWire(batches[0]!.cursor) })).records).toEqual(records.slice(1));
    expect(await docs.count(query, calm())).toBe(2);
    const sorted = { ...query, orderBy: { field: "last", direction: "desc" as const }, where: { docs: { gt: 1 } } };
    expect((await readAll(docs, sorted, { batchSize: 1 })).records.map(({ id }) => id)).toEqual(["Bob", "Ann"]);
  });

  test("sql with a key of several columns", async () => {
    const docs = await source();
    const sqlite = {
      sql: "SELECT author, id % 2 AS odd, count(*) AS n FROM docs GROUP BY 1, 2",
      key: ["author", "odd"],
    };
    const { records } = await readAll(docs, { native: { sqlite } });
    expect(records).toEqual([
      { id: "[1,0]", author: 1, odd: 0, n: 10 },
      { id: "[2,1]", author: 2, odd: 1, n: 10 },
    ]);
  });

  test.each<[SqliteNativeQuery | object, string]>([
    [{ sql: "SELECT" }, "INVALID_QUERY"],
    [{ sql: "DELETE FROM docs" }, "INVALID_QUERY"],
    [{ sql: "SELECT 1 AS id; DELETE FROM docs" }, "INVALID_QUERY"],
    [{ sql: "SELECT title FROM docs" }, "INVALID_QUERY"],
    [{ sql: "SELECT id, id FROM docs" }, "INVALID_QUERY"],
    [{ where: "no such column" }, "READ_FAILED"],
    [{ where: 5 }, "INVALID_QUERY"],
    [{ wehre: "x" }, "INVALID_QUERY"],
    [{ where: "id = ?", params: [{}] }, "INVALID_QUERY"],
    [{ where: "id = ?", params: "x" }, "INVALID_QUERY"],
  ])("%j is refused", async (sqlite, code) => {
    const docs = await source();
    const query = { native: { sqlite: sqlite as SqliteNativeQuery } };
    expect(await rejection(readAll(docs, query))).toMatchObject({ code });
    expect(await rejection(docs.count(query, calm()))).toMatchObject({ code });
    expect((await readAll(docs)).records).toHaveLength(20);
  });
});

describe("views", () => {
  const view = async (table: string, key?: string) =>
    open(at(databaseWith(SQL), { table, ...(key === undefined ? {} : { key }) }), "source");

  test("are read by the key that is named", async () => {
    const named = await view("named", "doc");
    const { records, batches } = await readAll(named);
    expect(records).toHaveLength(20);
    expect(records[0]).toEqual({ id: 1, doc: 1, title: "title 1", name: "Bob" });
    expect((await readAll(named, {}, { after: overTheWire(batches[2]!.cursor) })).records).toEqual(records.slice(9));
    expect(await named.count({ where: { name: "Ann" } }, calm())).toBe(10);
    expect(await named.partitions({}, 3, calm())).toHaveLength(1);
  });

  test("without a key are refused", async () => {
    const error = await rejection(view("named"));
    expect(error.code).toBe("INVALID_ENDPOINT");
    expect(error.message).toContain("key");
  });

  test("with a key that is not unique are told, not cut short", async () => {
    expect(await rejection(readAll(await view("loose", "k")))).toMatchObject({ code: "READ_FAILED" });
  });

  test("rows whose key is NULL are failures", async () => {
    const { records, failures } = await readAll(await view("gappy", "k"));
    expect(records).toHaveLength(19);
    expect(failures).toMatchObject([{ error: { code: "INVALID_RECORD" } }]);
  });
});

test("full-text and other virtual tables are read by their rowid", async () => {
  const file = databaseWith(`
    CREATE VIRTUAL TABLE texts USING fts5(title, body);
    INSERT INTO texts VALUES ('a', 'b'), ('c', 'd'), ('e', 'f');`);
  const source = await open(at(file), "source");
  const { records } = await readAll(source, {}, { batchSize: 2 });
  expect(records).toEqual([
    { id: 1, title: "a", body: "b" },
    { id: 2, title: "c", body: "d" },
    { id: 3, title: "e", body: "f" },
  ]);
  expect((await readAll(source, { where: { title: { gt: "a" } } })).records).toEqual(records.slice(1));
});
