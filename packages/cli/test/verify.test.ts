import { existsSync, lstatSync, symlinkSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { events, Project, sampleRecords } from "./project.ts";

let project: Project;
beforeEach(() => {
  project = new Project();
  project.fill("a.ndjson", sampleRecords(20));
});
afterEach(() => project[Symbol.dispose]());

const last = async (...args: string[]) => {
  const run = await project.run([...args, "--json"]);
  return { ...events(run).findLast(({ event }) => event === "verify" || event === "error"), code: run.code };
};

describe("verify", () => {
  it("says in what records differ, with both values, and in --json", async () => {
    const when = new Date(0);
    project.fill("a.ndjson", [{ id: "doc-7", title: "A", size: 1, at: when, meta: { lang: "en\u001b[2J" } }]);
    project.fill("b.ndjson", [{ id: "doc-7", title: "B", size: 1n, at: when, meta: { lang: "de" } }]);
    const run = await project.run(["verify", "lines:a.ndjson", "lines:b.ndjson"]);
    expect(run.code).toBe(4);
    expect(run.stdout).toContain(
      '  different  doc-7  title: "A" → "B"\n      size: 1 → 1n\n      meta.lang: "en\\u001b[2J" → "de"\n',
    );
    expect(await last("verify", "lines:a.ndjson", "lines:b.ndjson")).toMatchObject({
      differences: [
        {
          kind: "different",
          id: "doc-7",
          fields: [
            { field: "title", source: '"A"', target: '"B"' },
            { field: "size", source: "1", target: "1n" },
            { field: "meta.lang", source: '"en\\u001b[2J"', target: '"de"' },
          ],
        },
      ],
    });
  });

  it("counts and lists what cannot be read, compares the rest, and ends with 3", async () => {
    project.fill("b.ndjson", sampleRecords(19));
    const run = await project.run(["verify", "lines:a.ndjson?unreadable=r00003", "lines:b.ndjson"]);
    expect(run.code).toBe(3);
    expect(run.stdout).toContain("1 missing in the target, 0 extra, 0 different, 1 not compared since they could not");
    expect(run.stdout).toContain("unreadable r00003  in the source: r00003 is torn\n");
    expect(run.stdout).toContain("missing    r00019\n");
    expect(await last("verify", "lines:b.ndjson", "lines:b.ndjson?unreadable=r0000")).toMatchObject({
      ...{ equal: false, unreadable: 10, missing: 0, extra: 0, code: 3 },
    });
  });

  it("can be told that what only the target holds is no difference", async () => {
    project.fill("b.ndjson", [...sampleRecords(20), { id: "more" }]);
    const run = await project.run(["verify", "lines:a.ndjson", "lines:b.ndjson", "--ignore-extra"]);
    expect(run).toMatchObject({ code: 0 });
    expect(run.stdout).toContain("Verified: both sides hold the same 20 records; the target holds 1 besides");
    expect(await last("verify", "lines:a.ndjson", "lines:b.ndjson")).toMatchObject({ code: 4, extra: 1, equal: false });
    expect(await last("verify", "lines:a.ndjson", "lines:b.ndjson", "--limit", "5")).toMatchObject({
      ...{ code: 0, extra: 16, sourceCount: 5 },
    });
  });

  it("can be told which records of the target are meant", async () => {
    const other = { id: "other", n: -1 };
    project.fill("b.ndjson", [...sampleRecords(20).map((record) => ({ ...record, kind: "docs" })), other]);
    project.write("kind.mjs", "export default (record) => ({ ...record, kind: 'docs' });");
    const args = ["verify", "lines:a.ndjson", "lines:b.ndjson", "--transform", "kind.mjs", "--where", "n<10"];
    expect(await last(...args)).toMatchObject({ code: 4, extra: 11 });
    expect(await last(...args, "--target-where", "n>=0", "--target-where", "n<10")).toMatchObject({
      ...{ code: 0, sourceCount: 10, targetCount: 10 },
    });
    expect(await last(...args, "--target-where", "all")).toMatchObject({ code: 4, extra: 11 });
    const run = await project.run([...args, "--target-where", "n"]);
    expect(run).toMatchObject({ code: 2 });
    expect(run.stderr).toContain('--target-where "n" is not a condition');
    const against = await project.run(["verify", "--against", "x.json", "lines:a.ndjson", "--target-where", "all"]);
    expect(against.stderr).toContain("it takes no --target-where");
  });

  it("says that an id comes twice", async () => {
    project.write("same.mjs", "export default ({ id, n }) => ({ id: n < 2 ? 1 : id, n });");
    project.fill("b.ndjson", [
      { id: "1", n: 1 },
      ...sampleRecords(20)
        .slice(2)
        .map(({ id, n }) => ({ id, n: n! })),
    ]);
    const run = await project.run(["verify", "lines:a.ndjson", "lines:b.ndjson", "--transform", "same.mjs"]);
    expect(run.code).toBe(4);
    expect(run.stdout).toContain("missing    1  2 times in the source, 1 in the target\n");
    expect(run.stderr).toContain("1 record of the source has an id that came before");
  });
});

describe("verify, of a target that names no table", () => {
  it("compares the table that a copy would have written", async () => {
    const table = (name: string) => `CREATE TABLE ${name} (id INTEGER PRIMARY KEY, a TEXT);`;
    project.sql("from.db", `${table("docs")} INSERT INTO docs VALUES (1, 'x');`);
    project.sql("to.db", table("other"));
    const ends = ["sqlite:from.db?table=docs", "sqlite:to.db"];
    expect(await project.run(["copy", ...ends])).toMatchObject({ code: 0 });
    expect(await last("verify", ...ends)).toMatchObject({ code: 0, equal: true, target: "sqlite:to.db?table=docs" });
  });
});

describe("--verify", () => {
  it("asks whether what was copied is there: what the target held before is counted, and no difference", async () => {
    project.fill("b.ndjson", [{ id: "old", type: "note" }]);
    const run = await project.run(["copy", "lines:a.ndjson", "lines:b.ndjson", "--verify", "--where", "type=note"]);
    expect(run.code).toBe(0);
    expect(run.stdout).toContain("Verified: both sides hold the same 10 records; the target holds 1 besides");
    expect(await last("verify", "lines:a.ndjson", "lines:b.ndjson", "--where", "type=note")).toMatchObject({ code: 4 });
  });

  it("ends with 4 when something is missing or different after all", async () => {
    project.write(
      "forget.mjs",
      "let calls = 0;\nexport default (r) => ({ ...r, call: r.id === 'r00007' ? (calls++ === 0 ? 'first' : 'again') : 0 });",
    );
    const run = await project.run([
      "copy",
      "lines:a.ndjson",
      "lines:b.ndjson",
      "--verify",
      "--transform",
      "forget.mjs",
    ]);
    expect(run.code).toBe(4);
    expect(run.stdout).toContain('different  r00007  call: "again" → "first"');
  });

  it("comes after a note on records that took each other's place", async () => {
    project.write("same.mjs", "export default ({ id, n }) => ({ id: n < 3 ? 'same\\u202e' : id, n });");
    const run = await project.run(["copy", "lines:a.ndjson", "lines:b.ndjson", "--transform", "same.mjs", "--verify"]);
    expect(run.stderr).toContain("2 records have the id of another one before, as the target keeps ids");
    expect(run.stderr).toContain('"same\\u202e", "same\\u202e"');
    expect(run.stdout).toContain("20 records written");
    expect(run.stdout).toContain("missing    same\\u202e  3 times in the source, 1 in the target\n");
    expect(run.code).toBe(4);
  });

  it("holds for a part, a projection and a transform that drops", async () => {
    project.write("drop.mjs", "export default (r) => (r.n % 2 ? null : { id: 'x' + r.id, n: r.n });");
    const ways = [
      ["--limit", "7", "--offset", "2"],
      ["--where", "n>=5", "--fields", "title"],
      ["--where", "n>=5", "--transform", "drop.mjs"],
      ["--order-by", "n:desc", "--limit", "3"],
      ["--native", '{"sqlite":{"where":"n < ?","params":[4]}}'],
    ];
    expect(await project.run(["copy", "lines:a.ndjson", "sqlite:a.db?table=docs"])).toMatchObject({ code: 0 });
    for (const [at, way] of ways.entries()) {
      const target = `sqlite:out.db?table=t${at}`;
      project.fill("seed.ndjson", [{ id: "old", type: "note", n: 7, title: "old" }]);
      expect(await project.run(["copy", "lines:seed.ndjson", target])).toMatchObject({ code: 0 });
      const run = await project.run(["copy", "sqlite:a.db?table=docs", target, ...way, "--verify"]);
      expect(run, way.join(" ")).toMatchObject({
        code: 0,
        stdout: expect.stringContaining("Verified: both sides hold"),
      });
    }
  });

  it("succeeds after a copy of nothing, into a target that nobody made", async () => {
    expect(await project.run(["copy", "lines:a.ndjson", "sqlite:a.db?table=docs"])).toMatchObject({ code: 0 });
    const nothing = ["--where", "type=nothing", "--verify"];
    const run = await project.run(["copy", "sqlite:a.db?table=docs", "sqlite:b.db?table=docs", ...nothing]);
    expect(run.stdout).toContain("Verified: both sides hold the same 0 records");
    expect(run.code).toBe(0);
  });

  it("tells the records that failed apart, all of them", async () => {
    project.fill("a.ndjson", sampleRecords(400));
    const args = ["copy", "lines:a.ndjson", "lines:b.ndjson?refuse=r002", "--verify", "--dead-letter", "failed.ndjson"];
    const run = await project.run(args);
    expect(run.code).toBe(3);
    expect(run.stdout).toContain("0 missing in the target, 0 extra, 0 different, 100 failed in the transfer");
    expect(run.stdout).toContain("failed     r00200\n");
    expect(existsSync(project.path("failed.ndjson"))).toBe(true);
    project.fill("dup.ndjson", [{ id: "r00001", n: -1 }]);
    const inserted = await last("copy", "lines:a.ndjson", "lines:dup.ndjson", "--mode", "insert", "--verify");
    expect(inserted).toMatchObject({ code: 3, failed: 1, different: 0, missing: 0 });
  });

  it("bears what --mode skip left as it was", async () => {
    project.fill("b.ndjson", [{ id: "r00001", n: -1 }]);
    const run = await project.run(["copy", "lines:a.ndjson", "lines:b.ndjson", "--mode", "skip", "--verify"]);
    expect(run.code).toBe(0);
    expect(run.stdout).toContain("the same 20 records, but for 1 that --mode skip left as they were");
    expect(await last("copy", "lines:a.ndjson", "lines:b.ndjson", "--mode", "skip", "--verify")).toMatchObject({
      ...{ equal: true, different: 1, code: 0 },
    });
  });

  it("of a replay compares what was replayed", async () => {
    project.fill("a.ndjson", sampleRecords(50));
    const letters = ["--dead-letter", "failed.ndjson"];
    expect(await project.run(["copy", "lines:a.ndjson", "lines:b.ndjson?refuse=r0004", ...letters])).toMatchObject({
      code: 3,
    });
    const run = await project.run(["replay", "failed.ndjson", "lines:b.ndjson", "--verify"]);
    expect(run.code).toBe(0);
    expect(run.stdout).toContain("Verified: both sides hold the same 10 records; the target holds 40 besides");
  });

  it("does the same in a config file", async () => {
    project.fill("b.ndjson", [{ id: "old" }]);
    project.write(
      "p2p.config.yaml",
      "transfers:\n  - { source: 'lines:a.ndjson', target: 'lines:b.ndjson', query: { limit: 5 }, verify: true }\n",
    );
    const run = await project.run(["run"]);
    expect(run.code).toBe(0);
    expect(run.stdout).toContain("Verified: both sides hold the same 5 records; the target holds 1 besides");
  });
});

describe("verify, live and against a certificate", () => {
  it("looks again while both sides may change, and tells what stays", async () => {
    const docs = (title: string) =>
      `CREATE TABLE docs (id INTEGER PRIMARY KEY, title TEXT); INSERT INTO docs VALUES (1, 'a'), (2, '${title}')`;
    project.sql("a.db", docs("same"));
    project.sql("b.db", docs("other"));
    const args = ["verify", "sqlite:a.db?table=docs", "sqlite:b.db?table=docs", "--live", "--settle", "400ms"];
    const run = await project.run(args);
    expect(run.code).toBe(4);
    expect(run.stdout).toContain('different  2  title: "same" → "other"');
    project.sql("b.db", "UPDATE docs SET title = 'same' WHERE id = 2");
    expect(await project.run(args)).toMatchObject({ code: 0 });
    expect((await project.run(["verify", "lines:a.ndjson", "lines:a.ndjson", "--live"])).stderr).toMatch(/cannot look/);
    expect((await project.run([...args.slice(0, 3), "--settle", "1s"])).stderr).toMatch(/"settle" must be/);
  });

  it("keeps a certificate, and holds one side against it", async () => {
    project.fill("b.ndjson", sampleRecords(20));
    const made = await project.run(["verify", "lines:a.ndjson", "lines:b.ndjson", "--certificate", "c.json"]);
    expect(made).toMatchObject({ code: 0 });
    expect(await project.run(["verify", "--against", "c.json", "lines:b.ndjson"])).toMatchObject({ code: 0 });
    project.fill("b.ndjson", [...sampleRecords(18), { id: "new" }]);
    const held = await project.run(["verify", "--against", "c.json", "lines:b.ndjson"]);
    expect(held.code).toBe(4);
    expect(held.stdout).toMatch(/it holds 19, and held 20[\s\S]*differs or new {2}new\n {2}gone {12}2 or more/);
    const json = await project.run(["verify", "--against", "c.json", "lines:b.ndjson", "--json"]);
    expect(events(json).at(-1)).toMatchObject({ event: "verify-against", equal: false, ids: ["new"], gone: 2 });
    symlinkSync(project.path("c.json"), project.path("link.json"));
    await project.run(["verify", "lines:b.ndjson", "lines:b.ndjson", "--certificate", "link.json"]);
    expect(lstatSync(project.path("link.json")).isSymbolicLink()).toBe(true);
    expect(await project.run(["verify", "--against", "c.json", "lines:b.ndjson"])).toMatchObject({ code: 0 });
    const before = project.read("c.json");
    const other = await project.run(["verify", "lines:a.ndjson", "lines:b.ndjson", "--certificate", "c.json"]);
    expect(other).toMatchObject({ code: 4, stderr: expect.stringContaining("No certificate was written") });
    expect(project.read("c.json")).toBe(before);
  });

  it("refuses what is no certificate, and no place for one, with the way out", async () => {
    const refused = async (...args: string[]) => {
      const { code, stderr } = await project.run(["verify", ...args]);
      expect(code).toBe(2);
      return stderr;
    };
    project.write("torn.json", '{"format":"omni-p2p-certificate","vers');
    expect(await refused("--against", "torn.json", "lines:a.ndjson")).toMatch(/torn\.json is torn/);
    expect(await refused("--against", "gone.json", "lines:a.ndjson")).toMatch(/gone\.json cannot be read/);
    expect(await refused("--against", "torn.json", "lines:a.ndjson", "lines:a.ndjson")).toMatch(/one endpoint/);
    expect(await refused("lines:a.ndjson")).toMatch(/missing required argument 'target'/);
    const place = ["lines:a.ndjson", "lines:a.ndjson", "--certificate"];
    expect(await refused(...place, "a.ndjson")).toMatch(/a\.ndjson is there, and is no certificate/);
    expect(await refused(...place, "gone/c.json")).toMatch(/folder .* does not exist/);
    project.write("empty", "");
    expect(await refused(...place, "empty")).toMatch(/empty is there, and is no certificate/);
    expect(project.read("a.ndjson")).toContain("r00000");
  });
});
