import { copyFileSync, linkSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { at, calm, cleanUp, databaseWith, open, temporaryFolder, write } from "./support.ts";

const SQL = "CREATE TABLE Docs (id INTEGER PRIMARY KEY); INSERT INTO Docs VALUES (1)";

async function identity(file: string, table = "docs", role: "source" | "target" = "source") {
  const service = await open(at(file, { table }), role);
  return service.identity!(calm());
}

describe("identity", () => {
  test("is that of the file and the table, through links, in any case, and in either role", async () => {
    const file = databaseWith(`${SQL}; CREATE TABLE other (id)`);
    const [link, hard] = [join(dirname(file), "link.db"), join(dirname(file), "hard.db")];
    symlinkSync(file, link);
    linkSync(file, hard);
    const one = await identity(file);
    expect(one).toEqual({ thing: expect.stringContaining('table "docs"'), incarnation: expect.any(String) });
    expect(await identity(link, "DOCS")).toEqual(one);
    expect(await identity(hard, "Docs", "target")).toEqual(one);
    expect((await identity(file, "other")).thing).not.toBe(one.thing);
    expect((await identity(databaseWith(SQL))).thing).not.toBe(one.thing);
  });

  test("stays through writes, columns, indexes and VACUUM, and is no incarnation before the table is there", async () => {
    const file = join(temporaryFolder(), "new.db");
    const target = await open(at(file, { table: "t" }), "target");
    const before = await target.identity!(calm());
    expect(before).toEqual({ thing: expect.any(String) });
    await write(target, [{ id: 1, a: null }]);
    const first = await target.identity!(calm());
    expect(first).toMatchObject({ thing: before.thing, incarnation: expect.any(String) });
    await write(target, [{ id: 2, a: true, b: 1 }]);
    expect(await target.identity!(calm())).toEqual(first);
    await target.close();
    const db = new Database(file);
    db.exec("CREATE INDEX i ON t (a); ALTER TABLE t ADD COLUMN later; VACUUM; PRAGMA journal_mode = delete");
    db.close();
    expect(await identity(file, "t")).toEqual(first);
  });

  test("changes under an open handle when the file is replaced, and is gone when it is deleted or the table dropped", async () => {
    const file = databaseWith(SQL);
    const other = databaseWith(SQL);
    const service = await open(at(file, { table: "docs" }), "source");
    const first = await service.identity!(calm());
    renameSync(other, file);
    const second = await service.identity!(calm());
    expect(second.incarnation).toEqual(expect.any(String));
    expect(second.incarnation).not.toBe(first.incarnation);
    rmSync(file);
    expect(await service.identity!(calm())).toEqual({});

    // The inode may be the very same one.
    const anew = databaseWith(SQL);
    const made = await identity(anew);
    rmSync(anew);
    copyFileSync(databaseWith(SQL), anew);
    expect((await identity(anew)).incarnation).not.toBe(made.incarnation);

    const dropped = databaseWith(SQL);
    const target = await open(at(dropped, { table: "docs" }), "target");
    expect((await target.identity!(calm())).incarnation).toBeDefined();
    const db = new Database(dropped);
    cleanUp(() => void db.close());
    db.exec("DROP TABLE docs");
    expect((await target.identity!(calm())).incarnation).toBeUndefined();
  });
});
