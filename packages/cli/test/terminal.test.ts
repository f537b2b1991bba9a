import { spawnSync } from "node:child_process";
import { stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fitting, progressLine } from "../src/output/live-reporter.ts";
import { comparing, followParts } from "../src/output/progress-text.ts";
import { RecentPace } from "../src/output/recent-pace.ts";
import { Project, sampleRecords } from "./project.ts";

const hasScript = spawnSync("script", ["--version"]).status === 0;

describe("on a terminal", () => {
  let project: Project;
  beforeAll(() => {
    project = new Project();
    project.fill("a.ndjson", sampleRecords(2000));
  });
  afterAll(() => project[Symbol.dispose]());

  it.runIf(hasScript)("draws one live line with bar, rate, expected time, failures and memory", async () => {
    const command = project.startOnTerminal([
      "copy",
      "lines:a.ndjson",
      "lines:b.ndjson?delay=50&refuse=r00007",
      "--batch-size",
      "50",
      "--concurrency",
      "1",
    ]);
    const run = await command.ended;
    expect(run.code).toBe(3);
    const text = stripVTControlCharacters(run.stdout);
    expect(text).toMatch(
      /━+─+ {2}[\d,]+ of 2,000 records \(\d+%\) {2}[\d,]+\/s {2}ETA [\d.]+ m?s {2}\d failed {2}\d+ MB/,
    );
    expect(text).toMatch(/1,999 records written in .*, 1 failed/);
    // The cursor is hidden while the line is drawn, and shown again at the end.
    expect(run.stdout.lastIndexOf("\u001b[?25h")).toBeGreaterThan(run.stdout.lastIndexOf("\u001b[?25l"));
  });

  it.runIf(hasScript)("stops at Ctrl-C and shows the cursor again", async () => {
    const command = project.startOnTerminal([
      "copy",
      "lines:a.ndjson",
      "lines:c.ndjson?delay=50",
      "--batch-size",
      "50",
      "--concurrency",
      "1",
    ]);
    await command.seen(/of 2,000 records/);
    command.child.stdin!.write("\u0003");
    const run = await command.ended;
    expect(run.code).toBe(130);
    const text = stripVTControlCharacters(run.stdout);
    expect(text).toContain("Stopping: what is under way is brought to an end.");
    expect(text).toMatch(/Go on with: omni-p2p copy .* --resume/);
    expect(run.stdout.lastIndexOf("\u001b[?25h")).toBeGreaterThan(run.stdout.lastIndexOf("\u001b[?25l"));
  });

  it.runIf(hasScript)("draws nothing on a dumb terminal", async () => {
    const command = project.startOnTerminal(
      ["copy", "lines:a.ndjson", "lines:d.ndjson?delay=20", "--progress-interval", "1"],
      { TERM: "dumb" },
    );
    const run = await command.ended;
    expect(run.code).toBe(0);
    expect(run.stdout).not.toContain("\u001b");
    expect(run.stdout).toMatch(/ms: [\d,]+ of 2,000 records/);
  });

  it.runIf(hasScript)("pauses a follow before many deletes, and Enter lets it go on", async () => {
    using followed = new Project();
    const [source, target] = ["sqlite:a.db?table=docs", "sqlite:b.db?table=docs"];
    followed.sql("a.db", "PRAGMA journal_mode = wal; CREATE TABLE docs (id INTEGER PRIMARY KEY, v TEXT)");
    followed.sql("a.db", "INSERT INTO docs VALUES (1, 'one'), (2, 'two'), (3, 'three')");
    await followed.run(["changes", "enable", source]);
    const command = followed.startOnTerminal(["follow", source, target, "--max-deletes", "1"]);
    await command.seen(/ live /);
    followed.sql("a.db", "DELETE FROM docs");
    await command.seen(/Enter lets these deletes through/);
    await command.seen(/paused {2}Enter: go on {2}Ctrl-C: stop {2}TOO_MANY_DELETES/);
    expect(await followed.run(["count", target])).toMatchObject({ stdout: "3\n" });
    command.child.stdin!.write("\r");
    await command.seen(/3 deleted/);
    command.child.stdin!.write("\u0003");
    const run = await command.ended;
    expect(run.code).toBe(130);
    expect(stripVTControlCharacters(run.stdout)).toMatch(/Go on with: omni-p2p follow/);
    expect(await followed.run(["count", target])).toMatchObject({ stdout: "0\n" });
  });

  if (!hasScript) it.skip("draws a live line: not run, for want of script (util-linux)");
});

describe("the live line", () => {
  const progress = {
    transferId: "t",
    records: 52_000,
    total: 100_000,
    failures: 3,
    rate: 12_345.6,
    etaMs: 3900,
    elapsedMs: 4000,
  };

  it("says as much as there is room for", () => {
    const wide = stripVTControlCharacters(progressLine(progress, 120, "⠋"));
    expect(wide).toMatch(
      /^━{12}─{12} {2}52,000 of 100,000 records \(52%\) {2}12,346\/s {2}ETA 3\.9 s {2}3 failed {2}\d+ MB$/,
    );
    const narrow = stripVTControlCharacters(progressLine(progress, 66, "⠋"));
    expect(narrow).toBe("━━━━━━━━━━━━────────────  52,000 of 100,000 records (52%)");
  });

  it("does without a total", () => {
    const { total: _, etaMs: __, ...unknown } = progress;
    expect(progressLine(unknown, 120, "⠋")).toMatch(/^⠋ {2}52,000 records {2}12,346\/s {2}3 failed/);
  });

  it("shows percent and count also on 40 columns, and on fewer", () => {
    const narrow = stripVTControlCharacters(progressLine(progress, 40, "⠋"));
    expect(narrow).toMatch(/^━+─+ {2}52,000 of 100,000 records \(52%\)$/);
    expect(narrow.length).toBeLessThan(40);
    expect(stripVTControlCharacters(progressLine(progress, 30, "⠋"))).toBe("52%  52,000");
  });

  it("tells of a follow what matters most, on 80 columns and on 40", () => {
    const follow = {
      ...{ transferId: "t", name: "search", status: "live" as const, elapsedMs: 9000, lagMs: 61 },
      ...{ changes: 12_040, written: 11_900, deleted: 95, skipped: 0, failures: 2, mirrors: 0, batches: 400 },
    } as const;
    const line = (progress: Parameters<typeof followParts>[0], columns: number, head = "⠋") =>
      fitting([head, ...followParts(progress, 420)], columns);
    expect(line(follow, 80)).toBe("⠋  live  420/s  lag 61 ms  12,040 changes  11,900 written  95 deleted  2 failed");
    expect(line(follow, 40)).toBe("⠋  live  420/s  lag 61 ms");
    expect(line({ ...follow, status: "paused", pausedBy: "TOO_MANY_DELETES" }, 80)).toBe(
      "⠋  paused  Enter: go on  Ctrl-C: stop  TOO_MANY_DELETES",
    );
    expect(line({ ...follow, status: "paused", pausedBy: "EMPTY_SOURCE" }, 40)).toBe(
      "⠋  paused  Enter: go on  Ctrl-C: stop",
    );
    expect(line({ ...follow, status: "paused", pausedBy: "CONNECTION_LOST" }, 80, "⠋ search")).toBe(
      "⠋ search  paused  goes on by itself  CONNECTION_LOST",
    );
    expect(line({ ...follow, status: "paused", pausedBy: "CONNECTION_LOST" }, 40)).toBe("⠋  paused  goes on by itself");
  });

  it("expects the time by the rate of the last seconds", () => {
    const pace = new RecentPace();
    // Nothing for 20 s, then 1,000 a second: 4 s are left for 4,000.
    pace.reckon({ ...progress, records: 0, total: 10_000 }, 0);
    for (let second = 20; second <= 26; second++) {
      pace.reckon({ ...progress, records: (second - 20) * 1000, total: 10_000 }, second * 1000);
    }
    expect(pace.reckon({ ...progress, records: 6500, total: 10_000 }, 36_500).etaMs).toBeLessThan(60_000);
    const late = pace.reckon({ ...progress, records: 7500, total: 10_000 }, 37_500);
    expect(late.etaMs).toBeGreaterThan(2000);
    expect(late.etaMs).toBeLessThan(20_000);
  });

  it("knows how much a comparison after a copy has to read", () => {
    expect(comparing(500, 2000)).toBe("comparing: 500 of about 2,000 records read");
    expect(comparing(500, undefined)).toBe("comparing: 500 records read");
  });
});
