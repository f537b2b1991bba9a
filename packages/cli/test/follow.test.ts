import { describe, expect, it } from "vitest";
import { events, Project, type RunningCommand } from "./project.ts";

const SOURCE = "sqlite:a.db?table=docs";
const TARGET = "sqlite:b.db?table=docs";
const FOLLOW = ["follow", SOURCE, TARGET, "--json", "--progress-interval", "50ms"];

/** A project with a table that tells of its changes. */
async function followable(): Promise<Project> {
  const project = new Project();
  project.sql("a.db", "PRAGMA journal_mode = wal; CREATE TABLE docs (id INTEGER PRIMARY KEY, v TEXT)");
  project.sql("a.db", "INSERT INTO docs VALUES (1, 'one'), (2, 'two'), (3, 'three')");
  expect((await project.run(["changes", "enable", SOURCE])).code).toBe(0);
  return project;
}

async function stopped({ child, ended }: RunningCommand) {
  child.kill("SIGINT");
  return ended;
}

const live = (running: RunningCommand) => running.seen(/"to":"live"/);

describe("follow", { timeout: 30_000 }, () => {
  it("copies, brings what changes, says how to go on, and goes on by itself", async () => {
    using project = await followable();
    const first = project.start(FOLLOW);
    await live(first);
    project.sql(
      "a.db",
      "INSERT INTO docs VALUES (4, 'four'); UPDATE docs SET v = 'TWO' WHERE id = 2; DELETE FROM docs WHERE id = 1",
    );
    await first.seen(/"follow-change"[^\n]*"deleted":1/);
    const run = await stopped(first);
    expect(run.code).toBe(130);
    expect(run.stderr).toContain(`Go on with: omni-p2p follow '${SOURCE}' '${TARGET}' --json`);
    expect(run.stderr).not.toContain("--resume");
    const lines = events(run);
    expect(lines[0]).toMatchObject({ event: "start", name: "follow" });
    expect(lines.at(-1)).toMatchObject({ event: "follow-end", status: "interrupted", deleted: 1 });
    expect(lines.some(({ event, lagMs }) => event === "follow-change" && typeof lagMs === "number")).toBe(true);
    expect((await project.run(["verify", SOURCE, TARGET])).code).toBe(0);

    project.sql("a.db", "DELETE FROM docs WHERE id = 3; INSERT INTO docs VALUES (5, 'five')");
    const second = project.start(FOLLOW);
    await second.seen(/"follow-change"[^\n]*"deleted":1/);
    const again = await stopped(second);
    // What was copied is not copied once more.
    expect(events(again).at(-1)).toMatchObject({ event: "follow-end", deleted: 1, written: 1 });
    expect((await project.run(["verify", SOURCE, TARGET])).code).toBe(0);
  });

  it("mirrors where the table was rebuilt, and ends where too much would be deleted", async () => {
    using project = await followable();
    const running = project.start([...FOLLOW, "--max-deletes", "1"]);
    await live(running);
    project.sql(
      "a.db",
      "BEGIN; CREATE TABLE n (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO n SELECT id, v FROM docs; INSERT INTO n VALUES (9, 'nine'); DROP TABLE docs; ALTER TABLE n RENAME TO docs; COMMIT",
    );
    await running.seen(/"follow-lost"/);
    await running.seen(/"follow-mirrored"[^\n]*"written":1/);
    await running.seen(/"from":"mirroring","to":"live"/);
    project.sql("a.db", "DELETE FROM docs");
    const run = await running.ended;
    expect(run.code).toBe(1);
    expect(events(run).filter(({ event }) => event === "follow-paused")).toEqual([
      expect.objectContaining({ code: "TOO_MANY_DELETES", goesOn: "told" }),
    ]);
    expect(events(run).at(-1)).toMatchObject({
      event: "error",
      code: "TOO_MANY_DELETES",
      next: expect.stringContaining("--max-deletes"),
    });
    expect(await project.run(["count", TARGET])).toMatchObject({ stdout: "4\n" });
  });

  it("does without a feed by --every, keeps by --deletes keep, and takes conditions and a transform", async () => {
    using project = new Project();
    project.sql("a.db", "CREATE TABLE docs (id INTEGER PRIMARY KEY, type TEXT)");
    project.sql("a.db", "INSERT INTO docs VALUES (1, 'note'), (2, 'knowledge'), (3, 'note')");
    project.write("map.mjs", "export default (record) => ({ ...record, title: 'mapped' });\n");
    const args = ["follow", SOURCE, TARGET, "--json", "--where", "type=note", "--transform", "map.mjs"];
    const running = project.start([...args, "--every", "200ms", "--deletes", "keep", "--target-where", "all"]);
    await live(running);
    project.sql("a.db", "DELETE FROM docs WHERE id = 1; INSERT INTO docs VALUES (4, 'note'), (5, 'knowledge')");
    await running.seen(/"follow-mirrored"[^\n]*"written":1/);
    expect((await stopped(running)).code).toBe(130);
    expect(await project.run(["count", TARGET, "--where", "title=mapped"])).toMatchObject({ stdout: "3\n" });
  });

  it("is refused before anything is written where the source does not tell", async () => {
    using project = new Project();
    project.sql("a.db", "CREATE TABLE docs (id INTEGER PRIMARY KEY)");
    const run = await project.run(FOLLOW);
    expect(run.code).not.toBe(0);
    expect(events(run).at(-1)).toMatchObject({
      event: "error",
      code: "CHANGES_UNAVAILABLE",
      message: expect.stringContaining("omni-p2p changes enable"),
      next: expect.stringContaining("--every"),
    });
    expect((await project.run(["follow", SOURCE, TARGET, "--limit", "3"])).code).toBe(2);
    expect((await project.run(["follow", SOURCE, TARGET, "--every", "1m", "--reconcile-every", "1h"])).code).toBe(2);
  });

  it("runs from a config file, after all else", async () => {
    using project = await followable();
    const config = (transfers: unknown[]) => project.write("p2p.config.json", JSON.stringify({ transfers }));
    config([
      { name: "live", source: SOURCE, target: TARGET, mode: "follow", reconcileEvery: "1h" },
      { name: "once", source: SOURCE, target: "sqlite:c.db?table=docs" },
    ]);
    const running = project.start(["run", "--json"]);
    await live(running);
    const run = await stopped(running);
    expect(run.code).toBe(130);
    expect(
      events(run)
        .filter(({ event }) => event === "start")
        .map(({ name }) => name),
    ).toEqual(["once", "live"]);
    expect(run.stderr).toContain("Go on with: omni-p2p run");

    for (const [transfer, message] of [
      [{ mode: "follow", every: "soon" }, /every must be a time/],
      [{ mode: "follow", verify: true }, /no end at which to verify/],
      [{ reconcileEvery: 5 }, /reconcileEvery is of follows/],
      [{ mode: "follow", config: { mode: "insert" } }, /leave out the setting mode/],
    ] as const) {
      config([{ source: SOURCE, target: TARGET, ...transfer }]);
      expect(await project.run(["run"])).toMatchObject({ code: 2, stderr: expect.stringMatching(message) });
    }
    const follow = { source: SOURCE, target: TARGET, mode: "follow", transferId: "same" };
    config([
      { ...follow, name: "a" },
      { ...follow, name: "b" },
    ]);
    expect(await project.run(["run"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('two follows with the transferId "same"'),
    });
  });

  it("runs several from a config file side by side: one that ends leaves the others, and a signal stops all", async () => {
    using project = await followable();
    project.sql("a.db", "CREATE TABLE silent (id INTEGER PRIMARY KEY)");
    const follow = { source: SOURCE, mode: "follow" };
    const transfers = [
      { ...follow, name: "one", target: "sqlite:b.db?table=docs", transferId: "one" },
      { ...follow, name: "dumb", source: "sqlite:a.db?table=silent", target: "sqlite:x.db?table=docs" },
      { ...follow, name: "two", target: "sqlite:c.db?table=docs", transferId: "two", lease: "state" },
    ];
    project.write("p2p.config.json", JSON.stringify({ transfers }));
    const running = project.start(["run", "--json", "--progress-interval", "50ms"]);
    await running.seen(/CHANGES_UNAVAILABLE/);
    await running.seen(/"transferId":"one"[^\n]*"to":"live"/);
    await running.seen(/"transferId":"two"[^\n]*"to":"live"/);
    project.sql("a.db", "INSERT INTO docs VALUES (4, 'four')");
    await running.seen(/"follow-change"[^\n]*"transferId":"one"/);
    await running.seen(/"follow-change"[^\n]*"transferId":"two"/);
    const run = await stopped(running);
    expect(run.code).toBe(130);
    expect(run.stderr.match(/Go on with: omni-p2p run/g)).toHaveLength(1);
    expect(run.stderr).toContain("dumb: ");
    const ends = events(run).filter(({ event }) => event === "follow-end");
    expect(ends.map(({ transferId }) => transferId).sort()).toEqual(["one", "two"]);
    for (const target of ["sqlite:b.db?table=docs", "sqlite:c.db?table=docs"]) {
      expect((await project.run(["verify", SOURCE, target])).code).toBe(0);
    }
  });
});
