import { chmodSync } from "node:fs";
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

  it("runs nothing that lies in a folder above the project, or that others may write", async () => {
    using shared = new Project(["lines"]);
    shared.write("own/package.json", JSON.stringify({ name: "own" }));
    const inside = { cwd: shared.path("own") };
    const above = await shared.start(["count", "lines:a.ndjson"], {}, inside).ended;
    expect(above).toMatchObject({ code: 2 });
    expect(above.stderr).toContain("Service not found for storage type 'lines'");
    shared.fill("a.ndjson", [{ id: 1 }]);
    expect(await shared.run(["count", "lines:a.ndjson"])).toMatchObject({ code: 0 });
    if (process.platform === "win32") return;
    chmodSync(shared.path("node_modules"), 0o777);
    const writable = await shared.run(["count", "lines:a.ndjson"]);
    expect(writable.code).toBe(2);
    expect(writable.stderr).toMatch(
      /One is installed, and is not loaded: .*node_modules can be written by other users/,
    );
    const trusted = { OMNI_P2P_TRUSTED_PROJECT: shared.folder };
    expect(await shared.run(["count", "lines:a.ndjson"], trusted)).toMatchObject({ code: 0 });
  });

  it.runIf(process.platform !== "win32")("reads no config file that others may write, unless it is named", async () => {
    using shared = new Project(["lines"]);
    shared.fill("a.ndjson", [{ id: 1 }]);
    shared.write("p2p.config.mjs", 'console.error("it ran"); export default { endpoints: { a: "lines:a.ndjson" } };');
    chmodSync(shared.path("p2p.config.mjs"), 0o666);
    const found = await shared.run(["count", "a"]);
    expect(found.code).toBe(2);
    expect(found.stderr).toContain("was found here and is not read");
    expect(found.stderr).not.toContain("it ran");
    expect(await shared.run(["count", "a", "--config", "p2p.config.mjs"])).toMatchObject({ code: 0, stdout: "1\n" });
  });
});
