import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { root } from "../src/packages.ts";

interface Job {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly steps: readonly { readonly uses?: string; readonly run?: string }[];
}

interface Workflow {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

const folder = join(root, ".github", "workflows");
const workflows = readdirSync(folder).map((name) => {
  const text = readFileSync(join(folder, name), "utf8");
  return { name, text, workflow: parse(text) as Workflow };
});

describe.each(workflows)("$name", ({ text, workflow }) => {
  it("takes every action by its commit, and names the version", () => {
    const uses = text.split("\n").filter((line) => /\buses:/.test(line));
    expect(uses.length).toBeGreaterThan(0);
    for (const line of uses) expect(line).toMatch(/uses: [\w-]+\/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  it("gives nothing the right to write but what a job asks for", () => {
    expect(Object.values(workflow.permissions ?? { all: "write" })).not.toContain("write");
  });

  it("runs no script and no build where it may publish", () => {
    for (const { permissions = {}, steps } of Object.values(workflow.jobs)) {
      if (permissions["id-token"] !== "write") continue;
      for (const { run } of steps) {
        if (run === undefined) continue;
        expect(run).toMatch(/install\b.*--ignore-scripts/);
        expect(run).not.toMatch(/\bbuild\b|\btest\b/);
      }
    }
  });
});

it("one job alone may publish", () => {
  const may = workflows.flatMap(({ workflow }) =>
    Object.entries(workflow.jobs).filter(([, { permissions }]) => permissions?.["id-token"] === "write"),
  );
  expect(may.map(([name]) => name)).toEqual(["publish"]);
});
