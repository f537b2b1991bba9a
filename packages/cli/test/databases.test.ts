import { createRequire } from "node:module";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { events, Project } from "./project.ts";

let project: Project;
beforeAll(() => {
  project = new Project(["sqlite"]);
  project.sql(
    "app.db",
    `CREATE TABLE artist (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
     CREATE TABLE album (id INTEGER PRIMARY KEY, artist INTEGER NOT NULL REFERENCES artist, title TEXT);
     CREATE TABLE note (id TEXT PRIMARY KEY, text TEXT);
     CREATE VIEW titles AS SELECT id, title FROM album;
     INSERT INTO artist VALUES (1, 'one'), (2, 'two');
     INSERT INTO album VALUES (1, 2, 'first'), (2, 1, 'second'), (3, 1, NULL);
     INSERT INTO note VALUES ('a', 'x');`,
  );
});
afterAll(() => project[Symbol.dispose]());

/** The rows of a table, by the driver that the starter has. */
function rows(file: string, sql: string): unknown[] {
  const starter = createRequire(createRequire(import.meta.url).resolve("@omni/p2p-starter-sqlite/package.json"));
  const Database = starter("better-sqlite3") as new (
    path: string,
  ) => { prepare(sql: string): { all(): unknown[] }; close(): void };
  const db = new Database(project.path(file));
  const found = db.prepare(sql).all();
  db.close();
  return found;
}

/** The table of leases that follows keep in a target while they run, unless they are told otherwise. */
const LEASES = "SELECT name FROM sqlite_schema WHERE name LIKE '%lease%'";

describe("copy --all", () => {
  it("copies every table, each with a line, and one for all of them", async () => {
    const run = await project.run(["copy", "sqlite:app.db", "sqlite:whole.db", "--all", "--verify"]);
    expect(run).toMatchObject({ code: 0 });
    expect(run.stdout).toMatch(/^album: 3 records written in .*, the same on both sides$/m);
    expect(run.stdout).toMatch(/^Total: 3 collections, 6 records written in /m);
    expect(run.stderr).toContain("A view is left out, since nobody named it: titles");
    expect(rows("whole.db", "SELECT * FROM album ORDER BY id")).toEqual(
      rows("app.db", "SELECT * FROM album ORDER BY id"),
    );
    expect(
      rows("whole.db", "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"),
    ).toHaveLength(3);
  });

  it("goes parents first into tables that check foreign keys, whatever their names", async () => {
    project.sql(
      "strict.db",
      `CREATE TABLE artist (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
       CREATE TABLE album (id INTEGER PRIMARY KEY, artist INTEGER NOT NULL REFERENCES artist, title TEXT);`,
    );
    const run = await project.run(["copy", "sqlite:app.db", "sqlite:strict.db", "--tables", "a*", "--json"]);
    expect(run.code).toBe(0);
    const [start] = events(run);
    expect(start).toMatchObject({
      event: "database-start",
      collections: [{ name: "artist" }, { name: "album", records: 3 }],
    });
    expect(events(run).at(-1)).toMatchObject({ event: "database-result", status: "completed", successCount: 5 });
  });

  it("tells of a table that fails, does the others, and goes on with that alone", async () => {
    project.sql("half.db", "CREATE VIEW artist AS SELECT 1 AS id");
    const args = ["copy", "sqlite:app.db", "sqlite:half.db", "--exclude", "note"];
    const run = await project.run([...args, "--json"]);
    expect(run.code).toBe(3);
    const told = events(run).filter(({ event }) => event === "collection-result");
    expect(told).toMatchObject([
      { name: "artist", status: "failed", error: { code: "INVALID_ENDPOINT" } },
      { name: "album", status: "completed", successCount: 3 },
    ]);
    expect(events(run).at(-1)).toMatchObject({ status: "partial", resume: expect.stringContaining("--resume") });
    project.sql("half.db", "DROP VIEW artist");
    const again = await project.run([...args, "--resume"]);
    expect(again).toMatchObject({ code: 0 });
    expect(again.stdout).toMatch(/^artist: 2 records written/m);
    expect(again.stdout).not.toMatch(/^album: 3 records written/m);
    expect(again.stdout).toMatch(/1 done before/);
    const other = await project.run([
      "copy",
      "sqlite:app.db",
      "sqlite:half.db",
      "--all",
      "--transfer-id",
      "x",
      "--resume",
    ]);
    expect(other.code).toBe(0);
    const mismatch = await project.run([
      "copy",
      "sqlite:app.db",
      "sqlite:other.db",
      "--all",
      "--transfer-id",
      "x",
      "--resume",
    ]);
    expect(mismatch.code).toBe(1);
    expect(mismatch.stderr).toContain("about other databases, collections or names");
  });

  it("tells on a resume what has gone and what has come", async () => {
    project.sql("moving.db", "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (id INTEGER PRIMARY KEY);");
    const args = ["copy", "sqlite:moving.db", "sqlite:moved.db", "--all"];
    expect((await project.run(args)).code).toBe(0);
    project.sql("moving.db", "DROP TABLE a; CREATE TABLE c (id INTEGER PRIMARY KEY); INSERT INTO c VALUES (1);");
    const run = await project.run([...args, "--resume"]);
    expect(run.code).toBe(0);
    expect(run.stderr).toContain("No longer in the source, and copied before: a");
    expect(run.stderr).toContain("Came since the job began: c");
    expect(run.stdout).toMatch(/^c: 1 record written/m);
  });

  it("gives other names by rules, and refuses what would lose a table", async () => {
    const run = await project.run([
      ...["copy", "sqlite:app.db", "sqlite:named.db", "--tables", "a*", "--rename", "(.*)=my_$1"],
      "--dry-run",
    ]);
    expect(run).toMatchObject({ code: 0 });
    expect(run.stdout).toMatch(/album +my_album +3 +artist/);
    for (const [args, message] of [
      [["--rename", "a.*=one"], '"album" and "artist" would both become "one"'],
      [["--rename", "(.*)=sqlite_$1"], "SQLite keeps the names that begin with sqlite_"],
      [["--tables", "artits"], 'no "artits" in sqlite:app.db (did you mean'],
      [["--where", "id=1"], "--where is about one collection"],
      [["--tables", "a*", "--dead-letter", "x.ndjson"], "--dead-letter names one for all"],
    ] as const) {
      const all = args.includes("--tables" as never) ? [] : ["--all"];
      const refused = await project.run(["copy", "sqlite:app.db", "sqlite:refused.db", ...all, ...args]);
      expect(refused.stderr).toContain(message);
      expect(refused.code).toBe(2);
    }
    expect((await project.run(["copy", "sqlite:app.db", "sqlite:b.db?table=x", "--all"])).code).toBe(2);
    expect((await project.run(["copy", "sqlite:app.db?table=note", "sqlite:b.db", "--jobs", "2"])).code).toBe(2);
  });

  it("puts off foreign keys that go in a circle, and looks at them afterwards", async () => {
    const schema = `CREATE TABLE boss (id INTEGER PRIMARY KEY, desk INTEGER REFERENCES desk);
      CREATE TABLE desk (id INTEGER PRIMARY KEY, boss INTEGER REFERENCES boss);`;
    project.sql(
      "circle.db",
      `${schema} PRAGMA foreign_keys = OFF;
      INSERT INTO boss VALUES (1, 1), (2, 9); INSERT INTO desk VALUES (1, 1);`,
    );
    project.sql("round.db", schema);
    const run = await project.run(["copy", "sqlite:circle.db", "sqlite:round.db", "--all"]);
    expect(run.stderr).toContain("Foreign keys go in a circle (");
    expect(run.stderr).toContain('1 record of "boss" names another that is not in the target');
    expect(run.code).toBe(3);
    expect(rows("round.db", "SELECT count(*) AS n FROM boss")).toEqual([{ n: 2 }]);
  });
});

describe("the other verbs", () => {
  it("mirror all of them, deletes included", async () => {
    expect((await project.run(["copy", "sqlite:app.db", "sqlite:mirrored.db", "--all"])).code).toBe(0);
    project.sql("mirrored.db", "INSERT INTO note VALUES ('extra', 'y')");
    const run = await project.run(["mirror", "sqlite:app.db", "sqlite:mirrored.db", "--all", "--deletes", "remove"]);
    expect(run).toMatchObject({ code: 0 });
    expect(run.stdout).toMatch(/^note: 0 records written in .*, 1 deleted$/m);
    expect(rows("mirrored.db", "SELECT id FROM note")).toEqual([{ id: "a" }]);
  });

  it("follow all of them until they are stopped", async () => {
    const running = project.start([
      "follow",
      "sqlite:app.db",
      "sqlite:followed.db",
      "--tables",
      "a*",
      "--every",
      "100ms",
      "--lease",
      "state",
      "--json",
    ]);
    await running.seen(/database-start/);
    await expect
      .poll(
        () => {
          try {
            return rows("followed.db", "SELECT count(*) AS n FROM album");
          } catch {
            return [];
          }
        },
        { timeout: 20_000 },
      )
      .toEqual([{ n: 3 }]);
    expect(rows("followed.db", LEASES)).toEqual([]);
    running.child.kill("SIGINT");
    const { code, stdout } = await running.ended;
    expect(code).toBe(130);
    expect(stdout).toContain('"event":"database-result"');
  });

  it("have a follow of many last in a config file, with its lease, and beside other follows", async () => {
    const many = { source: "sqlite:app.db", mode: "follow", every: "100ms", lease: "state", collections: ["a*"] };
    project.write(
      "follows.json",
      JSON.stringify({
        transfers: [
          { ...many, name: "first", target: "sqlite:first.db" },
          { name: "note", source: "sqlite:app.db?table=note", target: "sqlite:note.db" },
          { ...many, name: "second", target: "sqlite:second.db" },
        ],
      }),
    );
    const dry = await project.run(["run", "follows.json", "--dry-run"]);
    expect(dry.stderr).not.toContain("unknown option");
    expect(dry).toMatchObject({ code: 0 });
    const running = project.start(["run", "follows.json", "--json"]);
    for (const [file, table, n] of [
      ["note.db", "note", 1],
      ["first.db", "album", 3],
      ["second.db", "album", 3],
    ] as const) {
      await expect
        .poll(
          () => {
            try {
              return rows(file, `SELECT count(*) AS n FROM ${table}`);
            } catch {
              return [];
            }
          },
          { timeout: 20_000 },
        )
        .toEqual([{ n }]);
    }
    expect(rows("first.db", LEASES)).toEqual([]);
    running.child.kill("SIGINT");
    expect((await running.ended).code).toBe(130);
  });

  it("are in config files, as collections", async () => {
    project.write(
      "p2p.config.json",
      JSON.stringify({
        transfers: [
          {
            name: "whole",
            source: "sqlite:app.db",
            target: "sqlite:run.db",
            collections: ["a*", "note"],
            exclude: ["note"],
            jobs: 2,
          },
        ],
      }),
    );
    const run = await project.run(["run"]);
    expect(run).toMatchObject({ code: 0 });
    expect(run.stdout).toMatch(/^Total: 2 collections, 5 records/m);
    project.write(
      "wrong.json",
      JSON.stringify({ transfers: [{ source: "sqlite:app.db", target: "sqlite:x.db", rename: ["a=b"] }] }),
    );
    expect((await project.run(["run", "wrong.json"])).stderr).toContain("rename goes with collections");
  });
});
