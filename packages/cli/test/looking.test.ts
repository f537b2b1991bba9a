import { existsSync } from "node:fs";
import { CONTRACT_VERSION } from "@omni/p2p-core/starter";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { events, Project, sampleRecords } from "./project.ts";

let project: Project;
beforeAll(async () => {
  project = new Project();
  project.fill("a.ndjson", sampleRecords(50));
  project.fill("odd.ndjson", [
    { id: 1, name: "one\u001b[31m", big: 5n, at: new Date("2024-01-31T00:00:00Z"), bytes: new Uint8Array(3) },
    { id: 2, name: null },
    { id: 3, name: 4, list: [1, 2] },
  ]);
  expect(await project.run(["copy", "lines:a.ndjson", "sqlite:a.db?table=docs"])).toMatchObject({ code: 0 });
});
afterAll(() => project[Symbol.dispose]());

describe("inspect", () => {
  it("shows fields, types and samples", async () => {
    const run = await project.run(["inspect", "lines:odd.ndjson", "--show", "2"]);
    expect(run.code).toBe(0);
    expect(run.stdout).toContain("lines:odd.ndjson (3 records)");
    expect(run.stdout).toMatch(/name +string, null, number +67% +one\\x1b\[31m/);
    expect(run.stdout).toMatch(/big +bigint +33% +5/);
    expect(run.stdout).toMatch(/at +date +33% +2024-01-31T00:00:00\.000Z/);
    expect(run.stdout).toMatch(/bytes +bytes +33% +3 bytes/);
    expect(run.stdout).toContain('{"id":2,"name":null}');
    expect(run.stdout).not.toContain('{"id":3');
    expect(run.stdout).not.toContain("\u001b");
  });

  it("tells the same in JSON", async () => {
    const run = await project.run(["inspect", "lines:odd.ndjson", "--json", "--where", "id=1"]);
    expect(run.code).toBe(0);
    expect(events(run)).toMatchObject([
      {
        event: "collection",
        endpoint: "lines:odd.ndjson",
        fields: [{ field: "id", types: ["number"], filled: 1, example: "1" }, {}, { field: "big" }, {}, {}],
        samples: [{ id: 1, big: { $p2p: "bigint", value: "5" } }],
      },
    ]);
  });

  it("finds the table of an SQLite file", async () => {
    const run = await project.run(["inspect", "sqlite:a.db"]);
    expect(run.code).toBe(0);
    expect(run.stdout).toMatch(/title .*string/);
  });

  it("lists what a database holds, without the system's own", async () => {
    project.sql(
      "listed.db",
      `CREATE TABLE artist (id INTEGER PRIMARY KEY, name TEXT);
       CREATE TABLE album (id INTEGER PRIMARY KEY AUTOINCREMENT, artist INTEGER REFERENCES Artist, title TEXT);
       CREATE VIEW titles AS SELECT title FROM album; INSERT INTO artist VALUES (1, 'a'), (2, 'b');`,
    );
    const run = await project.run(["inspect", "sqlite:listed.db", "--list", "--json"]);
    expect(run.code).toBe(0);
    expect(events(run)).toEqual([
      {
        event: "listed",
        endpoint: "sqlite:listed.db?table=album",
        name: "album",
        kind: "table",
        records: 0,
        key: ["id"],
        foreignKeys: [{ fields: ["artist"], references: "Artist" }],
      },
      {
        event: "listed",
        endpoint: "sqlite:listed.db?table=artist",
        name: "artist",
        kind: "table",
        records: 2,
        key: ["id"],
      },
      { event: "listed", endpoint: "sqlite:listed.db?table=titles", name: "titles", kind: "view" },
    ]);
    const shown = await project.run(["inspect", "sqlite:listed.db", "--list"]);
    expect(shown.stdout).toMatch(/artist +table +2 +sqlite:listed\.db\?table=artist/);
    const named = await project.run(["inspect", "sqlite:listed.db?table=album", "--list"]);
    expect(named).toMatchObject({ code: 2 });
    expect(named.stderr).toContain("leave that option out");
    expect((await project.run(["inspect", "lines:odd.ndjson", "--list"])).stderr).toContain("has no catalogue");
  });

  it("shows every table where none is named, with what it declares", async () => {
    expect(await project.run(["copy", "lines:odd.ndjson", "sqlite:two.db?table=odd"])).toMatchObject({ code: 0 });
    expect(await project.run(["copy", "lines:a.ndjson", "sqlite:two.db?table=more%20docs"])).toMatchObject({ code: 0 });
    const all = events(await project.run(["inspect", "sqlite:two.db", "--json"]));
    expect(all).toMatchObject([
      { event: "collection", name: "more docs", endpoint: "sqlite:two.db?table=more%20docs", records: 50 },
      { event: "collection", name: "odd", endpoint: "sqlite:two.db?table=odd", records: 3 },
    ]);
    expect(all.every(({ product }) => /^SQLite \d/.test(String(product)))).toBe(true);
    const one = await project.run(["inspect", "sqlite:two.db?table=more%20docs"]);
    expect(one.stdout).toMatch(
      /^sqlite:two\.db\?table=more%20docs: SQLite [\d.]+; it has more docs \(50\), odd \(3\)\n/,
    );
    expect(one.stdout).toMatch(/id \* +\w+ +string +100% +r00000/);
    const ping = await project.run(["ping", "sqlite:two.db"]);
    expect(ping).toMatchObject({ code: 0 });
    expect(ping.stdout).toMatch(/is up: .*\(.*several tables/);
  });

  it("tells of a view that cannot be read, shows the rest, and ends with 3", async () => {
    project.sql(
      "broken.db",
      "CREATE TABLE good (id INTEGER PRIMARY KEY, a TEXT, none TEXT); INSERT INTO good VALUES (1, 'x', NULL); CREATE TABLE other (id INTEGER PRIMARY KEY); CREATE VIEW broken AS SELECT nowhere FROM gone;",
    );
    const run = await project.run(["inspect", "sqlite:broken.db", "--json"]);
    expect(run.code).toBe(3);
    const found = events(run);
    expect(found.map(({ name }) => name)).toEqual(expect.arrayContaining(["good", "other", "broken"]));
    expect(found.find(({ name }) => name === "broken")).toMatchObject({ trouble: expect.stringMatching(/gone|read/) });
    const good = found.find(({ name }) => name === "good")!;
    expect(good).toMatchObject({ records: 1 });
    expect(good.fields).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ field: "a", filled: 1 }),
        expect.objectContaining({ field: "none", filled: 0 }),
      ]),
    );
    expect(await project.run(["inspect", "sqlite:broken.db?table=good"])).toMatchObject({ code: 0 });
  });

  it("looks into a store that a config file fills", async () => {
    project.write(
      "memory.config.mjs",
      `import { memoryStore } from "@omni/p2p-starter-memory";
memoryStore("scratch").put({ id: 1, name: "one" });
export default { endpoints: { scratch: "memory:scratch" }, transfers: [{ source: "scratch", target: "lines:memory.ndjson", verify: true }] };`,
    );
    const run = await project.run(["inspect", "scratch", "--config", "memory.config.mjs"]);
    expect(run.code).toBe(0);
    expect(run.stdout).toContain("scratch (1 record)");
    const moved = await project.run(["run", "memory.config.mjs"]);
    expect(moved.stdout).toMatch(/1 record written in .*\nVerified: both sides hold the same 1 record /);
  });

  it("names the tables that there are when one is not", async () => {
    const run = await project.run(["inspect", "sqlite:a.db?table=dogs"]);
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(/no table "dogs".*docs/);
  });
});

describe("count", () => {
  it("counts by the store, or by reading", async () => {
    expect(await project.run(["count", "sqlite:a.db?table=docs", "--where", "type=note"])).toMatchObject({
      code: 0,
      stdout: "25\n",
    });
    const read = await project.run(["count", "lines:a.ndjson?countable=false", "--where", "n>=45", "--json"]);
    expect(events(read)).toEqual([
      { event: "count", endpoint: "lines:a.ndjson?countable=false", count: 5, by: "read" },
    ]);
  });
});

describe("a field's name that was mistyped", () => {
  const source = "sqlite:a.db?table=docs";
  const mistyped = /field "tpye", which where of the query names \(did you mean "type"\?\)\n$/;
  const notes = [expect.stringMatching(/"tpye".*did you mean "type"/)];

  it("is told by copy, run, verify, count, inspect and a dry run, with the nearest name", async () => {
    project.write(
      "typo.config.json",
      JSON.stringify({
        transfers: [{ source, target: "sqlite:run.db?table=docs", query: { where: { tpye: "note" } } }],
      }),
    );
    const commands = [
      ["copy", source, "sqlite:typo.db?table=docs"],
      ["copy", source, "sqlite:typo.db?table=docs", "--partitions", "3"],
      ["copy", source, "sqlite:typo.db?table=docs", "--dry-run"],
      ["verify", source, source],
      ["count", source],
      ["inspect", source],
    ].map((words) => [...words, "--where", "tpye=note"]);
    for (const words of [...commands, ["run", "typo.config.json"], ["run", "typo.config.json", "--dry-run"]]) {
      const run = await project.run(words);
      expect(run, words.join(" ")).toMatchObject({ code: 0, stderr: expect.stringMatching(mistyped) });
      expect(run.stderr.match(/did you mean/g), words.join(" ")).toHaveLength(1);
      const json = events(await project.run([...words, "--json"]));
      expect(json.at(-1), words.join(" ")).toMatchObject({ notes });
    }
  });

  it("is told once where a copy is verified", async () => {
    const run = await project.run(["copy", source, "sqlite:typo2.db?table=docs", "--verify", "--where", "tpye=note"]);
    expect(run.code).toBe(0);
    expect(run.stderr.match(/did you mean/g)).toHaveLength(1);
  });

  it("is told of an order and of fields as well", async () => {
    const target = "sqlite:typo3.db?table=docs";
    const words = ["copy", source, target, "--order-by", "nope", "--fields", "id,titel"];
    expect(await project.run(words)).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/"nope", which orderBy[\s\S]*"titel", which fields.*did you mean "title"/),
    });
  });

  it("is told by a replay", async () => {
    project.write("refuse.mjs", "export default () => { throw new Error('no'); }");
    const failed = ["copy", source, "lines:none.ndjson", "--transform", "refuse.mjs", "--dead-letter", "typo.letters"];
    expect(await project.run(failed)).toMatchObject({ code: 3 });
    const replay = ["replay", "typo.letters", "lines:replayed.ndjson", "--phase", "transform", "--where", "tpye=note"];
    expect(await project.run(replay)).toMatchObject({ code: 0, stderr: expect.stringMatching(mistyped) });
  });

  it("is no news where a column is there, be it empty in every row", async () => {
    project.sql("empty.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, none TEXT); INSERT INTO t VALUES (1, NULL)");
    for (const words of [
      ["count", "sqlite:empty.db?table=t", "--where", "none=x"],
      ["inspect", "sqlite:empty.db?table=t", "--where", "none!=*"],
      ["copy", "sqlite:empty.db?table=t", "lines:empty.ndjson", "--order-by", "none", "--fields", "none"],
    ]) {
      const run = await project.run(words);
      expect(run, words.join(" ")).toMatchObject({ code: 0 });
      expect(run.stderr, words.join(" ")).not.toContain("field");
    }
  });

  it("is told of a table without rows by what it declares", async () => {
    project.sql("rowless.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, type TEXT)");
    expect(await project.run(["count", "sqlite:rowless.db?table=t", "--where", "tpye=x"])).toMatchObject({
      code: 0,
      stdout: "0\n",
      stderr: 'The source declares no field "tpye", which where of the query names (did you mean "type"?)\n',
    });
    expect(await project.run(["count", "sqlite:rowless.db?table=t", "--where", "type=x"])).toMatchObject({
      stderr: "",
    });
  });
});

describe("ping", () => {
  it("tells how fast a store answers", async () => {
    const run = await project.run(["ping", "sqlite:a.db?table=docs"]);
    expect(run.code).toBe(0);
    expect(run.stdout).toMatch(/^sqlite:a\.db\?table=docs is up: opened in [\d.]+ m?s, answered in [\d.]+ m?s\n$/);
    const json = await project.run(["ping", "sqlite:a.db?table=docs", "--json"]);
    expect(events(json)).toEqual([
      { event: "ping", endpoint: "sqlite:a.db?table=docs", openMs: expect.any(Number), pingMs: expect.any(Number) },
    ]);
  });
});

describe("starters", () => {
  it("lists what is installed", async () => {
    const run = await project.run(["starters"]);
    expect(run.code).toBe(0);
    expect(run.stdout).toMatch(
      /lines: p2p-starter-lines 9\.8\.7\n {2}contract 1; can read, write\n {2}lacks look-ups, deletes, a feed of changes\n {2}options: delay, refuse/,
    );
    const json = events(await project.run(["starters", "--json"]));
    expect(json.map(({ storageType }) => storageType)).toEqual(expect.arrayContaining(["lines", "memory", "sqlite"]));
    for (const starter of json) {
      const contractVersion = starter.storageType === "lines" ? 1 : CONTRACT_VERSION;
      expect(starter).toMatchObject({ event: "starter", version: expect.any(String), contractVersion });
    }
  });
});

describe("verify", () => {
  it("finds what is missing, extra and different, and ends with 4", async () => {
    const records = sampleRecords(50);
    project.fill("b.ndjson", [...records.slice(1, 49), { ...records[49]!, title: "other" }, { id: "extra" }]);
    const run = await project.run(["verify", "lines:a.ndjson", "lines:b.ndjson"]);
    expect(run.code).toBe(4);
    expect(run.stdout).toContain("Not the same: 1 missing in the target, 1 extra, 1 different");
    expect(run.stdout).toContain("missing    r00000\n");
    expect(run.stdout).toMatch(/different {2}r00049 {2}title: "Title 49.*" → "other"\n/);
    const few = events(
      await project.run(["verify", "lines:a.ndjson", "lines:b.ndjson", "--max-differences", "1", "--json"]),
    );
    expect(few.at(-1)).toMatchObject({ event: "verify", equal: false, missing: 1, extra: 1, different: 1 });
    expect(few.at(-1)!.differences).toHaveLength(1);
  });

  it("makes nothing of a target that is not there", async () => {
    const run = await project.run(["verify", "sqlite:a.db?table=docs", "sqlite:none.db?table=docs"]);
    expect(run.code).toBe(1);
    expect(existsSync(project.path("none.db"))).toBe(false);
  });

  it("compares a selection whose condition is on a field that was not copied", async () => {
    const selection = ["--where", "type=note", "--fields", "title"];
    const run = await project.run(["copy", "lines:a.ndjson", "lines:titles.ndjson", ...selection, "--verify"]);
    expect(run.code).toBe(0);
    expect(run.stdout).toContain("Verified: both sides hold the same 25 records");
  });
});
