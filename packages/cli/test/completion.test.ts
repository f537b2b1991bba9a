import { spawnSync } from "node:child_process";
import { chmodSync, existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BIN, Project } from "./project.ts";

let project: Project;
beforeAll(() => {
  project = new Project();
  project.write("map.ts", "");
  project.write("data/one.db", "");
  project.write("p2p.config.json", JSON.stringify({ endpoints: { docs: "lines:a", cache: "lines:b" } }));
});
afterAll(() => project[Symbol.dispose]());

/** The words that are offered for the last of these. */
async function offered(...words: string[]): Promise<string[]> {
  const run = await project.run(["complete", "--", ...words]);
  expect(run).toMatchObject({ code: 0, stderr: "" });
  const lines = run.stdout.trimEnd().split("\n");
  expect(lines.pop()).toMatch(/^:\d+$/);
  return lines.map((line) => line.split("\t")[0]!);
}

describe("completion", () => {
  it("offers commands", async () => {
    expect(await offered("")).toEqual(expect.arrayContaining(["copy", "verify", "run", "starters"]));
    expect(await offered("co")).toEqual(["copy", "count", "completion"]);
    expect(await offered("")).not.toContain("complete");
  });

  it("offers options, and their values", async () => {
    expect(await offered("copy", "--max")).toEqual(["--max-retries", "--max-failures"]);
    expect(await offered("verify", "--max")).toEqual(["--max-differences"]);
    expect(await offered("copy", "--mode", "")).toEqual(["upsert", "insert", "skip"]);
    expect(await offered("completion", "")).toEqual(["bash", "zsh", "fish", "powershell"]);
  });

  it("offers endpoints: names of the config file, and storage types", async () => {
    const words = await offered("copy", "");
    expect(words).toEqual(expect.arrayContaining(["docs", "cache", "lines:", "sqlite:", "memory:"]));
    expect(await offered("copy", "docs", "c")).toEqual(["cache"]);
    expect(await offered("count", "sqlite:da")).toEqual(["sqlite:data/"]);
    expect(await offered("count", "sqlite:data/")).toEqual(["sqlite:data/one.db"]);
  });

  it("offers the names of tables", async () => {
    project.sql(
      "tables.db",
      'CREATE TABLE orders (id TEXT PRIMARY KEY); CREATE TABLE "odd name" (id TEXT PRIMARY KEY);',
    );
    expect(await offered("count", "sqlite:tables.db?table=")).toEqual([
      "sqlite:tables.db?table=odd%20name",
      "sqlite:tables.db?table=orders",
    ]);
    expect(await offered("copy", "sqlite:tables.db?table=or")).toEqual(["sqlite:tables.db?table=orders"]);
    expect(await offered("count", "sqlite:none.db?table=")).toEqual([]);
  });

  it("offers files where a file is wanted", async () => {
    expect(await offered("copy", "docs", "cache", "--transform", "m")).toEqual(["map.ts"]);
    expect(await offered("run", "p2p")).toEqual(["p2p.config.json"]);
  });

  it("survives a config file with a mistake", async () => {
    using broken = new Project(["lines"]);
    broken.write("p2p.config.json", "{");
    const run = await broken.run(["complete", "--", "copy", ""]);
    expect(run).toMatchObject({ code: 0, stderr: "" });
    expect(run.stdout).toContain("lines:");
  });

  it.each(["bash", "zsh", "fish", "powershell"])("prints a script for %s", async (shell) => {
    const run = await project.run(["completion", shell]);
    expect(run).toMatchObject({ code: 0, stderr: "" });
    expect(run.stdout).toMatch(
      /omni-p2p complete --|omni-p2p complete `"--`"|Register-ArgumentCompleter -CommandName 'omni-p2p'/,
    );
  });

  /** What bash offers at Tab after a line: the function that was registered is called as readline calls it. */
  async function offeredByBash(line: string): Promise<string[]> {
    const { stdout } = await project.run(["completion", "bash"]);
    project.write("completion.bash", stdout);
    project.write("bin/omni-p2p", `#!/bin/sh\nexec '${process.execPath}' '${BIN}' "$@"\n`);
    chmodSync(project.path("bin/omni-p2p"), 0o755);
    const script = `
PATH="$PWD/bin:$PATH"
source ./completion.bash && source ./completion.bash
COMP_LINE="$1"; COMP_POINT=\${#COMP_LINE}
_omni_p2p
printf '%s\\n' "\${COMPREPLY[@]}"`;
    const run = spawnSync("bash", ["-c", script, "bash", line], { cwd: project.folder, encoding: "utf8" });
    expect(run.stderr).toBe("");
    return run.stdout.trim().split("\n");
  }

  const hasBash = spawnSync("bash", ["--version"]).status === 0;

  if (hasBash)
    it("works in bash", async () => {
      expect(await offeredByBash("omni-p2p ver")).toEqual(["verify"]);
      expect(await offeredByBash("omni-p2p copy --mode ")).toEqual(["upsert", "insert", "skip"]);
      expect(await offeredByBash("omni-p2p count do")).toEqual(["docs"]);
      // Readline replaces what follows the colon.
      expect(await offeredByBash("omni-p2p count sqlite:da")).toEqual(["data/"]);
      // In an open quote it replaces all of the word.
      expect(await offeredByBash("omni-p2p count 'sqlite:data/")).toEqual(["sqlite:data/one.db"]);
      // What was typed is not run.
      expect(await offeredByBash("omni-p2p copy $(>evil) do")).toEqual(["docs"]);
      expect(existsSync(project.path("evil"))).toBe(false);
    });
  if (!hasBash) it.skip("works in bash: not run, for want of bash");
});
