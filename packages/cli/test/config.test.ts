import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { events, Project, sampleRecords } from "./project.ts";

let project: Project;
beforeAll(() => {
  project = new Project();
  project.fill("a.ndjson", sampleRecords(100));
  project.write(
    "map.ts",
    "export default ({ title, ...rest }) => (rest.n === 3 ? null : { ...rest, headline: title });",
  );
  project.write("nested/keep.ts", "export default (record) => record;");
});
afterAll(() => project[Symbol.dispose]());

describe("run", () => {
  it("runs the transfers of a TypeScript file", async () => {
    project.write(
      "p2p.config.ts",
      `import { defineConfig } from "@omni/p2p-cli";
export default defineConfig({
  endpoints: { docs: "lines:./a.ndjson", out: { storageType: "sqlite", database: "out.db", metadata: { table: "docs" } } },
  defaults: { batch_size: 10 },
  transfers: [
    { name: "notes", source: "docs", target: "out", query: { type: "note" }, verify: true },
    { source: "docs", target: "lines:late.ndjson", query: { where: ["n>=90", "n<95"] }, config: { batchSize: 7 } },
    { name: "mapped", source: "docs", target: "lines:mapped.ndjson", transform: "./map.ts" },
    { name: "inline", source: "docs", target: "lines:inline.ndjson", transform: ({ id }) => ({ id, seen: true }) },
  ],
});
`,
    );
    const run = await project.run(["run", "--json", "--progress-interval", "60000"]);
    expect(run.stderr).toBe("");
    expect(run.code).toBe(0);
    const results = events(run).filter(({ event }) => event === "result");
    expect(results).toMatchObject([
      { name: "notes", successCount: 50, status: "completed" },
      { name: "2", successCount: 5 },
      { name: "mapped", successCount: 99, skippedCount: 1 },
      { name: "inline", successCount: 100 },
    ]);
    expect(events(run).find(({ event }) => event === "verify")).toMatchObject({ equal: true, sourceCount: 50 });
  });

  it("runs the chosen ones, and shows what they would do", async () => {
    const run = await project.run(["run", "--only", "mapped", "--only", "2", "--dry-run"]);
    expect(run.code).toBe(0);
    expect(run.stdout).toMatch(/5 records of 5 read as a sample[\s\S]*100 records of 100 read as a sample/);
    const mistyped = await project.run(["run", "--only", "maped"]);
    expect(mistyped.code).toBe(2);
    expect(mistyped.stderr).toContain('p2p.config.ts has no transfer named "maped" (did you mean mapped?)');
  });

  it("names endpoints for every other command", async () => {
    expect(await project.run(["count", "docs"])).toMatchObject({ code: 0, stdout: "100\n" });
    const copied = await project.run(["copy", "docs", "out", "--mode", "skip"]);
    expect(copied.stdout).toMatch(/^50 records written in .*, 50 skipped/);
    const unknown = await project.run(["count", "dogs"]);
    expect(unknown.code).toBe(2);
    expect(unknown.stderr).toContain('p2p.config.ts has no endpoint named "dogs"; it has docs, out');
  });

  it("takes YAML and JSON, from another folder too", async () => {
    project.write(
      "nested/jobs.yaml",
      `endpoints:
  docs: lines:\${FOLDER}/a.ndjson
transfers:
  - source: docs
    target: lines:yaml.ndjson
    transform: ./keep.ts
    query: { where: { n: { gte: 98 } } }
`,
    );
    const yaml = await project.run(["run", "nested/jobs.yaml"], { FOLDER: project.folder });
    expect(yaml).toMatchObject({ code: 0 });
    expect(yaml.stdout).toMatch(/^2 records written/);
    project.write(
      "jobs.json",
      JSON.stringify({ transfers: [{ source: "lines:a.ndjson", target: "lines:json.ndjson" }] }),
    );
    expect(await project.run(["run", "jobs.json"])).toMatchObject({ code: 0 });
    expect(
      await project.run(["count", "docs", "--config", "nested/jobs.yaml"], { FOLDER: project.folder }),
    ).toMatchObject({
      stdout: "100\n",
    });
  });

  it("says how to replay what failed, from wherever the file and the transform are", async () => {
    const map = "export default (record) => { if (record.n === 7) throw new Error('seven'); return record; };";
    project.write("nested/seven.ts", map);
    project.write(
      "nested/seven.json",
      JSON.stringify({
        endpoints: { sevens: "lines:sevens.ndjson" },
        transfers: [{ source: "lines:a.ndjson", target: "sevens", transform: "./seven.ts" }],
      }),
    );
    const run = await project.run(["run", "nested/seven.json"]);
    expect(run).toMatchObject({ code: 3 });
    const nexts = [...run.stderr.matchAll(/Next: omni-p2p (replay .*)/g)].map(([, command]) => command!);
    expect(nexts).toHaveLength(1);

    project.write("nested/seven.ts", "export default (record) => record;");
    const mended = await project.run(nexts[0]!.split(" "));
    expect(mended).toMatchObject({ code: 0, stdout: expect.stringMatching(/^1 record written/) });
    expect(await project.run(["count", "lines:sevens.ndjson"])).toMatchObject({ stdout: "100\n" });
  });

  it("stops at the first that fails, or goes on with --keep-going", async () => {
    project.write(
      "failing.json",
      JSON.stringify({
        transfers: [
          { name: "partly", source: "lines:a.ndjson", target: "lines:f1.ndjson?refuse=r00001" },
          { name: "gone", source: "lines:gone.ndjson", target: "lines:f2.ndjson" },
          { name: "last", source: "lines:a.ndjson", target: "lines:f3.ndjson" },
        ],
      }),
    );
    const stopped = await project.run(["run", "failing.json"]);
    expect(stopped.code).toBe(1);
    expect(stopped.stderr).not.toContain("last:");
    const all = await project.run(["run", "failing.json", "--keep-going"]);
    expect(all.code).toBe(1);
    expect(all.stderr).toContain("last:");
    expect(await project.run(["run", "failing.json", "--only", "partly"])).toMatchObject({ code: 3 });
  });

  it("resumes: what was completed is not done again", async () => {
    const run = await project.run(["run", "jobs.json", "--resume"]);
    expect(run.code).toBe(0);
    expect(run.stderr).toContain("was completed before");
  });
});

describe("a config file with a mistake", () => {
  it.each<[string, string, RegExp]>([
    ["top.yaml", "endpoint: {}", /unknown key endpoint \(did you mean endpoints\?\)/],
    [
      "key.yaml",
      "transfers:\n  - source: lines:a\n    target: lines:b\n    querry: {}",
      /unknown key transfers\[0\]\.querry \(did you mean query\?\)/,
    ],
    [
      "deep.yaml",
      "transfers:\n  - source: lines:a\n    target: lines:b\n    query: { limt: 3 }",
      /unknown key transfers\[0\]\.query\.limt \(did you mean limit\?\)/,
    ],
    [
      "setting.yaml",
      "transfers:\n  - source: lines:a\n    target: lines:b\n    config: { batch_sise: 3 }",
      /unknown key transfers\[0\]\.config\.batch_sise \(did you mean "batch_size"\?\)/,
    ],
    ["bounds.yaml", "defaults: { batchSize: 0 }", /defaults\.batchSize must be "auto" or a whole number from 1/],
    ["missing.json", '{"transfers":[{"source":"lines:a"}]}', /transfers\[0\]\.target is missing/],
    [
      "type.json",
      '{"transfers":[{"source":"lines:a","target":"lines:b","verify":"yes"}]}',
      /transfers\[0\]\.verify is not right/,
    ],
    ["list.json", "[]", /the file is not right/],
    [
      "twice.json",
      '{"transfers":[{"name":"a","source":"lines:a","target":"lines:b"},{"name":"a","source":"lines:a","target":"lines:b"}]}',
      /two transfers named "a"/,
    ],
    ["none.json", "{}", /has no transfers/],
    ["broken.json", "{", /is not valid JSON/],
    ["broken.yaml", "a: [", /is not valid YAML.*line 1/],
    ["default.ts", "export const nothing = 1;", /has no default export/],
    ["throws.ts", 'throw new Error("no such luck");', /could not be loaded: no such luck/],
    ["config.toml", "", /must end in \.ts/],
    [
      "where.json",
      '{"transfers":[{"name":"w","source":"lines:a","target":"lines:b","query":{"where":["n"]}}]}',
      /In the transfer "w": where "n" is not a condition/,
    ],
    [
      "unknown.json",
      '{"endpoints":{"a":"lines:a"},"transfers":[{"source":"b","target":"lines:b"}]}',
      /has no endpoint named "b"; it has a/,
    ],
    [
      "object.json",
      '{"transfers":[{"source":{"storageType":"lines","db":"a"},"target":"lines:b"}]}',
      /unknown key "db"/,
    ],
  ])("%s", async (file, content, message) => {
    project.write(`bad/${file}`, content);
    const run = await project.run(["run", `bad/${file}`]);
    expect(run.stderr).toMatch(message);
    expect(run).toMatchObject({ code: 2, stdout: "" });
    expect(run.stderr).not.toMatch(/^ {4}at /m);
  });

  it("that is not there", async () => {
    expect(await project.run(["run", "nowhere.yaml"])).toMatchObject({ code: 2 });
    using empty = new Project([]);
    const run = await empty.run(["run"]);
    expect(run.code).toBe(2);
    expect(run.stderr).toContain("There is no p2p.config file here");
  });
});
