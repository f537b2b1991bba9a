import { assertSameRecords } from "@omni/p2p-testkit";
import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { at, calm, databaseWith, open, overTheWire, readAll, rejection } from "./support.ts";

/** A table whose rowids have gaps, so that VACUUM numbers its rows anew. */
function gappedTable(create: string, withKey = true): string {
  return databaseWith(create, (db) => {
    const insert = db.prepare(withKey ? "INSERT INTO t VALUES (?, ?)" : "INSERT INTO t VALUES (?)");
    for (let i = 0; i < 60; i++) insert.run(...(withKey ? [`k${(i * 37) % 61}`, i] : [i]));
    db.exec("DELETE FROM t WHERE v % 3 <> 0");
  });
}

function run(file: string, sql: string): void {
  const db = new Database(file);
  db.exec(sql);
  db.close();
}

describe("VACUUM gives rows without an INTEGER PRIMARY KEY new rowids", () => {
  test("a cursor from before leads to the same row after", async () => {
    const file = gappedTable("CREATE TABLE t (id TEXT PRIMARY KEY, v)");
    const before = await open(at(file), "source");
    const { batches, records } = await readAll(before);
    await before.close();
    run(file, "VACUUM");
    const after = await open(at(file), "source");
    for (const [n, batch] of batches.entries()) {
      const rest = await readAll(after, {}, { after: overTheWire(batch.cursor) });
      assertSameRecords(rest.records, records.slice((n + 1) * 3), { ordered: true });
    }
  });

  test("parts from before are the same rows after", async () => {
    const file = gappedTable("CREATE TABLE t (id TEXT PRIMARY KEY, v)");
    const before = await open(at(file), "source");
    const parts = overTheWire(await before.partitions({}, 4, calm()));
    const expected = [];
    for (const part of parts) expected.push((await readAll(before, part)).records);
    await before.close();
    run(file, "VACUUM");
    const after = await open(at(file), "source");
    for (const [n, part] of parts.entries()) {
      assertSameRecords((await readAll(after, part)).records, expected[n]!, { ordered: true });
    }
  });

  test("in the middle of a read it costs no row", async () => {
    const file = gappedTable("CREATE TABLE t (id TEXT PRIMARY KEY, v)");
    const source = await open(at(file), "source");
    const { records } = await readAll(source);
    for (const where of [undefined, { v: { gte: 0 } }]) {
      const read = [];
      let batches = 0;
      for await (const batch of source.readFromSource({ ...(where && { where }) }, { batchSize: 4, signal: calm() })) {
        read.push(...batch.records);
        if (++batches === 2) run(file, "INSERT INTO t VALUES ('gap', 999); DELETE FROM t WHERE v = 999; VACUUM");
      }
      assertSameRecords(read, records, { ordered: true });
      run(file, "DELETE FROM t WHERE v = 0; INSERT INTO t VALUES ('k0', 0)");
      records.splice(0, records.length, ...(await readAll(source)).records);
    }
  });

  test("a cursor whose row is gone is refused after a VACUUM, and goes on without one", async () => {
    const file = gappedTable("CREATE TABLE t (id TEXT PRIMARY KEY, v)");
    const source = await open(at(file), "source");
    const { batches, records } = await readAll(source);
    run(file, `DELETE FROM t WHERE id = '${String(records[2]!.id)}'`);
    const rest = await readAll(source, {}, { after: overTheWire(batches[0]!.cursor) });
    assertSameRecords(rest.records, records.slice(3), { ordered: true });
    run(file, "VACUUM");
    const error = await rejection(readAll(source, {}, { after: overTheWire(batches[0]!.cursor) }));
    expect(error).toMatchObject({ code: "CHECKPOINT_INVALID" });
    expect(error.message).toContain("VACUUM");
  });

  test("a table without any key has no anchor but the schema's version", async () => {
    const file = gappedTable("CREATE TABLE t (v)", false);
    const source = await open(at(file), "source");
    const { batches, records } = await readAll(source);
    const rest = await readAll(source, {}, { after: overTheWire(batches[1]!.cursor) });
    assertSameRecords(rest.records, records.slice(6), { ordered: true });
    run(file, "VACUUM");
    const resumed = readAll(source, {}, { after: overTheWire(batches[1]!.cursor) });
    expect(await rejection(resumed)).toMatchObject({ code: "CHECKPOINT_INVALID" });
  });

  test("what is no cursor is refused", async () => {
    const sources = [
      await open(at(gappedTable("CREATE TABLE t (id TEXT PRIMARY KEY, v)")), "source"),
      await open(at(gappedTable("CREATE TABLE t (id TEXT PRIMARY KEY, v) WITHOUT ROWID")), "source"),
    ];
    for (const source of sources) {
      for (const after of [null, 5, "x", [], {}, { rowid: "x" }, { key: [] }, { key: [[1]] }, { rowid: null }]) {
        for (const query of [{}, { orderBy: "v" }]) {
          const error = await rejection(readAll(source, query, { after }));
          expect(error, JSON.stringify(after)).toMatchObject({ code: "CHECKPOINT_INVALID" });
        }
      }
      const partition = readAll(source, { partition: "x" });
      expect(await rejection(partition)).toMatchObject({ code: "INVALID_QUERY" });
    }
  });
});
