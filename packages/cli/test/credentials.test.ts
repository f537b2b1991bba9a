import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { followAgainCommand, resumeCommand } from "../src/transfer/resume-command.ts";
import { Project, type Run, sampleRecords } from "./project.ts";

const SECRET = "s3cr3t&/%?pässword";
const hasScript = spawnSync("script", ["--version"]).status === 0;

let project: Project;
const printed: string[] = [];
beforeAll(() => {
  project = new Project();
  project.fill("a.ndjson", sampleRecords(300));
});
afterAll(() => project[Symbol.dispose]());

async function run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Run> {
  const done = await project.run(args, env);
  printed.push(done.stdout, done.stderr);
  return done;
}

const wanting = `lines:a.ndjson?wantedPassword=${encodeURIComponent(SECRET)}`;

describe("credentials", () => {
  it("come from the environment, for each side its own", async () => {
    const env = { P2P_SOURCE_PASSWORD: SECRET, P2P_TARGET_PASSWORD: "other" };
    expect(await project.run(["count", wanting], env)).toMatchObject({ code: 0, stdout: "300\n" });
    const copied = await project.run(["copy", wanting, "lines:b.ndjson?wantedPassword=other"], env);
    expect(copied).toMatchObject({ code: 0 });
    // A starter without such an option is not given it.
    expect(await run(["copy", "lines:a.ndjson", "sqlite:c.db?table=t"], env)).toMatchObject({ code: 0 });
  });

  it("come from variables in an endpoint, whatever characters they have", async () => {
    const endpoint = (password: string) => `${wanting}&password=${password}`;
    expect(await project.run(["count", endpoint(`\${PW}`)], { PW: SECRET })).toMatchObject({
      code: 0,
    });
    project.write(
      "p2p.config.json",
      JSON.stringify({
        endpoints: {
          a: { storageType: "lines", database: "a.ndjson", metadata: { wantedPassword: `\${PW}`, password: `\${PW}` } },
        },
      }),
    );
    expect(await project.run(["count", "a"], { PW: SECRET })).toMatchObject({ code: 0 });
  });

  it("are named when a store refuses", async () => {
    const refused = await project.run(["copy", "lines:a.ndjson?wantedPassword=x", "lines:b.ndjson"]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("P2P_SOURCE_PASSWORD");
  });

  it("are never printed or written", async () => {
    const source = "lines:a.ndjson?wantedPassword=another";
    const env = { P2P_SOURCE_PASSWORD: SECRET };
    for (const args of [
      ["copy", source, "lines:b.ndjson"],
      ["copy", source, "lines:b.ndjson", "--json"],
      ["count", source],
      ["ping", source],
      ["inspect", source, "--json"],
      ["verify", source, "lines:b.ndjson"],
      ["copy", source, "lines:b.ndjson", "--dry-run"],
    ]) {
      expect(await run(args, env)).toMatchObject({ code: 1 });
    }
    await run(["copy", `lines:a.ndjson?password=${encodeURIComponent(SECRET)}`, "lines:d.ndjson?refuse=r0000"]);
    const state = readdirSync(project.path(".omni-p2p")).map((name) =>
      readFileSync(join(project.path(".omni-p2p"), name), "utf8"),
    );
    expect(state.length).toBeGreaterThan(1);
    for (const text of [...printed, ...state]) {
      expect(text).not.toContain(SECRET);
      expect(text).not.toContain(encodeURIComponent(SECRET));
      expect(text).not.toContain(JSON.stringify(SECRET).slice(1, -1));
    }
  });

  it.runIf(hasScript)("are asked for on a terminal, and not echoed", async () => {
    const command = project.startOnTerminal([
      "copy",
      "lines:a.ndjson?wantedPassword=geheim&username=anna",
      "lines:e.ndjson",
    ]);
    await command.seen(/Password of anna for the source lines:a\.ndjson:/);
    command.child.stdin!.write("geheim\r");
    const done = await command.ended;
    expect(done.code).toBe(0);
    expect(done.stdout).toContain("300 records written");
    expect(done.stdout).not.toContain("geheim");
  });

  it.runIf(hasScript)("can be refused with Ctrl-C at the prompt", async () => {
    const command = project.startOnTerminal(["count", "lines:a.ndjson?wantedPassword=geheim&username=anna"]);
    await command.seen(/Password of anna/);
    command.child.stdin!.write("\u0003");
    expect(await command.ended).toMatchObject({ code: 130 });
  });
  if (!hasScript) it.skip("are asked for on a terminal: not run, for want of script (util-linux)");
});

describe("the command that resumes", () => {
  it.each<[string, string]>([
    ["redis://:pw@host:1/2", "P2P_TARGET_PASSWORD=… omni-p2p copy sqlite:a.db redis://host:1/2 --resume"],
    ["redis://me:pw@host", "P2P_TARGET_PASSWORD=… omni-p2p copy sqlite:a.db redis://me@host --resume"],
    ["redis://me@host", "omni-p2p copy sqlite:a.db redis://me@host --resume"],
    [`redis://me:\${PW}@host`, `omni-p2p copy sqlite:a.db 'redis://me:\${PW}@host' --resume`],
    ["es://h/i?apiKey=abc&x=1", "P2P_TARGET_API_KEY=… omni-p2p copy sqlite:a.db 'es://h/i?x=1' --resume"],
    ["es://h/i?apiKey=abc", "P2P_TARGET_API_KEY=… omni-p2p copy sqlite:a.db es://h/i --resume"],
    ["lines:it's", "omni-p2p copy sqlite:a.db 'lines:it'\\''s' --resume"],
  ])("for %s", (target, command) => {
    expect(resumeCommand(["copy", "sqlite:a.db", target], { source: "sqlite:a.db", target })).toBe(command);
  });

  it("does not say --resume twice", () => {
    expect(resumeCommand(["copy", "a", "b", "--resume"], {})).toBe("omni-p2p copy a b --resume");
  });

  it("has a follow go on by itself, and not begin anew", () => {
    const typed = ["follow", "a", "b", "--all", "--no-resume", "--json"];
    expect(followAgainCommand(resumeCommand(typed, {}))).toBe("omni-p2p follow a b --all --json");
  });
});
