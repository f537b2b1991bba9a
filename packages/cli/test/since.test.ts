import { rmSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Project } from "./project.ts";

const SOURCE = "sqlite:a.db?table=docs";
const TARGET = "sqlite:b.db?table=docs";
const TABLE = "CREATE TABLE docs (id INTEGER PRIMARY KEY, title TEXT, at TEXT, version INTEGER)";
const OLDER = `${TABLE}; INSERT INTO docs VALUES (5, 'five', '2023-01-01 10:00:00', 0), (6, 'six', '2023-01-02 10:00:00', 0)`;

let project: Project;
beforeEach(() => {
  project = new Project(["sqlite", "file"]);
  project.sql("a.db", TABLE);
  project.sql(
    "a.db",
    `INSERT INTO docs VALUES (1, 'one', '2024-01-01 10:00:00', 1), (2, 'two', '2024-01-01 12:00:00', 2)`,
  );
});
afterEach(() => project[Symbol.dispose]());

const copy = (...more: string[]) => project.run(["copy", SOURCE, TARGET, ...more]);
const change = (sql: string) => project.sql("a.db", sql);
const said = ({ stdout, stderr }: { stdout: string; stderr: string }) => stdout + stderr;

describe("copy --since", () => {
  it("reads all at first, and then what is new, with an overlap", async () => {
    const first = await copy("--since", "at");
    expect(first).toMatchObject({ code: 0 });
    expect(said(first)).toMatch(/2 records.*All was read.*Deletes are not seen/s);
    change(`INSERT INTO docs VALUES (3, 'three', '2024-01-01 11:59:30', 3), (4, 'four', '2024-01-01 09:00:00', 4)`);
    const second = await copy("--since", "at");
    // The one of the overlap and the last one again; what came in behind by more than a minute is not seen.
    expect(said(second)).toMatch(/2 records.*What has "at" from "2024-01-01 11:59:00" on was read/s);
    const wider = await copy("--since", "at", "--since-overlap", "3h");
    expect(said(wider)).toMatch(/4 records/);
    expect(said(await project.run(["verify", SOURCE, TARGET]))).toMatch(/the same 4 records/);
  });

  it("goes by a number without an overlap, combined with a condition, and begins anew by another field", async () => {
    const since = ["--since", "version", "--where", "id<9"];
    await copy(...since);
    change(
      `INSERT INTO docs VALUES (3, 'three', NULL, 7), (9, 'nine', NULL, 8); UPDATE docs SET version = 5, title = 'uno' WHERE id = 1`,
    );
    expect(said(await copy(...since))).toMatch(/3 records.*What has "version" from 2 on/s);
    expect(said(await copy(...since))).toMatch(/1 record .*What has "version" from 7 on/s);
    change(`INSERT INTO docs VALUES (4, 'four', '2024-01-01 10:00:00', 6.7)`);
    expect(said(await copy(...since, "--since-overlap", "0.4"))).toMatch(/2 records.*What has "version" from 6.6 on/s);
    const other = said(await copy("--since", "at", "--where", "id<9"));
    expect(other).toMatch(/1 record has no value in "at"/);
    expect(other).toMatch(/were of another field, so that it begins anew.*All was read/s);
    const refused = await copy("--since", "at", "--since-nulls", "fail");
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/would not be read again/);
  });

  it("moves nothing on by a run that stopped early", async () => {
    await copy("--since", "version");
    change(`INSERT INTO docs VALUES (3, 'three', NULL, 3)`);
    change("CREATE TABLE blocked (id INTEGER)");
    project.sql(
      "b.db",
      `CREATE TRIGGER no BEFORE INSERT ON docs WHEN NEW.id = 3 BEGIN SELECT RAISE(ABORT, 'not now'); END`,
    );
    const stopped = await copy("--since", "version", "--max-failures", "none");
    expect(stopped.code).not.toBe(0);
    project.sql("b.db", "DROP TRIGGER no");
    expect(said(await copy("--since", "version"))).toMatch(/2 records.*from 2 on/s);
    expect(said(await project.run(["verify", SOURCE, TARGET]))).toMatch(/the same 3 records/);
  });

  it.each([
    ["whose target was dropped", () => project.sql("b.db", "DROP TABLE docs"), /The target sqlite:b.db is gone since/],
    [
      "whose target was emptied",
      () => project.sql("b.db", "DELETE FROM docs"),
      /no longer holds what was written to it/,
    ],
    [
      "whose source is another file",
      () => {
        rmSync(project.path("a.db"));
        change(OLDER);
      },
      /The source sqlite:a.db was replaced by another of its name since/,
    ],
    [
      "whose source was made anew with older records",
      () => change(`DROP TABLE docs; ${OLDER}`),
      /no longer holds what was read from it/,
    ],
  ])("begins anew where earlier runs were of a store %s", async (_, happens, reason) => {
    await copy("--since", "at");
    change("INSERT INTO docs VALUES (3, 'three', '2024-01-02 10:00:00', 3)");
    expect(said(await copy("--since", "at"))).toMatch(/2 records.*What has "at"/s);
    happens();
    const third = await copy("--since", "at");
    expect(third).toMatchObject({ code: 0 });
    expect(said(third)).toMatch(reason);
    expect(said(third)).toMatch(/begins anew.*All was read/s);
    expect(said(await project.run(["verify", SOURCE, TARGET, "--ignore-extra"]))).toMatch(/the same [23] records/);
    // The stores are known again.
    expect(said(await copy("--since", "at"))).toMatch(/1 record .*What has "at"/s);
  });

  it("goes on where single records were deleted on both sides, and says that the highest was one of them", async () => {
    await copy("--since", "version");
    for (const file of ["a.db", "b.db"]) project.sql(file, "DELETE FROM docs WHERE id = 2");
    const second = said(await copy("--since", "version"));
    expect(second).toMatch(
      /highest value of "version" is 1 now and was 2.*another transfer id.*What has "version" from 2 on/s,
    );
  });

  it("reads texts with a blank on a day that earlier runs knew by texts with a T, and no others of that day", async () => {
    change(
      `UPDATE docs SET at = '2024-05-01T10:00:00Z'; INSERT INTO docs VALUES (3, 'three', '2024-06-01T10:00:00Z', 3)`,
    );
    await copy("--since", "at");
    expect(said(await copy("--since", "at"))).toMatch(/1 record .*from "2024-06-01T09:59:00" on/s);
    change(`INSERT INTO docs VALUES (4, 'four', '2024-06-01 23:00:00', 4), (5, 'five', '2024-06-01T09:00:00Z', 5)`);
    expect(said(await copy("--since", "at"))).toMatch(/3 records.*from "2024-06-01 09:59:00" on/s);
    expect(said(await project.run(["verify", SOURCE, TARGET]))).toMatch(/the same 5 records/);
  });

  it("refuses a target that is written in one go", async () => {
    for (const to of ["file:out.ndjson", "file:out.ndjson?ifExists=append"]) {
      const { code, stderr } = await project.run(["copy", SOURCE, to, "--since", "at"]);
      expect(code).toBe(2);
      expect(stderr).toMatch(/written from its beginning to its end; take a store as the target/);
    }
    expect(() => project.read("out.ndjson")).toThrow("ENOENT");
  });

  it.each([
    ["texts that are no times", ["--since", "title"], /texts sort as times only as/],
    ["a field that ids are", ["--since", "id"], /ids do not grow/],
    ["a limit", ["--since", "at", "--limit", "1"], /no later run would read/],
    ["a condition on it", ["--since", "at", "--where", "at>2024"], /where has a condition on the same field/],
    ["another mode", ["--since", "at", "--mode", "insert"], /must be upsert/],
    ["an overlap of nothing", ["--since-overlap", "5m"], /says how --since reads/],
  ])("refuses %s", async (_, flags, reason) => {
    const run = await copy(...flags);
    expect(run.code).not.toBe(0);
    expect(run.stderr).toMatch(reason);
  });

  it("refuses a field of several kinds", async () => {
    change(`UPDATE docs SET version = 'x' WHERE id = 1`);
    const run = await copy("--since", "version");
    expect(run.code).not.toBe(0);
    expect(run.stderr).toMatch(/texts sort as times only|several kinds/);
  });
});
