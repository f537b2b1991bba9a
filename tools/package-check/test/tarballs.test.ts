import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { execute, pack, publishedPackages, root } from "../src/packages.ts";

const folder = mkdtempSync(join(tmpdir(), "omni-p2p-packages-"));
const bin = join(import.meta.dirname, "..", "node_modules", ".bin");
const tarballs = new Map<string, string>();

beforeAll(async () => {
  for (const { name, folder: from } of publishedPackages())
    tarballs.set(name, await pack(from, join(folder, "tarballs")));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(publishedPackages())("$name", ({ name, folder: from }) => {
  it("is clean for publint", async () => {
    await execute(join(bin, "publint"), ["run", tarballs.get(name)!, "--strict"], root);
  });

  it("has types that resolve as its code does", async () => {
    // ESM only: `require` loads it too, since Node 22.12, but that is not what the older resolution modes look for.
    await execute(join(bin, "attw"), [tarballs.get(name)!, "--profile", "esm-only"], root);
  });

  it("carries its licence and README, and no sources", async () => {
    const files = (await execute("tar", ["-tzf", tarballs.get(name)!], root)).split("\n");
    expect(files).toContain("package/LICENSE");
    expect(files).toContain("package/README.md");
    expect(files.filter((file) => /^package\/(src|test)\//.test(file))).toEqual([]);
  });

  it("has its Lua scripts in its code, and reads none from the disk", async () => {
    const scripts = globSync("src/**/*.lua", { cwd: from });
    const unpacked = mkdtempSync(join(folder, "unpacked-"));
    await execute("tar", ["-xzf", tarballs.get(name)!, "-C", unpacked], root);
    const code = globSync("package/dist/**/*.js", { cwd: unpacked }).map((file) =>
      readFileSync(join(unpacked, file), "utf8"),
    );
    for (const script of scripts) {
      const [firstLine] = readFileSync(join(from, script), "utf8").split("\n");
      expect(
        code.some((text) => text.includes(firstLine!)),
        script,
      ).toBe(true);
    }
    expect(code.filter((text) => /(?:from|import|URL\() *["'][^"']*\.lua["']/.test(text))).toEqual([]);
  });
});

describe("an empty project", () => {
  /** Makes a project that has just core and the sqlite starter, from their tarballs. */
  async function emptyProject(name: string, manifest: object): Promise<string> {
    const project = join(folder, name);
    mkdirSync(join(project, "data"), { recursive: true });
    writeFileSync(join(project, "package.json"), JSON.stringify({ name, private: true, ...manifest }));
    const wanted = ["@omni/p2p-core", "@omni/p2p-starter-sqlite"].map((wantedName) => tarballs.get(wantedName)!);
    await execute("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", ...wanted], project);
    writeFileSync(
      join(project, "make-data.cjs"),
      `const db = require("better-sqlite3")("data/knowledge.db");
       db.exec("CREATE TABLE docs (id TEXT PRIMARY KEY, type TEXT, title TEXT); INSERT INTO docs VALUES ('a', 'knowledge', 'A'), ('b', 'note', 'B')");`,
    );
    await execute("node", ["make-data.cjs"], project);
    return project;
  }

  /** The README's first example, as it stands there. */
  function firstExample(): string {
    return /```ts\n([\s\S]*?)```/.exec(readFileSync(join(root, "README.md"), "utf8"))![1]!;
  }

  it("runs the README's first example in TypeScript, without any registration", async () => {
    const project = await emptyProject("esm-typescript", { type: "module" });
    await execute(
      "npm",
      ["install", "--no-audit", "--no-fund", "--prefer-offline", "typescript@6", "@types/node@24"],
      project,
    );
    writeFileSync(join(project, "main.ts"), firstExample());
    writeFileSync(
      join(project, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: { module: "NodeNext", target: "ES2024", strict: true, noEmit: true, types: ["node"] },
      }),
    );
    await execute("npx", ["tsc", "-p", "."], project);
    expect(await execute("node", ["main.ts"], project)).toContain("2 records");
  });

  it("can be CommonJS", async () => {
    const project = await emptyProject("commonjs", {});
    writeFileSync(
      join(project, "main.js"),
      `const { DefaultP2PConnectionManager } = require("@omni/p2p-core");
       (async () => {
         const manager = new DefaultP2PConnectionManager();
         const { connectionId } = await manager.establish("sqlite:./data/knowledge.db?table=docs", "sqlite:./data/copy.db?table=docs");
         const { successCount } = await manager.transferThroughConnection(connectionId, {});
         await manager.close();
         console.log(successCount + " records");
       })();`,
    );
    expect(await execute("node", ["main.js"], project)).toContain("2 records");
  });

  it("takes a starter that is a minor version ahead of the others", async () => {
    const project = await emptyProject("mixed", { type: "module" });
    const ahead = join(folder, "ahead");
    mkdirSync(ahead);
    await execute("tar", ["-xzf", tarballs.get("@omni/p2p-starter-memory")!, "-C", ahead], root);
    await execute("npm", ["pkg", "set", "version=0.9.0"], join(ahead, "package"));
    await execute("npm", ["pack", "--pack-destination", ahead], join(ahead, "package"));
    const tarball = join(ahead, "omni-p2p-starter-memory-0.9.0.tgz");
    await execute("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", tarball], project);
    writeFileSync(
      join(project, "main.js"),
      `import { DefaultP2PConnectionManager } from "@omni/p2p-core";
       const manager = new DefaultP2PConnectionManager();
       const { connectionId } = await manager.establish("sqlite:./data/knowledge.db?table=docs", "memory:copy");
       console.log((await manager.transferThroughConnection(connectionId, {})).successCount + " records");
       await manager.close();`,
    );
    expect(await execute("node", ["main.js"], project)).toContain("2 records");
  });

  it("takes a core that is a minor version ahead of its starters, without a conflict of peers", async () => {
    const ahead = join(folder, "core-ahead");
    mkdirSync(ahead);
    await execute("tar", ["-xzf", tarballs.get("@omni/p2p-core")!, "-C", ahead], root);
    await execute("npm", ["pkg", "set", "version=0.2.0"], join(ahead, "package"));
    await execute("npm", ["pack", "--pack-destination", ahead], join(ahead, "package"));
    const project = join(folder, "core-ahead-project");
    mkdirSync(project);
    writeFileSync(join(project, "package.json"), JSON.stringify({ name: "ahead", private: true, type: "module" }));
    const wanted = [join(ahead, "omni-p2p-core-0.2.0.tgz"), tarballs.get("@omni/p2p-starter-memory")!];
    await execute("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", ...wanted], project);
    writeFileSync(
      join(project, "main.js"),
      `import { StarterRegistry } from "@omni/p2p-core/engine";
       console.log((await new StarterRegistry(process.cwd()).resolve("memory")).storageType);`,
    );
    expect(await execute("node", ["main.js"], project)).toBe("memory\n");
  });

  it("copies one SQLite file into another by one command after the installation", async () => {
    const project = await emptyProject("command-line", {});
    await execute(
      "npm",
      ["install", "--no-audit", "--no-fund", "--prefer-offline", tarballs.get("@omni/p2p-cli")!],
      project,
    );
    const copy = [
      "omni-p2p",
      "copy",
      "sqlite:./data/knowledge.db?table=docs",
      "sqlite:./data/copy.db",
      "--verify",
      "--json",
    ];
    const events = (await execute("npx", copy, project))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { event: string; successCount?: number; equal?: boolean });
    expect(events.find(({ event }) => event === "result")?.successCount).toBe(2);
    expect(events.find(({ event }) => event === "verify")?.equal).toBe(true);
  });
});
