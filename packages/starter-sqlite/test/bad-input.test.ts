import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseEndpoint } from "@omni/p2p-core/starter";
import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { sqliteStarter } from "../src/index.ts";
import { openAsNobody } from "./children.ts";
import { at, calm, cleanUp, databaseWith, open, query, readAll, rejection, temporaryFolder, write } from "./support.ts";

const TABLE = "CREATE TABLE docs (id TEXT PRIMARY KEY, v); INSERT INTO docs VALUES ('a', 1)";

describe("sources that are not there", () => {
  test("a missing file", async () => {
    const error = await rejection(open(at(join(temporaryFolder(), "no.db")), "source"));
    expect(error.code).toBe("SOURCE_NOT_FOUND");
    expect(error.message).toContain("no.db");
  });

  test("a folder", async () => {
    expect(await rejection(open(at(temporaryFolder()), "source"))).toMatchObject({ code: "SOURCE_NOT_FOUND" });
  });

  test("a missing table, with the one that was meant", async () => {
    const file = databaseWith(`${TABLE}; CREATE TABLE other (a)`);
    for (const table of ["doc", "dosc", "Docs_"]) {
      const error = await rejection(open(at(file, { table }), "source"));
      expect(error.code).toBe("SOURCE_NOT_FOUND");
      expect(error.message).toContain('did you mean "docs"?');
      expect(error.message).toContain('"other"');
    }
  });

  test("no table named: the only one is meant, and several are listed", async () => {
    const one = await open(at(databaseWith(TABLE)), "source");
    expect((await readAll(one)).records).toEqual([{ id: "a", v: 1 }]);
    const error = await rejection(open(at(databaseWith(`${TABLE}; CREATE TABLE other (a)`)), "source"));
    expect(error.message).toMatch(/name one by the option table.*"docs", "other"/);
    expect(await rejection(open(at(databaseWith("")), "source"))).toMatchObject({ code: "SOURCE_NOT_FOUND" });
  });

  test("a table that goes away later", async () => {
    const file = databaseWith(TABLE);
    const source = await open(at(file), "source");
    const db = new Database(file);
    db.exec("DROP TABLE docs");
    db.close();
    expect(await rejection(readAll(source))).toMatchObject({ code: "SOURCE_NOT_FOUND" });
    expect(await rejection(source.count({}, calm()))).toMatchObject({ code: "SOURCE_NOT_FOUND" });
  });

  test("a file that is no database", async () => {
    const file = join(temporaryFolder(), "text.db");
    writeFileSync(file, "This is a text, and a long one too. ".repeat(50));
    expect(await rejection(open(at(file), "source"))).toMatchObject({ code: "CONNECTION_FAILED" });
    expect(await rejection(open(at(file), "target"))).toMatchObject({ code: "TARGET_NOT_WRITABLE" });
  });
});

describe("endpoints that mean nothing", () => {
  test.each([
    ["sqlite:", "path"],
    ["sqlite::memory:", "starter-memory"],
    ["sqlite://server/data.db", "without //"],
    [{ storageType: "sqlite", database: "file:x.db?mode=ro" }, "URI"],
    [{ storageType: "sqlite", database: "x.db " }, "white space"],
    ["sqlite:x.db?tabel=docs", "tabel"],
    ["sqlite:x.db?journalMode=off", "journalMode"],
    ["sqlite:x.db?table=", "table"],
  ])("%s", async (endpoint, said) => {
    for (const role of ["source", "target"] as const) {
      const error = await rejection(open(endpoint, role));
      expect(error.code).toBe("INVALID_ENDPOINT");
      expect(error.message).toContain(said);
    }
  });
});

describe("targets that cannot be written", () => {
  test("a folder, and a file in a folder that is not there", async () => {
    const folder = temporaryFolder();
    expect(await rejection(open(at(folder), "target"))).toMatchObject({ code: "TARGET_NOT_WRITABLE" });
    const error = await rejection(open(at(join(folder, "no/such/t.db")), "target"));
    expect(error.code).toBe("TARGET_NOT_WRITABLE");
    expect(error.message).toContain(join(folder, "no/such"));
    writeFileSync(join(folder, "file"), "");
    expect(await rejection(open(at(join(folder, "file/t.db")), "target"))).toMatchObject({
      code: "TARGET_NOT_WRITABLE",
    });
    expect(readdirSync(folder)).toEqual(["file"]);
  });

  test("a read-only file, and a read-only folder", async () => {
    const folder = temporaryFolder();
    const file = databaseWith(TABLE);
    copyFileSync(file, join(folder, "t.db"));
    chmodSync(join(folder, "t.db"), 0o444);
    chmodSync(folder, 0o555);
    cleanUp(() => chmodSync(folder, 0o755));
    for (const name of ["t.db", "new.db"]) {
      const { code, message } = await openAsNobody(join(folder, name));
      expect(code).toBe("TARGET_NOT_WRITABLE");
      expect(message).toContain(folder);
    }
  });

  test("a view", async () => {
    const file = databaseWith(`${TABLE}; CREATE VIEW v AS SELECT * FROM docs`);
    const target = await open(at(file, { table: "v", key: "id" }), "target");
    expect(await rejection(write(target, [{ id: 1 }]))).toMatchObject({ code: "TARGET_NOT_WRITABLE" });
  });

  test("a missing table that may not be created", async () => {
    const file = databaseWith(TABLE);
    const target = await open(at(file, { table: "doc", create: "never" }), "target");
    const error = await rejection(write(target, [{ id: 1 }]));
    expect(error.code).toBe("TARGET_NOT_WRITABLE");
    expect(error.message).toContain('did you mean "docs"?');
  });

  test("a source", async () => {
    const source = await open(at(databaseWith(TABLE)), "source");
    expect(await rejection(write(source, [{ id: 1 }]))).toMatchObject({ code: "TARGET_NOT_WRITABLE" });
  });

  test("a target that is opened and not used leaves no file", async () => {
    const folder = temporaryFolder();
    const target = await open(at(join(folder, "t.db")), "target");
    await target.ping(calm());
    await target.close();
    expect(readdirSync(folder)).toEqual([]);
  });

  test("nothing but the database is left after a close", async () => {
    const folder = temporaryFolder();
    const target = await open(at(join(folder, "t.db")), "target");
    await write(target, [{ id: 1 }]);
    expect(readdirSync(folder).sort()).toEqual(["t.db", "t.db-shm", "t.db-wal"]);
    await target.close();
    expect(readdirSync(folder)).toEqual(["t.db"]);
    expect(query(join(folder, "t.db"), "PRAGMA journal_mode")).toEqual([{ journal_mode: "wal" }]);
  });
});

describe("locks", () => {
  const lock = (file: string, sql = "BEGIN EXCLUSIVE"): Database.Database => {
    const db = new Database(file);
    db.exec(sql);
    cleanUp(() => void db.close());
    return db;
  };

  test("a locked database is waited for until the time is over, and the process goes on meanwhile", async () => {
    const file = databaseWith(TABLE);
    const db = lock(file);
    for (const role of ["source", "target"] as const) {
      let ticks = 0;
      const timer = setInterval(() => ticks++, 10);
      const started = performance.now();
      const error = await rejection(open(at(file), role, 300));
      clearInterval(timer);
      expect(error).toMatchObject({ code: "BUSY", retryable: true });
      expect(error.message).toContain("locked");
      expect(performance.now() - started).toBeGreaterThan(250);
      expect(performance.now() - started).toBeLessThan(1500);
      expect(ticks).toBeGreaterThan(10);
    }
    db.exec("ROLLBACK");
    await open(at(file), "source", 300);
  });

  test("a lock that goes in time costs time alone, when opening, reading and writing", async () => {
    const file = databaseWith(TABLE);
    const source = await open(at(file), "source");
    const target = await open(at(file, { table: "docs", journalMode: "keep" }), "target");
    const db = new Database(file);
    cleanUp(() => void db.close());
    const during = async <T>(work: () => Promise<T>): Promise<T> => {
      db.exec("BEGIN EXCLUSIVE");
      const unlocking = delay(100).then(() => db.exec("ROLLBACK"));
      const result = await work();
      await unlocking;
      return result;
    };
    expect((await during(() => readAll(source))).records).toHaveLength(1);
    expect(await during(() => write(target, [{ id: "b", v: 2 }]))).toMatchObject({ written: 1 });
    expect(await during(() => source.count({}, calm()))).toBe(2);
    await during(() => open(at(file), "source"));
    await during(() => source.ping(calm()));
  });

  test("a lock that stays makes a batch BUSY, with nothing written", async () => {
    const file = databaseWith(TABLE);
    const target = await open(at(file, { table: "docs" }), "target", 200);
    await write(target, [{ id: "b" }]);
    const db = lock(file, "BEGIN IMMEDIATE");
    expect(await rejection(write(target, [{ id: "c" }]))).toMatchObject({ code: "BUSY", retryable: true });
    db.exec("ROLLBACK");
    expect(await write(target, [{ id: "c" }])).toMatchObject({ written: 1 });
  });

  test("the signal ends the waiting", async () => {
    const file = databaseWith(TABLE);
    lock(file);
    const controller = new AbortController();
    const reason = new Error("given up");
    setTimeout(() => controller.abort(reason), 50);
    const context = { role: "source", signal: controller.signal, connectTimeoutMs: 60_000 } as const;
    expect(await rejection(sqliteStarter.open(parseEndpoint(at(file)), context))).toBe(reason);
  });
});

describe("files that go away", () => {
  test("a deleted file is told by ping, and by the next batch", async () => {
    const file = databaseWith(TABLE);
    const target = await open(at(file, { table: "docs" }), "target");
    const source = await open(at(file), "source");
    await write(target, [{ id: "b" }]);
    rmSync(file);
    for (const service of [source, target]) {
      expect(await rejection(service.ping(calm()))).toMatchObject({ code: "CONNECTION_LOST" });
    }
    expect(await rejection(write(target, [{ id: "c" }]))).toMatchObject({ code: "CONNECTION_LOST" });
    expect(await rejection(readAll(source))).toMatchObject({ code: "CONNECTION_LOST" });
  });

  test("a file that is replaced by another", async () => {
    const file = databaseWith(TABLE);
    const source = await open(at(file), "source");
    const other = databaseWith(TABLE);
    rmSync(file);
    symlinkSync(other, file);
    expect(await rejection(source.ping(calm()))).toMatchObject({ code: "CONNECTION_LOST", retryable: true });
  });
});

describe("constraints", () => {
  test("a record that breaks one fails by name, and the others are written", async () => {
    const file = databaseWith(`
      CREATE TABLE owners (id INTEGER PRIMARY KEY);
      INSERT INTO owners VALUES (1);
      CREATE TABLE docs (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, slug TEXT UNIQUE, size INTEGER CONSTRAINT positive CHECK (size > 0),
        owner INTEGER REFERENCES owners (id), kind TEXT NOT NULL ON CONFLICT IGNORE DEFAULT 'x'
      );`);
    const target = await open(at(file, { table: "docs" }), "target");
    const good = (id: number) => ({ id, name: `n${id}`, slug: `s${id}`, size: 1, owner: 1, kind: "k" });
    const records = Array.from({ length: 60 }, (_, i) => good(i));
    const bad = new Map<number, [object, RegExp]>([
      [3, [{ name: null }, /NOT NULL.*docs\.name/]],
      [10, [{ slug: "s4" }, /UNIQUE.*docs\.slug/]],
      [11, [{ size: 0 }, /CHECK.*positive/]],
      [30, [{ owner: 9 }, /FOREIGN KEY/]],
      [59, [{ kind: null }, /NOT NULL.*docs\.kind/]],
    ]);
    for (const [index, [change]] of bad) records[index] = { ...records[index]!, ...change };
    const result = await write(target, records);
    expect(result.written).toBe(55);
    expect(result.failures.map(({ index, id }) => [index, id])).toEqual([...bad.keys()].map((i) => [i, i]));
    for (const { index, error } of result.failures) {
      expect(error.code).toBe("WRITE_FAILED");
      expect(error.message).toMatch(bad.get(index)![1]);
    }
    expect(query(file, "SELECT count(*) AS n FROM docs")).toEqual([{ n: 55 }]);
  });

  test("an upsert changes the columns that the records have, and leaves the others", async () => {
    const file = databaseWith("CREATE TABLE t (id PRIMARY KEY, a, b); INSERT INTO t VALUES ('x', 1, 2)");
    const target = await open(at(file, { table: "t" }), "target");
    await write(target, [{ id: "x", a: 5 }, { id: "y", b: 6 }, { id: "x" }]);
    expect(query(file, "SELECT * FROM t")).toEqual([
      { id: "x", a: 5, b: 2 },
      { id: "y", a: null, b: 6 },
    ]);
  });

  test("a constraint that is checked at the end fails the records that break it", async () => {
    const file = databaseWith(`
      CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1);
      CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED);`);
    const target = await open(at(file, { table: "c" }), "target");
    const result = await write(target, [
      { id: 1, p: 1 },
      { id: 2, p: 2 },
      { id: 3, p: null },
    ]);
    expect(result).toMatchObject({ written: 2, failures: [{ index: 1, id: 2 }] });
    expect(query(file, "SELECT id FROM c")).toEqual([{ id: 1 }, { id: 3 }]);
  });

  test("an abort is heard while each record is tried alone, since one broke such a constraint", async () => {
    const file = databaseWith(`
      CREATE TABLE p (id INTEGER PRIMARY KEY);
      CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED);`);
    const target = await open(at(file, { table: "c" }), "target");
    const records = Array.from({ length: 3000 }, (_, i) => ({ id: i, p: i === 7 ? 1 : null }));
    const controller = new AbortController();
    const writing = target.writeToTarget(records, { mode: "upsert", signal: controller.signal });
    setTimeout(() => controller.abort(new Error("called off")), 30);
    expect(await rejection(writing)).toMatchObject({ message: "called off" });
    expect(query(file, "SELECT id FROM c WHERE id IN (7, 2999)")).toEqual([]);
  });

  test("triggers: one that raises, one that ignores, one that rolls back", async () => {
    const trigger = (what: string) =>
      databaseWith(`CREATE TABLE t (id INTEGER PRIMARY KEY, v);
        CREATE TRIGGER tr BEFORE INSERT ON t WHEN new.v = 2 BEGIN SELECT RAISE(${what}); END;`);
    const records = [1, 2, 3].map((v) => ({ id: v, v }));
    for (const what of ["ABORT, 'not two'", "IGNORE"]) {
      const file = trigger(what);
      const result = await write(await open(at(file, { table: "t" }), "target"), records);
      expect(result).toMatchObject({ written: 2, failures: [{ index: 1, error: { code: "WRITE_FAILED" } }] });
    }
    const file = trigger("ROLLBACK, 'no'");
    const target = await open(at(file, { table: "t" }), "target");
    expect(await rejection(write(target, records))).toMatchObject({ code: "WRITE_FAILED" });
    expect(query(file, "SELECT * FROM t")).toEqual([]);
    expect(await write(target, [{ id: 5, v: 5 }])).toMatchObject({ written: 1 });
  });

  test("strict tables refuse what does not fit", async () => {
    const file = databaseWith("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, b BLOB, a ANY) STRICT");
    const target = await open(at(file, { table: "t" }), "target");
    const result = await write(target, [
      { id: 1, n: 1.5 },
      { id: 2, n: 2, a: 5 },
      { id: 3, b: "text" },
    ]);
    expect(result.failures.map(({ index, error }) => [index, error.code])).toEqual([
      [0, "TYPE_MISMATCH"],
      [2, "TYPE_MISMATCH"],
    ]);
  });

  test("a record that is too large for SQLite fails alone", async () => {
    const file = databaseWith("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)");
    const target = await open(at(file, { table: "t" }), "target");
    const huge = "长".repeat(180_000_000);
    const result = await write(target, [
      { id: 1, a: "x" },
      { id: 2, a: huge },
      { id: 3, a: "y" },
    ]);
    expect(result.failures.map(({ index, error }) => [index, error.code])).toEqual([[1, "RECORD_TOO_LARGE"]]);
    expect(query(file, "SELECT id FROM t")).toEqual([{ id: 1 }, { id: 3 }]);
  });
});

describe("fields that the table has no column for", () => {
  const sql = "CREATE TABLE t (id PRIMARY KEY, title)";

  test("fail, with the column that was meant", async () => {
    const file = databaseWith(sql);
    const target = await open(at(file, { table: "t" }), "target");
    const result = await write(target, [
      { id: 1, titel: "x" },
      { id: 2, title: "y" },
    ]);
    expect(result.failures).toMatchObject([{ index: 0, error: { code: "TYPE_MISMATCH" } }]);
    expect(result.failures[0]!.error.message).toContain('did you mean "title"?');
    expect(query(file, "SELECT * FROM t")).toEqual([{ id: 2, title: "y" }]);
  });

  test("are left out, or get columns, by the option unknownFields", async () => {
    const ignoring = databaseWith(sql);
    expect(
      await write(await open(at(ignoring, { table: "t", unknownFields: "ignore" }), "target"), [
        { id: 1, x: 1, title: "a" },
      ]),
    ).toMatchObject({ written: 1, failures: [] });
    expect(query(ignoring, "SELECT * FROM t")).toEqual([{ id: 1, title: "a" }]);
    const adding = databaseWith(sql);
    const target = await open(at(adding, { table: "t", unknownFields: "add" }), "target");
    expect(
      await write(target, [
        { id: 1, x: 1 },
        { id: 2, y: "b", x: 2 },
      ]),
    ).toMatchObject({ written: 2, failures: [] });
    expect(query(adding, "SELECT * FROM t")).toEqual([
      { id: 1, title: null, x: 1, y: null },
      { id: 2, title: null, x: 2, y: "b" },
    ]);
  });
});

test("a batch that is aborted in the middle leaves nothing, and columns it had added are gone", async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "sub"));
  const file = join(folder, "sub/t.db");
  const target = await open(at(file), "target");
  await write(target, [{ id: 0, a: 1 }]);
  const controller = new AbortController();
  const records = Array.from({ length: 60_000 }, (_, id) => ({
    id,
    a: 1,
    [id > 50_000 ? "late" : "b"]: "x".repeat(50),
  }));
  setTimeout(() => controller.abort(new Error("enough")), 15);
  const error = await rejection(target.writeToTarget(records, { mode: "upsert", signal: controller.signal }));
  expect(error.message).toBe("enough");
  expect(query(file, "SELECT count(*) AS n FROM records")).toEqual([{ n: 1 }]);
  expect(await write(target, [{ id: 1, a: 2, b: "now" }])).toMatchObject({ written: 1 });
  expect(existsSync(file)).toBe(true);
});
