import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { events, Project, sampleRecords } from "./project.ts";

/** A variable as it is written in an endpoint. */
const variable = (name: string) => `\${${name}}`;

let project: Project;
beforeAll(() => {
  project = new Project(["memory", "lines"]);
  project.fill("a.ndjson", sampleRecords(1500));
  project.write("empty.ts", "export {};");
  project.write("other.ts", "export const first = 1, second = 2;");
  project.write("number.ts", "export default 42;");
  project.write("throws.ts", 'throw new Error("at loading");');
  project.write("enum.ts", "enum A { B }\nexport default (record) => record;");
  project.write("syntax.ts", "export default (record => ;");
  project.write("imports.ts", 'import "nowhere-to-be-found";\nexport default (record) => record;');
});
afterAll(() => project[Symbol.dispose]());

const A = ["copy", "lines:a.ndjson", "lines:out.ndjson"];

describe("what is mistyped", () => {
  it.each<[string[], RegExp, RegExp?]>([
    [["cpoy"], /unknown command 'cpoy' \(did you mean copy\?\)/, /Next: omni-p2p --help/],
    [["nonsense"], /unknown command 'nonsense'/, /Next: omni-p2p --help/],
    [[...A, "--limt", "3"], /unknown option '--limt' \(did you mean --limit\?\)/, /Next: omni-p2p copy --help/],
    [["copy", "lines:a.ndjson"], /missing required argument 'target'/],
    [["copy", "a:b", "c:d", "e:f"], /too many arguments/],
    [[...A, "--limit", "many"], /--limit <n>.*whole number from 0 up/],
    [[...A, "--limit", "-1"], /--limit/],
    [[...A, "--batch-size", "0"], /--batch-size <n>.*whole number from 1 up/],
    [[...A, "--batch-size", "1.5"], /--batch-size/],
    [[...A, "--batch-size", "Auto"], /--batch-size <n>.*whole number from 1 up/],
    [
      [...A, "--batch-size", "1000000000"],
      /--batch-size must be "auto" or a whole number from 1 to 100000, not 1000000000/,
    ],
    [[...A, "--concurrency", "65"], /--concurrency must be a whole number from 1 to 64/],
    [[...A, "--max-failures", "some"], /--max-failures must be "none", "all"/],
    [[...A, "--mode", "replace"], /--mode.*Allowed choices are upsert, insert, skip/],
    [[...A, "--transfer-timeout", "soon"], /--transfer-timeout.*"30s"/],
    [[...A, "--fields", "a,,b"], /--fields.*empty name/],
    [[...A, "--where", "age"], /--where "age" is not a condition; write field=value/],
    [[...A, "--where", "n>null"], /Invalid query: where\.n\.gt cannot compare with null/],
    [[...A, "--native", "{"], /--native must be a JSON object/],
    [["copy", "lines:a.ndjson?dealy=3", "lines:b"], /unknown option "dealy" \(did you mean "delay"\?\)/],
    [["completion", "csh"], /Allowed choices are bash, zsh, fish, powershell/],
    [["replay", "gone.ndjson", "lines:b"], /There is no dead-letter file gone\.ndjson/, /Next: ls \.omni-p2p/],
    [["replay", ".", "lines:b"], /\. is a folder, and dead letters are a file/, /Next: ls \./],
  ])("%j", async (args, message, next) => {
    const run = await project.run(args);
    expect(run.stderr).toMatch(message);
    if (next) expect(run.stderr).toMatch(next);
    expect(run).toMatchObject({ code: 2, stdout: "" });
    expect(run.stderr).not.toMatch(/^ {4}at /m);
  });

  it("is told in JSON as well", async () => {
    const run = await project.run([...A, "--limt", "3", "--json"]);
    expect(run.code).toBe(2);
    expect(events(run)).toEqual([
      {
        event: "error",
        code: "USAGE",
        message: "unknown option '--limt' (did you mean --limit?)",
        next: "omni-p2p copy --help",
      },
    ]);
  });

  it("shows the help when nothing is asked for", async () => {
    const run = await project.run([]);
    expect(run).toMatchObject({ code: 2, stdout: "" });
    expect(run.stderr).toContain("Usage: omni-p2p");
  });
});

describe("endpoints that are not there", () => {
  it.each<[string[], number, RegExp, RegExp?]>([
    [
      ["count", "mongodb://localhost/x"],
      2,
      /Service not found for storage type 'mongodb'.*npm install @omni\/p2p-starter-mongodb/,
    ],
    [["count", "postgres://localhost/x"], 2, /storage type 'postgresql'.*npm install @omni\/p2p-starter-postgresql/],
    [["count", "postgre://localhost/x"], 2, /storage type 'postgre'.*did you mean "postgresql"/],
    [["count", "pg://localhost/x"], 2, /Next: write postgresql:\/\/host:5432\/database\?table=name/],
    [["count", "elasticsearch://localhost/x"], 2, /npm install @omni\/p2p-starter-elasticsearch/],
    [["count", "mongobd://localhost/x"], 2, /Service not found for storage type 'mongobd'.*did you mean "mongodb"/],
    [["count", "mysql://localhost/x"], 2, /Service not found for storage type 'mysql'.*project's starters are/],
    [
      ["count", "https://localhost:9200/x"],
      2,
      /Service not found/,
      /Next: write elasticsearch\+https:\/\/host:9200\/index/,
    ],
    [["count", "knowledge"], 2, /"knowledge" is not a URL, and there is no p2p\.config file/, /Next: write a URL/],
    [
      ["count", "./data.db"],
      2,
      /is a path, not an endpoint/,
      /Next: write sqlite:\.\/data\.db\?table=… for an SQLite file/,
    ],
    [["count", "lines:gone.ndjson"], 1, /There is no file gone\.ndjson/],
    [
      ["copy", "lines:gone.ndjson", "lines:x"],
      1,
      /There is no file gone\.ndjson/,
      /Next: omni-p2p inspect lines:gone\.ndjson/,
    ],
    [
      ["ping", "lines:a.ndjson?hang=true", "--connection-timeout", "300ms"],
      1,
      /did not answer within 300 ms/,
      /longer --connection-timeout/,
    ],
    [
      ["copy", "lines:a.ndjson?hang=true", "lines:x", "--connection-timeout", "300ms"],
      1,
      /--connection-timeout of 300 ms/,
    ],
    [
      ["count", `lines:${variable("NOT_SET_ANYWHERE")}`],
      2,
      /needs the environment variable NOT_SET_ANYWHERE/,
      /Next: export NOT_SET_ANYWHERE=…/,
    ],
  ])("%j", async (args, code, message, next) => {
    const run = await project.run(args);
    expect(run.stderr).toMatch(message);
    if (next) expect(run.stderr).toMatch(next);
    expect(run).toMatchObject({ code, stdout: "" });
  });

  it("names what was installed but cannot be loaded", async () => {
    using broken = new Project(["lines"]);
    broken.write("package.json", '{"dependencies":{"broken":"*"}}');
    broken.write("node_modules/broken/package.json", '{"name":"broken","omniP2p":{"storageType":"broken"}}');
    broken.write("node_modules/broken/index.js", "throw new Error('half installed');");
    const run = await broken.run(["count", "broken:x"]);
    expect(run.code).toBe(2);
    expect(run.stderr).toContain("The installed starter broken could not be loaded: half installed");
  });
});

describe("a transform that is not one", () => {
  it.each<[string, RegExp, RegExp?]>([
    ["gone.ts", /The transform gone\.ts does not exist/],
    ["empty.ts", /exports no function: it exports nothing/, /Next: export default \(record\)/],
    ["other.ts", /exports no function: it exports first, second/],
    ["number.ts", /exports no function: its export is a number/],
    ["throws.ts", /could not be loaded: at loading/],
    ["enum.ts", /could not be loaded/, /Next: use only TypeScript that can be erased/],
    ["syntax.ts", /could not be loaded/, /Next: mend the syntax/],
    ["imports.ts", /could not be loaded.*nowhere-to-be-found/, /Next: see that what it imports is installed/],
    ["a.ndjson", /could not be loaded/, /Next: give a \.ts/],
  ])("%s", async (file, message, next) => {
    const run = await project.run([...A, "--transform", file]);
    expect(run.stderr).toMatch(message);
    if (next) expect(run.stderr).toMatch(next);
    expect(run).toMatchObject({ code: 2, stdout: "" });
  });

  it("stops when every record fails in it", async () => {
    project.write("always.ts", 'export default () => { throw new Error("never works"); };');
    const run = await project.run([...A, "--transform", "always.ts"]);
    expect(run.code).toBe(1);
    expect(run.stderr).toContain("never works");
    expect(run.stderr).toContain("more than --max-failures bears");
  });
});

describe("a working folder that cannot be written", () => {
  it("is told with an option that works, and nothing is copied before", async (context) => {
    const folder = project.path("read-only");
    mkdirSync(folder);
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "ro", "tmpfs", folder]);
    if (mounted.status !== 0) context.skip("not run: this machine does not let us mount a read-only tmpfs");
    try {
      const args = ["copy", "lines:a.ndjson", "lines:ro-target.ndjson?refuse=r000"];
      const run = await project.run([...args, "--state-dir", "read-only"]);
      expect(run.code).toBe(1);
      expect(run.stderr).toMatch(
        /could not be locked: EROFS.*Give another --state-dir folder, one that can be written/,
      );
      expect(run.stderr).toContain("Next: the same command with --state-dir <a folder that can be written>");
      expect(run.stderr).not.toContain("--resume");
      expect(existsSync(project.path("ro-target.ndjson"))).toBe(false);
      const next = await project.run([...args, "--state-dir", "elsewhere"]);
      expect(next.stderr).toContain("elsewhere/");
      expect(existsSync(project.path("ro-target.ndjson"))).toBe(true);
    } finally {
      spawnSync("umount", ["-l", folder]);
    }
  });
});

describe("dead letters that cannot be kept", () => {
  it.each(["a.ndjson/letters.ndjson", "."])("in %s", async (place) => {
    const run = await project.run(["copy", "lines:a.ndjson", "lines:x?refuse=r0", "--dead-letter", place]);
    expect(run.code).toBe(1);
    expect(run.stderr).toContain("Failed records could not be kept in");
    expect(run.stderr).toContain("Next: the same command with --dead-letter <a file that can be written>");
  });

  it("for want of space: says so, and goes on when there is room", async (context) => {
    const disk = project.path("disk");
    mkdirSync(disk);
    // A page of it is the lock's.
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=20k", "tmpfs", disk]);
    if (mounted.status !== 0) context.skip("not run: this machine does not let us mount a small tmpfs");
    try {
      const args = [
        "copy",
        "lines:a.ndjson",
        "lines:y.ndjson?refuse=r000",
        "--dead-letter",
        "disk/letters.ndjson",
        "--batch-size",
        "50",
      ];
      const run = await project.run(args);
      expect(run.code).toBe(1);
      expect(run.stderr).toMatch(/could not be kept in .*disk\/letters\.ndjson: ENOSPC.*Make room/);
      expect(run.stderr).toMatch(/Next: omni-p2p copy .* --resume/);
      spawnSync("mount", ["-o", "remount,size=8m", disk]);
      const resumed = await project.run([...args, "--resume"]);
      expect(resumed.code).toBe(3);
      expect(resumed.stdout).toMatch(/^1,400 records written in .*, 100 failed/);
      const letters = project.read("disk/letters.ndjson").trim().split("\n");
      expect(new Set(letters.map((line) => (JSON.parse(line) as { id: string }).id)).size).toBe(100);
    } finally {
      spawnSync("umount", [disk]);
    }
  });
});

describe("a dry run", () => {
  let project: Project;
  beforeAll(() => {
    project = new Project(["sqlite", "redis", "lines"]);
    project.sql(
      "there.db",
      "CREATE TABLE docs (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO docs VALUES (1, 'x'); CREATE VIEW seen AS SELECT * FROM docs;",
    );
  });
  afterAll(() => project[Symbol.dispose]());

  it.each([
    ["a view", "sqlite:there.db?table=seen", /"seen" is a view; name a table/],
    ["a table that may not be made", "sqlite:there.db?table=gone&create=never", /no table "gone" .*create is "never"/],
    ["a file that may not get a table", "sqlite:new.db?table=docs&create=never", /no table "docs" .*create is "never"/],
    ["a missing folder", "sqlite:gone/new.db?table=docs", /the folder .*gone does not exist; create it first/],
    ["a reserved name", "sqlite:there.db?table=sqlite_docs", /SQLite keeps names like "sqlite_docs" for itself/],
    ["a server that is not there", "redis://localhost:1", /ECONNREFUSED/],
  ])("refuses %s as the target", async (_, target, message) => {
    const run = await project.run(["copy", "sqlite:there.db?table=docs", target, "--dry-run"]);
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(message);
  });

  it("refuses a key that the table to be made would not have, as the copy does", async () => {
    for (const more of [["--dry-run"], []]) {
      const words = ["copy", "sqlite:there.db?table=docs", "sqlite:keyed.db?key=b&table=t", ...more];
      expect((await project.run(words)).stderr).toMatch(/option "key" names "b", which is no column/);
    }
  });

  it("makes nothing of a target that could be made, and changes none that is there", async () => {
    const before = readFileSync(project.path("there.db"));
    for (const target of ["sqlite:new.db?table=docs", "sqlite:there.db?table=more", "lines:new.ndjson"]) {
      expect(await project.run(["copy", "sqlite:there.db?table=docs", target, "--dry-run"])).toMatchObject({ code: 0 });
    }
    expect(existsSync(project.path("new.db"))).toBe(false);
    expect(existsSync(project.path("new.ndjson"))).toBe(false);
    expect(readFileSync(project.path("there.db"))).toEqual(before);
  });
});
