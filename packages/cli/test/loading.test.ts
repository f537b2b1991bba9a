import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Project } from "./project.ts";

/** Writes down every module that is loaded, to a file. */
const RECORDER = `
import { registerHooks } from "node:module";
import { appendFileSync } from "node:fs";
registerHooks({
  load(url, context, next) {
    appendFileSync(process.env.MODULES, url + "\\n");
    return next(url, context);
  },
});
`;

describe("what is loaded", () => {
  let project: Project;
  beforeAll(() => {
    project = new Project();
    project.write("recorder.mjs", RECORDER);
    project.fill("a.ndjson", [{ id: 1 }]);
  });
  afterAll(() => project[Symbol.dispose]());

  async function modulesOf(...args: string[]): Promise<string[]> {
    project.write("modules.txt", "");
    await project.run(args, {
      NODE_OPTIONS: `--import=${project.path("recorder.mjs")}`,
      MODULES: project.path("modules.txt"),
    });
    return project.read("modules.txt").split("\n").filter(Boolean);
  }

  it.each([[["--help"]], [["copy", "--help"]], [["--version"]], [["cpoy"]]])(
    "%j: no more than the arguments need",
    async (args) => {
      const modules = await modulesOf(...args);
      const files = modules.filter((url) => url.startsWith("file:") && !url.endsWith("recorder.mjs"));
      expect(files.length).toBeGreaterThan(0);
      const foreign = files.filter((url) => !/\/p2p-cli\/|\/cli\/dist\//.test(url));
      expect(foreign).toEqual([]);
    },
  );

  it("loads the starter that is used, and no other", async () => {
    const modules = await modulesOf("count", "lines:a.ndjson");
    expect(modules.some((url) => url.includes("starter-lines"))).toBe(true);
    expect(
      modules.filter((url) =>
        /starter-(memory|sqlite|redis)|better-sqlite3|ioredis|log-update|inquirer|valibot|yaml/.test(url),
      ),
    ).toEqual([]);
  });
});
