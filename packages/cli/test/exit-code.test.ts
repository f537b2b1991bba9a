import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ExitCode } from "../src/exit-code.ts";
import { Project } from "./project.ts";

let project: Project;
beforeAll(() => {
  project = new Project([]);
});
afterAll(() => project[Symbol.dispose]());

describe("every exit code, and no other", () => {
  it("is in the help", async () => {
    const { stdout } = await project.run(["--help"]);
    const [, told = ""] = /^Exit codes: ([^.]*)\.$/m.exec(stdout) ?? [];
    expect(told.match(/\b\d+(?= )/g)?.map(Number)).toEqual(Object.values(ExitCode));
  });
});
