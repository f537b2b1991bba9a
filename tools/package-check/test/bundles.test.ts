import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { execute, publishedPackages, root } from "../src/packages.ts";

// Below the temporary folder, where nothing of this repository is found by looking upwards.
const folder = realpathSync(mkdtempSync(join(tmpdir(), "omni-p2p-bundles-")));

beforeAll(() => {
  const sqlite = createRequire(join(root, "packages/starter-sqlite/package.json"));
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(join(sqlite.resolve("better-sqlite3/package.json"), ".."), join(folder, "node_modules/better-sqlite3"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What esbuild leaves to `node_modules`: native code, and what is optional for a client. */
const EXTERNAL = ["better-sqlite3", "*.node", "apache-arrow"];

/** What a package exports, by path. */
type Doors = Readonly<Record<string, string | { readonly default: string }>>;

/** Bundles a module by esbuild, with this repository's packages in it, and runs the bundle. */
async function bundled(name: string, format: "cjs" | "esm", lines: readonly string[]): Promise<string> {
  const file = join(folder, `${name}.${format === "cjs" ? "cjs" : "mjs"}`);
  const doors = publishedPackages().flatMap(({ name: packageName, folder: from }) => {
    const { exports } = JSON.parse(readFileSync(join(from, "package.json"), "utf8")) as { exports: Doors };
    return Object.entries(exports).flatMap(([door, to]) =>
      typeof to === "string" ? [] : [[packageName + door.slice(1), join(from, to.default)] as const],
    );
  });
  await build({
    stdin: { contents: lines.join("\n"), resolveDir: join(root, "tools/package-check") },
    ...{ bundle: true, platform: "node", format, outfile: file, external: EXTERNAL, logLevel: "error" },
    // The longer names first: esbuild takes the first that a path begins with.
    alias: Object.fromEntries(doors.sort(([a], [b]) => b.length - a.length)),
    // What is CommonJS in an ESM bundle asks for Node's own modules by require.
    ...(format === "esm" && {
      banner: { js: 'import { createRequire as r } from "node:module"; const require = r(import.meta.url);' },
    }),
  });
  return execute(process.execPath, [file], folder);
}

const starters = publishedPackages()
  .map(({ name }) => name)
  .filter((name) => name.includes("starter-"));

describe.each(["cjs", "esm"] as const)("an esbuild bundle to %s", (format) => {
  it.each(starters)("carries %s by its side-effect import", async (name) => {
    const type = name.replace("@omni/p2p-starter-", "");
    const printed = await bundled(type, format, [
      `import "${name}/register";`,
      `import { StarterRegistry } from "@omni/p2p-core/engine";`,
      `new StarterRegistry().resolve("${type}").then((starter) => console.log(starter.storageType));`,
    ]);
    expect(printed).toBe(`${type}\n`);
  });

  it("copies one SQLite file into another", async () => {
    writeFileSync(
      join(folder, "make.cjs"),
      `const fs = require("node:fs"); for (const f of ["a.db", "b.db"]) fs.rmSync(f, { force: true });
       const db = require("better-sqlite3")("a.db");
       db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO t SELECT i, hex(randomblob(20)) FROM n");`,
    );
    await execute(process.execPath, ["make.cjs"], folder);
    const printed = await bundled("copy", format, [
      `import "@omni/p2p-starter-sqlite/register";`,
      `import { DefaultP2PConnectionManager } from "@omni/p2p-core";`,
      "const manager = new DefaultP2PConnectionManager();",
      `manager.establish("sqlite:a.db?table=t", "sqlite:b.db?table=t")`,
      "  .then(({ connectionId }) => manager.transferThroughConnection(connectionId, {}))",
      "  .then(({ successCount }) => { console.log(successCount); return manager.close(); });",
    ]);
    expect(printed).toBe("20000\n");
  });

  it("says what to import where no starter is found", async () => {
    const printed = await bundled("none", format, [
      `import { StarterRegistry } from "@omni/p2p-core/engine";`,
      `new StarterRegistry().resolve("redis").catch((error) => console.log(error.code, error.message));`,
    ]);
    expect(printed).toMatch(/^SERVICE_NOT_FOUND .*import "@omni\/p2p-starter-redis\/register" in what is bundled/);
  });
});
