import { defineConfig, type Options } from "tsup";

/** How every published package is built: ESM for Node 22.18 and newer, with types and source maps. */
export function packageBuild(entry: string[] | Record<string, string> = ["src/index.ts"], overrides: Options = {}) {
  return defineConfig({
    entry,
    format: "esm",
    target: "node22.18",
    platform: "node",
    dts: true,
    sourcemap: true,
    clean: true,
    treeshake: true,
    // Scripts for Redis become a part of the bundle: nothing is read from the disk at run time.
    loader: { ".lua": "text" },
    ...overrides,
  });
}
