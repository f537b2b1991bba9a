import { existsSync, linkSync } from "node:fs";
import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { events, Project, sampleRecords } from "./project.ts";

const text = v.string();
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const number = v.pipe(v.number(), v.minValue(0));

/** What README and `CliEvent` promise of the events of a copy. */
const EVENTS = v.variant("event", [
  v.strictObject({
    event: v.literal("start"),
    name: text,
    transferId: text,
    source: text,
    target: text,
    resumed: v.boolean(),
  }),
  v.strictObject({
    event: v.literal("progress"),
    transferId: text,
    records: count,
    total: v.optional(count),
    failures: count,
    rate: number,
    etaMs: v.optional(number),
    elapsedMs: number,
    memoryBytes: count,
  }),
  v.strictObject({
    event: v.literal("result"),
    name: text,
    transferId: text,
    status: v.picklist(["completed", "partial", "failed", "interrupted"]),
    totalRecords: count,
    successCount: count,
    failureCount: count,
    skippedCount: count,
    retryCount: count,
    bytes: count,
    durationMs: number,
    errors: v.array(v.strictObject({ id: text, phase: text, code: text, reason: text, attempts: count })),
    deadLetters: v.optional(text),
    resume: v.optional(text),
  }),
  v.strictObject({ event: v.literal("verify-progress"), records: count, total: v.optional(count) }),
  v.strictObject({
    event: v.literal("verify"),
    source: text,
    target: text,
    equal: v.boolean(),
    sourceCount: count,
    targetCount: count,
    missing: count,
    extra: count,
    different: count,
    failed: count,
    unreadable: count,
    unsettled: count,
    repeated: v.strictObject({ source: count, target: count }),
    differences: v.array(
      v.strictObject({ kind: v.picklist(["missing", "extra", "different", "failed", "unreadable"]), id: text }),
    ),
    durationMs: number,
  }),
]);

describe("copy", () => {
  let project: Project;
  beforeAll(async () => {
    project = new Project();
    project.fill("a.ndjson", sampleRecords(1000));
    const run = await project.run(["copy", "lines:a.ndjson", "sqlite:a.db?table=docs"]);
    expect(run).toMatchObject({ code: 0 });
  });
  afterAll(() => project[Symbol.dispose]());

  it("moves records from one SQLite file to another, and once more without a trace", async () => {
    for (let turn = 0; turn < 2; turn++) {
      const run = await project.run(["copy", "sqlite:a.db?table=docs", "sqlite:b.db?table=docs", "--verify"]);
      expect(run).toMatchObject({ code: 0, signal: null });
      expect(run.stdout).toMatch(/^1,000 records written in .*\nVerified: both sides hold the same 1,000 records/);
    }
    const counted = await project.run(["count", "sqlite:b.db?table=docs"]);
    expect(counted).toMatchObject({ code: 0, stdout: "1000\n", stderr: "" });
  });

  it("selects records and fields", async () => {
    const selection = ["--where", "type=knowledge", "--where", "n>=500", "--fields", "title,n", "--order-by", "n:desc"];
    const run = await project.run([
      "copy",
      "sqlite:a.db?table=docs",
      "lines:selected.ndjson",
      ...selection,
      "--offset",
      "1",
      "--limit",
      "2",
    ]);
    expect(run.code).toBe(0);
    expect(
      project
        .read("selected.ndjson")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { id: "r00997", title: "Title 997 ünïcödé 知识", n: 997 },
      { id: "r00995", title: "Title 995 ünïcödé 知识", n: 995 },
    ]);
  });

  it("prints JSON of the promised form, and nothing else, with --json", async () => {
    const run = await project.run([
      "copy",
      "sqlite:a.db?table=docs",
      "sqlite:json.db?table=docs",
      "--json",
      "--verify",
      "--progress-interval",
      "0",
      "--batch-size",
      "100",
    ]);
    expect(run).toMatchObject({ code: 0, stderr: "" });
    const told = events(run).map((event) => v.parse(EVENTS, event));
    expect(told[0]).toMatchObject({ event: "start", name: "copy", resumed: false });
    expect(told.filter(({ event }) => event === "progress").length).toBeGreaterThan(3);
    expect(told.find(({ event }) => event === "result")).toMatchObject({ status: "completed", successCount: 1000 });
    expect(told.at(-1)).toMatchObject({ event: "verify", equal: true, sourceCount: 1000, targetCount: 1000 });
  });

  it("prints plain lines where there is no terminal, and none when quiet", async () => {
    const run = await project.run([
      "copy",
      "sqlite:a.db?table=docs",
      "lines:slow.ndjson?delay=20",
      "--batch-size",
      "100",
      "--progress-interval",
      "1",
    ]);
    expect(run.code).toBe(0);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: there must be none
    expect(run.stdout + run.stderr).not.toMatch(/[\u001b\r]/);
    expect(run.stderr).toMatch(
      /^copy: sqlite:a\.db\?table=docs → lines:slow\.ndjson\?delay=20 \(transfer sqlite-lines-[0-9a-f]{8}\)\n/,
    );
    expect(run.stderr).toMatch(/\d+ ms: \d+ of 1,000 records \(\d+%\), [\d,]+\/s, ETA .*, 0 failed, \d+ MB\n/);
    expect(run.stdout).toMatch(/^1,000 records written in \d+ ms \([\d,]+\/s\)\n$/);
    const quiet = await project.run(["copy", "sqlite:a.db?table=docs", "sqlite:q.db?table=docs", "-q"]);
    expect(quiet).toMatchObject({ code: 0, stdout: "", stderr: "" });
  });

  it("says what failed, keeps it, replays it, and ends with 3", async () => {
    const run = await project.run(["copy", "sqlite:a.db?table=docs", "lines:c.ndjson?refuse=r0000"]);
    expect(run.code).toBe(3);
    expect(run.stdout).toMatch(/^990 records written in .*, 10 failed\n$/);
    expect(run.stderr).toContain("r00000 (write, TYPE_MISMATCH): r00000 does not fit");
    expect(run.stderr).toContain("and 5 more");
    const next = /Next: omni-p2p replay (\S+) 'lines:c\.ndjson\?refuse=r0000'/.exec(run.stderr);
    expect(next).not.toBeNull();
    const again = await project.run(["replay", next![1]!, "lines:c.ndjson?refuse=r00001"]);
    expect(again.code).toBe(3);
    expect(again.stdout).toMatch(/^9 records written in .*, 1 failed/);
    const mended = await project.run(["replay", next![1]!, "lines:c.ndjson"]);
    expect(mended.code).toBe(0);
    const verified = await project.run(["verify", "sqlite:a.db?table=docs", "lines:c.ndjson"]);
    expect(verified).toMatchObject({ code: 0 });
  });

  it("says how to replay what failed in the transform, and what the target refused", async () => {
    const map = "export default (record) => { if (record.n === 7) throw new Error('seven'); return record; };";
    project.write("seven.ts", map);
    const copy = ["copy", "sqlite:a.db?table=docs", "lines:seven.ndjson", "--transform", "./seven.ts"];
    const run = await project.run([...copy, "--dead-letter", "seven.letters"]);
    expect(run.code).toBe(3);
    const nexts = [...run.stderr.matchAll(/Next: omni-p2p (.*)/g)].map((match) => match[1]!);
    expect(nexts).toHaveLength(1);
    expect(nexts[0]).toMatch(/^replay \S+ lines:seven\.ndjson --phase transform --transform \.\/seven\.ts$/);

    const unmended = await project.run(["replay", "seven.letters", "lines:seven.ndjson"]);
    expect(unmended.stdout).toMatch(/^0 records written/);
    expect(unmended.stderr).toContain("Every record in seven.letters failed in the transform");
    expect(unmended.stderr).toContain("Next: omni-p2p replay seven.letters lines:seven.ndjson --phase transform");

    project.write("seven.ts", "export default (record) => record;");
    const mended = await project.run(nexts[0]!.split(" "));
    expect(mended).toMatchObject({ code: 0, stdout: expect.stringMatching(/^1 record written/) });

    project.write("seven.ts", map);
    const both = await project.run([
      ...["copy", "sqlite:a.db?table=docs", "lines:both.ndjson?refuse=r00001", "--transform", "./seven.ts"],
    ]);
    expect([...both.stderr.matchAll(/Next: .*?(--phase \w+)?(?: --transform \S+)?$/gm)].map((m) => m[1])).toEqual([
      "--phase transform",
      undefined,
    ]);
  });

  it("does not replay a file into itself", async () => {
    project.write("letters.ndjson", "");
    const run = await project.run(["replay", "letters.ndjson", "lines:c.ndjson", "--dead-letter", "./letters.ndjson"]);
    expect(run.code).toBe(2);
    expect(run.stderr).toMatch(
      /dead letters cannot go into \S+letters\.ndjson: the replay reads it; give another --dead-letter file/,
    );
  });

  it("never empties what is no dead-letter file, nor what is reached by a link, and keeps earlier letters", async () => {
    project.write("diary.txt", "dear diary\n");
    const failing = ["copy", "sqlite:a.db?table=docs", "lines:kept.ndjson?refuse=r0000"];
    const refused = await project.run([...failing, "--dead-letter", "diary.txt"]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("holds something else than dead letters");
    expect(project.read("diary.txt")).toBe("dear diary\n");
    const own = await project.run([...failing, "--dead-letter", "kept.letters"]);
    expect(own.code).toBe(3);
    const letters = project.read("kept.letters");
    linkSync(project.path("kept.letters"), project.path("hard.letters"));
    const replay = ["replay", "hard.letters", "lines:kept.ndjson?refuse=r0000", "--dead-letter", "kept.letters"];
    expect(await project.run(replay)).toMatchObject({ code: 2 });
    expect(project.read("kept.letters")).toBe(letters);
    const over = await project.run([...failing, "--dead-letter", "over.letters"]);
    expect(over.code).toBe(3);
    expect((await project.run([...failing, "--dead-letter", "over.letters", "--dead-letter-overwrite"])).code).toBe(3);
    expect(existsSync(project.path("over.1.letters"))).toBe(false);
    const again = await project.run([...failing, "--dead-letter", "kept.letters"]);
    expect(again.stderr).toMatch(/The records that failed in an earlier run are kept in .*kept\.1\.letters/);
    expect(project.read("kept.1.letters")).toBe(letters);
  });

  it("honours --mode, --max-failures, --dead-letter and --no-dead-letter", async () => {
    project.fill("there.ndjson", sampleRecords(3));
    const skip = await project.run(["copy", "sqlite:a.db?table=docs", "lines:there.ndjson", "--mode", "skip"]);
    expect(skip.stdout).toMatch(/^997 records written in .*, 3 skipped/);
    const insert = ["copy", "sqlite:a.db?table=docs", "lines:there.ndjson", "--mode", "insert"];
    const refused = await project.run([...insert, "--max-failures", "none", "--dead-letter", "there/letters.ndjson"]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("more than --max-failures bears");
    expect(project.read("there/letters.ndjson").split("\n").length).toBeGreaterThan(500);
    const all = await project.run([...insert, "--max-failures", "all", "--no-dead-letter"]);
    expect(all.code).toBe(3);
    expect(all.stderr).not.toContain("records that failed are in");
    const place = await project.run([
      ...insert,
      "--max-failures",
      "all",
      "--dead-letter",
      "lines:letters-store.ndjson",
    ]);
    expect(place.code).toBe(3);
    expect(project.read("letters-store.ndjson").trim().split("\n")).toHaveLength(1000);
  });

  it("keeps its state where --state-dir says", async () => {
    const target = "lines:state.ndjson?refuse=r00001";
    const run = await project.run([
      "copy",
      "sqlite:a.db?table=docs",
      target,
      "--state-dir",
      "state",
      "--transfer-id",
      "my copy",
    ]);
    expect(run.code).toBe(3);
    expect(existsSync(project.path("state/my%20copy.checkpoint.json"))).toBe(true);
    expect(existsSync(project.path("state/my%20copy.dead-letters.ndjson"))).toBe(true);
  });

  it("puts records through a transform in TypeScript, and verifies with it", async () => {
    project.write(
      "map.ts",
      `import type { Transform } from "@omni/p2p-core";
const transform: Transform = ({ title, ...rest }) => {
  if (rest.n === 7) throw new Error("seven");
  return rest.n === 8 ? null : { ...rest, headline: title };
};
export default transform;
`,
    );
    const args = ["sqlite:a.db?table=docs", "lines:mapped.ndjson", "--transform", "./map.ts"];
    const run = await project.run(["copy", ...args]);
    expect(run.code).toBe(3);
    expect(run.stdout).toMatch(/^998 records written in .*, 1 failed, 1 skipped/);
    expect(run.stderr).toContain('The transform failed on record "r00007": seven');
    expect(run.stderr).not.toContain("ExperimentalWarning");
    project.write(
      "map.ts",
      "export const transform = ({ title, ...rest }) => (rest.n === 7 ? null : { ...rest, headline: title });",
    );
    const other = ["sqlite:a.db?table=docs", "lines:mapped2.ndjson", "--transform", "./map.ts", "--verify"];
    const verified = await project.run(["copy", ...other]);
    expect(verified.code).toBe(0);
    expect(verified.stdout).toContain("Verified: both sides hold the same 999 records");
  });

  it("takes a transform as it is written, whatever the type of the package", async () => {
    project.write("helper.ts", "export const headline = (title: string): string => title.toUpperCase();");
    const forms = {
      "module.ts":
        'import { headline } from "./helper.ts";\nexport default (r: any) => ({ id: r.id, h: headline(r.title) });',
      "module.js": "export const transform = ({ id, title }) => ({ id, h: title.toUpperCase() });",
      "module.mts":
        'import { headline } from "./helper.ts";\nexport default (r: any) => ({ id: r.id, h: headline(r.title) });',
      "common.cjs": "module.exports = ({ id, title }) => ({ id, h: title.toUpperCase() });",
      "common.js": "module.exports.transform = ({ id, title }) => ({ id, h: title.toUpperCase() });",
    };
    for (const [file, content] of Object.entries(forms)) {
      project.write(file, content);
      const run = await project.run(["copy", "sqlite:a.db?table=docs", `lines:${file}.ndjson`, "--transform", file]);
      expect(run, file).toMatchObject({ code: 0 });
      expect(project.read(`${file}.ndjson`), file).toContain('"h":"TITLE 3 ÜNÏCÖDÉ 知识"');
    }
  });

  it("uses another store's query with --native", async () => {
    const run = await project.run(["count", "sqlite:a.db?table=docs", "--native", '{"redis":{"match":"x"}}']);
    expect(run.code).toBe(2);
    expect(run.stderr).toMatch(/native\.redis/);
  });
});

describe("a dry run", () => {
  let project: Project;
  beforeAll(() => {
    project = new Project();
    project.fill("a.ndjson", [
      { id: 1, text: "one", big: 5n, at: new Date(0) },
      { id: 2, text: "two", at: null },
    ]);
  });
  afterAll(() => project[Symbol.dispose]());

  it("shows what a target would make of the records, and writes nothing", async () => {
    project.fill("b.ndjson", []);
    const run = await project.run(["copy", "lines:a.ndjson", "lines:b.ndjson", "--dry-run"]);
    expect(run.code).toBe(0);
    expect(run.stdout).toContain("2 records of 2 read as a sample; nothing is written.");
    expect(run.stdout).toMatch(/at +date, null +tagged, native +yes/);
    expect(run.stdout).toMatch(/big +bigint +tagged +yes/);
    expect(project.read("b.ndjson")).toBe("");
    expect(existsSync(project.path(".omni-p2p"))).toBe(false);
  });

  it("makes no file for a target that is not there yet", async () => {
    const run = await project.run(["copy", "lines:a.ndjson", "sqlite:new.db?table=docs", "--dry-run", "--json"]);
    expect(run.code).toBe(0);
    const [event] = events(run);
    expect(event).toMatchObject({ event: "dry-run", sampled: 2, total: 2, dropped: 0, refused: [] });
    expect(event!.fields).toHaveLength(4);
    expect(existsSync(project.path("new.db"))).toBe(false);
  });

  it("tells of a table like the source's what the copy then makes, under the name that it takes", async () => {
    project.sql(
      "typed.db",
      `CREATE TABLE docs (code VARCHAR(20) NOT NULL, part INT, title TEXT NOT NULL, seen DATETIME, n DECIMAL(10, 2), PRIMARY KEY (code, part));
       INSERT INTO docs VALUES ('a', 1, 'one', NULL, 5), ('b', 2, 'two', '2024-01-31', 'none');
       CREATE TABLE other (id INTEGER PRIMARY KEY);`,
    );
    const words = ["copy", "sqlite:typed.db?table=docs", "sqlite:like.db", "--json"];
    const dry = await project.run([...words, "--dry-run"]);
    expect(dry.code).toBe(0);
    const [event] = events(dry);
    expect(event).toMatchObject({ event: "dry-run", target: "sqlite:like.db?table=docs", refused: [] });
    const told = (event!.fields as { field: string; storedAs: string; note?: string }[]).filter(
      ({ field }) => field !== "id",
    );
    expect(told.map(({ field, note }) => [field, note])).toEqual([
      ["code", "Declared as in the source: part of the key, NOT NULL"],
      ["part", "Declared as in the source: part of the key"],
      ["title", "Declared as in the source: NOT NULL"],
      ["seen", "Declared as in the source"],
      ["n", "Declared as in the source"],
    ]);
    expect(existsSync(project.path("like.db"))).toBe(false);
    expect(await project.run(words)).toMatchObject({ code: 0 });
    const [made] = events(await project.run(["inspect", "sqlite:like.db", "--json"]));
    const declared = (made!.declared as { name: string; type: string }[]).map(({ name, type }) => [name, type]);
    expect(told.map(({ field, storedAs }) => [field, storedAs])).toEqual(declared);
  });

  it("refuses dead letters in a file that the copy lives on, as the copy does", async () => {
    project.sql("own.db", "CREATE TABLE docs (id INTEGER PRIMARY KEY); INSERT INTO docs VALUES (1);");
    const before = project.read("own.db");
    for (const more of [["--dry-run"], []]) {
      const words = ["copy", "sqlite:own.db", "sqlite:fresh.db", "--dead-letter", "./own.db", ...more];
      const run = await project.run(words);
      expect(run.code).toBe(2);
      expect(run.stderr).toMatch(/dead letters cannot go into \S+own\.db: it is sqlite:\S*own\.db/);
      expect(existsSync(project.path("fresh.db"))).toBe(false);
    }
    expect(project.read("own.db")).toBe(before);
  });

  it("tells what would not survive, and ends with 3", async () => {
    project.write(
      "tag.ts",
      `import { TaggedValue } from "@omni/p2p-core";
export default (record) => {
  if (record.id === 2) throw new Error("not two");
  return { id: record.id, tag: new TaggedValue("mongodb:objectId", "65f0c0ffee0ddba11ca7f00d") };
};`,
    );
    project.fill("b.ndjson", []);
    const run = await project.run(["copy", "lines:a.ndjson", "lines:b.ndjson", "--transform", "tag.ts", "--dry-run"]);
    expect(run.code).toBe(3);
    expect(run.stdout).toContain("Would not survive: tag");
    expect(run.stdout).toContain('Would fail: 2: The transform failed on record "2": not two');
  });
});
