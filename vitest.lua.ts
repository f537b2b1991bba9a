import { readFileSync } from "node:fs";

/** A Vite plugin: an import of a `.lua` file gives its text, as esbuild's loader of texts does in the build. */
export function luaScripts() {
  return {
    name: "lua-scripts",
    enforce: "pre" as const,
    load(id: string) {
      if (!id.endsWith(".lua")) return undefined;
      return { code: `export default ${JSON.stringify(readFileSync(id, "utf8"))};`, map: null };
    },
  };
}

/** The environment in which processes that tests start with Node itself import `.lua` files too. */
export const luaEnv = { NODE_OPTIONS: `--import=${new URL("./tools/lua-hooks.mjs", import.meta.url).href}` };
