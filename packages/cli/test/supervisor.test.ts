import { type ChildProcess, spawnSync } from "node:child_process";
import { existsSync, openSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BIN, events, Project, sampleRecords } from "./project.ts";

const onLinux = process.platform === "linux";

const ENDLESS = `CREATE TABLE docs (id INTEGER PRIMARY KEY, title TEXT);
  INSERT INTO docs VALUES (1, 'one');
  CREATE VIEW endless AS WITH RECURSIVE r(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM r) SELECT id FROM r WHERE id < 0;`;

/** The processes that a process has started. */
function childrenOf({ pid }: ChildProcess): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
}

function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
}

describe("work that blocks for ever", () => {
  let project: Project;
  beforeAll(() => {
    project = new Project();
    project.sql("endless.db", ENDLESS);
    project.write("loop.mjs", "export default () => { for (;;); };");
  });
  afterAll(() => project[Symbol.dispose]());

  const looped = ["copy", "sqlite:endless.db?table=docs", "memory:x", "--transform", "./loop.mjs"];

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("is ended by %s where a view of a SQLite file never ends", async (signal, code) => {
    const command = project.start(["count", "sqlite:endless.db?table=endless&key=id"]);
    await sleep(1500);
    command.child.kill(signal);
    const signalled = performance.now();
    expect(await command.ended).toMatchObject({ code, stdout: "" });
    expect(performance.now() - signalled).toBeLessThan(3000);
  });

  it("is ended by one Ctrl-C after a while", async () => {
    const command = project.start([...looped, "--transfer-id", "once"]);
    await command.seen(/^copy: /);
    await sleep(300);
    command.child.kill("SIGINT");
    const run = await command.ended;
    expect(run.code).toBe(130);
    expect(run.stderr).toContain("It did not stop by itself within 5 s, and was ended");
  });

  it("says how to go on when a second Ctrl-C ends a copy", async () => {
    const command = project.start(looped);
    await command.seen(/^copy: /);
    await sleep(300);
    command.child.kill("SIGINT");
    await command.seen(/does not answer yet/);
    command.child.kill("SIGINT");
    const run = await command.ended;
    expect(run.code).toBe(130);
    expect(run.stderr).toContain(`Go on with: omni-p2p ${looped.join(" ").replace(/sqlite:\S+/, "'$&'")} --resume\n`);
  });

  it("is ended by --transfer-timeout, and says how to go on", async () => {
    const run = await project.run([...looped, "--transfer-timeout", "1s", "--transfer-id", "limited", "--json"]);
    expect(run.code).toBe(1);
    const last = events(run).at(-1);
    expect(last).toMatchObject({ event: "error", code: "TIMEOUT" });
    expect(last!.next).toMatch(/^omni-p2p copy .* --resume$/);
  });

  it.runIf(onLinux)("tells of a process that was killed, and how to go on", async () => {
    const command = project.start([...looped, "--transfer-id", "killed"]);
    await command.seen(/^copy: /);
    for (const pid of childrenOf(command.child)) process.kill(pid, "SIGKILL");
    const run = await command.ended;
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(
      /The process that did the work was ended by SIGKILL.*\nGo on with: omni-p2p copy .* --resume\n/,
    );
  });
});

describe("the supervisor", () => {
  let project: Project;
  beforeAll(() => {
    project = new Project();
    project.fill("a.ndjson", sampleRecords(2000));
  });
  afterAll(() => project[Symbol.dispose]());

  const slow = ["copy", "lines:a.ndjson", "lines:b.ndjson?delay=40", "--batch-size", "50", "--concurrency", "1"];

  it.runIf(onLinux)("takes the work with it when it is killed", async () => {
    const command = project.start(slow);
    await command.seen(/^copy: /);
    const workers = childrenOf(command.child);
    expect(workers).toHaveLength(1);
    command.child.kill("SIGKILL");
    await expect.poll(() => workers.filter(isAlive), { timeout: 5000 }).toEqual([]);
    expect((await project.run([...slow, "--resume"])).code).toBe(0);
  });

  it.runIf(onLinux)("hears a signal that was sent to the work alone", async () => {
    const command = project.start([...slow, "--transfer-id", "alone"]);
    await command.seen(/^copy: /);
    for (const pid of childrenOf(command.child)) process.kill(pid, "SIGTERM");
    expect(await command.ended).toMatchObject({ code: 143 });
  });

  if (!onLinux) it.skip("counts processes: not run, for want of /proc");
});

describe("output that cannot be written", () => {
  let project: Project;
  beforeAll(() => {
    project = new Project();
    project.fill("a.ndjson", sampleRecords(2000));
  });
  afterAll(() => project[Symbol.dispose]());

  const full = () => openSync("/dev/full", "w");

  it.runIf(onLinux)("lets a copy happen when stdout is full, and tells by 74", async () => {
    for (const json of [[], ["--json"]]) {
      const run = await project.start(
        ["copy", "lines:a.ndjson", `lines:b${json.length}.ndjson`, ...json],
        {},
        {
          stdio: ["ignore", full(), "pipe"],
        },
      ).ended;
      expect(run.code).toBe(74);
      expect(run.stderr).toContain("stdout could not be written: ENOSPC");
      expect((await project.run(["count", `lines:b${json.length}.ndjson`])).stdout).toBe("2000\n");
    }
  });

  it.runIf(onLinux)("lets a copy happen when stderr is full", async () => {
    const run = await project.start(
      ["copy", "lines:a.ndjson", "lines:c.ndjson"],
      {},
      {
        stdio: ["ignore", "pipe", full()],
      },
    ).ended;
    expect(run.code).toBe(0);
    expect(run.stdout).toContain("2,000 records written");
  });

  it.runIf(onLinux)("keeps the code of an error when both are full", async () => {
    const stdio = ["ignore", full(), full()] as const;
    const failed = project.start(["copy", "lines:none.ndjson", "lines:d.ndjson"], {}, { stdio: [...stdio] });
    expect((await failed.ended).code).toBe(1);
    expect((await project.start(["copy", "--nope"], {}, { stdio: [...stdio] }).ended).code).toBe(2);
    expect((await project.start(["count", "lines:a.ndjson"], {}, { stdio: [...stdio] }).ended).code).toBe(74);
  });

  it.runIf(onLinux)("takes a reader of stderr that goes away for no reason to stop", async () => {
    const command = project.start(["copy", "lines:a.ndjson", "lines:e.ndjson?delay=10", "--progress-interval", "0"]);
    await command.seen(/^copy: /);
    command.child.stderr!.destroy();
    expect(await command.ended).toMatchObject({ code: 0 });
  });

  if (!onLinux) it.skip("writes to /dev/full: not run, for want of it");
});

describe("an older Node", () => {
  it("is told in one sentence which one is needed, by a file that it can parse", () => {
    const text = readFileSync(BIN, "utf8");
    expect(text).not.toMatch(/^\s*(import\s+[^(]|export\s)|\?\.|\?\?|await|#[a-z]\w*\s*=/m);
    for (const [version, refused] of [
      ["8.17.0", true],
      ["20.19.5", true],
      ["22.17.1", true],
      ["23.5.0", true],
      ["22.18.0", false],
      ["24.0.0", false],
    ] as const) {
      const older = `data:text/javascript,Object.defineProperty(process,"versions",{value:{...process.versions,node:"${version}"}})`;
      const run = spawnSync(process.execPath, ["--import", older, BIN, "--version"], { encoding: "utf8" });
      expect(run.status, version).toBe(refused ? 2 : 0);
      if (refused) expect(run.stderr).toMatch(new RegExp(`^omni-p2p: this needs Node 22.* run by Node ${version}\n`));
    }
  });
});

describe("memory", () => {
  it.runIf(onLinux)("stays below 300 MB, all processes together, for a table of 23 columns", async () => {
    using project = new Project();
    const columns = Array.from({ length: 18 }, (_, n) => `c${n}`);
    project.sql(
      "wide.db",
      `CREATE TABLE wide (id TEXT PRIMARY KEY, body TEXT, meta JSON, bytes BLOB, at TEXT, ${columns.join(", ")});
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 65000)
       INSERT INTO wide SELECT 'r' || i, hex(randomblob(500)), json_object('a', i, 'b', json_array(1, 2, hex(randomblob(40)))),
         CASE WHEN i % 3 THEN randomblob(256) END, strftime('%Y-%m-%dT%H:%M:%SZ', i * 1000, 'unixepoch'),
         ${columns.map((_, n) => (n % 4 === 0 ? "NULL" : n % 4 === 1 ? "i" : n % 4 === 2 ? "i / 3.0" : "hex(randomblob(40))")).join(", ")} FROM n;`,
    );
    const command = project.start(["copy", "sqlite:wide.db?table=wide", "sqlite:copy.db?table=wide"]);
    let peak = 0;
    const measure = setInterval(() => {
      try {
        const pids = [command.child.pid!, ...childrenOf(command.child)];
        // Pages that the processes share, such as those of the program itself, are there once.
        const shares = pids.map(
          (pid) => /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))![1],
        );
        peak = Math.max(peak, shares.reduce((all, share) => all + Number(share) * 1024, 0) / 1e6);
      } catch {
        // One of them has just ended.
      }
    }, 20);
    const run = await command.ended;
    clearInterval(measure);
    expect(run.code).toBe(0);
    expect(peak).toBeGreaterThan(60);
    expect(peak).toBeLessThan(300);
  });
  if (!onLinux) it.skip("is measured: not run, for want of /proc");
});
