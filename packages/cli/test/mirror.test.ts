import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { events, Project } from "./project.ts";

const SOURCE = "sqlite:a.db?table=docs";
const TARGET = "sqlite:b.db?table=docs";

let project: Project;
beforeEach(() => {
  project = new Project(["sqlite", "lines"]);
  project.sql("a.db", table([1, 2, 3, 4]));
  project.sql("b.db", `${table([2, 3, 4, 8, 9])}; UPDATE docs SET title = 'old', kind = 'b' WHERE id IN (4, 9)`);
});
afterEach(() => project[Symbol.dispose]());

function table(ids: readonly number[]): string {
  const rows = ids.map((id) => `(${id}, 'title ${id}', 'a')`);
  return `CREATE TABLE docs (id INTEGER PRIMARY KEY, title TEXT, kind TEXT); INSERT INTO docs VALUES ${rows.join(", ")}`;
}

const mirror = (...more: string[]) => project.run(["mirror", SOURCE, TARGET, ...more]);
const count = async (place: string) => Number((await project.run(["count", place])).stdout.match(/\d+/)?.[0]);

describe("mirror", () => {
  it("shows what it would do, and changes nothing", async () => {
    const run = await mirror("--deletes", "remove", "--dry-run");
    expect(run.code).toBe(0);
    expect(run.stdout).toContain("Would write 2 records (1 missing, 1 different) and delete 2; nothing was changed");
    expect(run.stdout).toContain('add        1\n  change     4  title: "old" → "title 4"\n      kind: "b" → "a"\n');
    expect(run.stdout).toContain("delete     8\n  delete     9\n");
    expect(await count(TARGET)).toBe(5);
  });

  it("writes and deletes the differences, verifies, and does nothing twice", async () => {
    const run = await mirror("--deletes", "remove", "--verify");
    expect(run).toMatchObject({ code: 0 });
    expect(run.stdout).toMatch(/2 records written, 2 deleted in .*\nVerified: both sides hold the same 4 records/);
    const [, result] = events(await mirror("--json")).filter(({ event }) => event !== "mirror-progress");
    expect(result).toMatchObject({
      ...{ event: "result", status: "completed", totalRecords: 0, successCount: 0, deletedCount: 0, keptCount: 0 },
      ...{ missing: 0, different: 0, extra: 0, unreadable: 0, deletes: "remove", sourceCount: 4, targetCount: 4 },
    });
  });

  it("keeps what only the target has where it is told so", async () => {
    const run = await mirror("--deletes", "keep", "--verify");
    expect(run.stdout).toMatch(/2 records written, 0 deleted in .*, 2 of the target alone kept/);
    expect(run.code).toBe(0);
    expect(await count(TARGET)).toBe(6);
  });

  it("must be told at first what becomes of extras, shows them in a dry run, and remembers", async () => {
    const untold = await mirror();
    expect(untold).toMatchObject({ code: 2 });
    expect(untold.stderr).toMatch(/must be told: --deletes remove takes them out, --deletes keep leaves them/);
    const dry = await mirror("--dry-run");
    expect(dry).toMatchObject({ code: 2 });
    expect(dry.stdout).toContain("delete 2; nothing was changed");
    expect(await count(TARGET)).toBe(5);
    expect(await mirror("--deletes", "remove")).toMatchObject({ code: 0 });
    project.sql("b.db", "INSERT INTO docs VALUES (7, 'more', 'a')");
    expect((await mirror()).stdout).toContain("0 records written, 1 deleted");
  });

  it("mirrors what meets a condition, on both sides or as the target is told", async () => {
    const run = await mirror("--deletes", "remove", "--where", "kind=a");
    // 4 is replaced, though the target has it as another kind; 9 is of another kind, and none of its business.
    expect(run.stdout).toContain("2 records written, 1 deleted");
    expect((await mirror("--deletes", "remove", "--where", "kind=a", "--target-where", "all")).stdout).toContain(
      "0 records written, 1 deleted",
    );
    expect(await count(TARGET)).toBe(4);
  });

  it("deletes nothing for an empty source, nor more than it may, and says how it is allowed", async () => {
    project.sql("a.db", "DELETE FROM docs WHERE id > 1");
    const many = await mirror("--deletes", "remove", "--max-deletes", "3");
    expect(many.stderr).toMatch(/5 of the 5 records .* would be deleted.*--max-deletes.*--deletes keep/s);
    expect(many.code).not.toBe(0);
    project.sql("a.db", "DELETE FROM docs");
    const empty = await mirror("--deletes", "remove");
    expect(empty.stderr).toMatch(/gives no record .*--allow-empty-source/s);
    expect(empty.code).not.toBe(0);
    expect(await count(TARGET)).toBe(5);
    expect(await mirror("--deletes", "remove", "--allow-empty-source")).toMatchObject({ code: 0 });
    expect(await count(TARGET)).toBe(0);
  });

  it.each([
    ["a share that is none", ["--max-deletes", "5x"], /"--max-deletes" must be "none", "all"/],
    ["another choice", ["--deletes", "all"], /Allowed choices are remove, keep/],
    ["a limit", ["--limit", "3"], /unknown option '--limit'/],
    ["many machines", ["--distributed", "--partitions", "4"], /come later\n.*without --distributed, --partitions/],
    ["a condition that is none", ["--target-where", "kind"], /--target-where "kind" is not a condition/],
  ])("refuses %s with the way out", async (_, flags, message) => {
    const run = await mirror(...flags);
    expect(run.code).toBe(2);
    expect(run.stderr).toMatch(message);
    expect(await count(TARGET)).toBe(5);
  });

  it("refuses a target that does not look up or delete, before it reads", async () => {
    project.fill("c.ndjson", [{ id: "x" }]);
    const run = await project.run(["mirror", SOURCE, "lines:c.ndjson", "--deletes", "remove"]);
    expect(run.code).not.toBe(0);
    expect(run.stderr).toMatch(/cannot (delete|look)/);
  });

  it("refuses a transform that makes other ids", async () => {
    project.write("map.mjs", "export default (record) => ({ ...record, id: record.id + 100 });");
    const run = await mirror("--deletes", "remove", "--target-where", "all", "--transform", "map.mjs");
    expect(run.stderr).toMatch(/one with another id/);
    expect(await count(TARGET)).toBe(5);
  });

  it("stops cleanly at Ctrl-C, says what was changed, and how to go on", async () => {
    project.write("slow.mjs", "export default (record) => new Promise((done) => setTimeout(done, 60_000, record));");
    const flags = ["--deletes", "remove", "--target-where", "all", "--transform", "slow.mjs"];
    const command = project.start(["mirror", SOURCE, TARGET, ...flags, "--progress-interval", "1"]);
    await command.seen(/comparing: /);
    command.child.kill("SIGINT");
    const run = await command.ended;
    expect(run.code).toBe(130);
    expect(run.stdout).toBe("Stopped while comparing; nothing was changed.\n");
    expect(run.stderr).toMatch(/Ctrl-C again stops at once.*\nGo on with: omni-p2p mirror .* --resume\n/);
    expect(await count(TARGET)).toBe(5);
    const resumed = await mirror("--deletes", "remove", "--resume");
    expect(resumed.stderr).toContain("There is no earlier run of sqlite-sqlite-");
    expect(resumed.stdout).toContain("2 records written, 2 deleted");
    expect((await mirror("--resume")).stderr).toContain("was completed before; both sides are read again.");
  });

  it("runs from a config file, with what it is told there", async () => {
    const config = (more: object) =>
      project.write("p2p.config.json", JSON.stringify({ transfers: [{ source: SOURCE, target: TARGET, ...more }] }));
    config({ mode: "mirror", deletes: "remove", maxDeletes: "none" });
    expect((await project.run(["run"])).stderr).toMatch(/2 of the 5 records .* more than --max-deletes/);
    config({ mode: "mirror", deletes: "remove", query: { where: ["kind=a"] }, targetQuery: {}, verify: true });
    const dry = await project.run(["run", "--dry-run"]);
    expect(dry.stdout).toContain("delete 2; nothing was changed");
    const run = await project.run(["run"]);
    expect(run).toMatchObject({ code: 0 });
    expect(run.stdout).toMatch(/2 records written, 2 deleted[\s\S]*Verified: both sides hold the same 4 records/);
    config({ deletes: "remove" });
    expect((await project.run(["run"])).stderr).toMatch(/deletes is of mirrors.*\n.*add mode: "mirror"/);
    config({ mode: "mirrors" });
    expect((await project.run(["run"])).stderr).toMatch(/transfers\[0\]\.mode.*"copy", "mirror" or "follow"/);
    config({ mode: "mirror", config: { mode: "insert" } });
    expect((await project.run(["run"])).stderr).toMatch(/leave out the setting mode/);
  });

  it("keeps the ids that failed, which the next mirror brings and a replay does not", async () => {
    project.sql(
      "b.db",
      "DROP TABLE docs; CREATE TABLE docs (id INTEGER PRIMARY KEY, title TEXT, kind TEXT, CHECK (id <> 3))",
    );
    const run = await mirror("--dead-letter", "letters.ndjson");
    expect(run.code).toBe(3);
    expect(run.stderr).toMatch(/The ids that failed are in .*letters\.ndjson; mirror once more/);
    const replayed = await project.run(["replay", "letters.ndjson", TARGET]);
    expect(replayed.code).not.toBe(0);
    expect(replayed.stderr).toMatch(/The letter of "3" holds its id alone, .* mirror once more/);
  });
});
