import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ExitCode } from "../src/exit-code.ts";
import { Project } from "./project.ts";

const codes = Object.values(ExitCode);

let project: Project;
beforeAll(() => {
  project = new Project([]);
});
afterAll(() => project[Symbol.dispose]());

describe("every exit code, and no other", () => {
  it("is in the help", async () => {
    const { stdout } = await project.run(["--help"]);
    const [, told = ""] = /^Exit codes: ([^.]*)\.$/m.exec(stdout) ?? [];
    expect(told.match(/\b\d+(?= )/g)?.map(Number)).toEqual(codes);
  });

  it("is in the README", () => {
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
    const [, section = ""] = readme.split("### Exit codes\n");
    expect([...section.matchAll(/^\| (\d+) /gm)].map(([, code]) => Number(code))).toEqual(codes);
  });
});
