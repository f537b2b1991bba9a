import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

/** The files by which package managers are known, and how each installs a package. */
const MANAGERS: readonly (readonly [files: readonly string[], name: string, command: string])[] = [
  [["pnpm-lock.yaml", "pnpm-workspace.yaml"], "pnpm", "pnpm add"],
  [["yarn.lock", ".pnp.cjs"], "yarn", "yarn add"],
  [["bun.lock", "bun.lockb"], "bun", "bun add"],
  [["package-lock.json"], "npm", "npm install"],
];

/** What to type to install a package, with the package manager that the project uses. */
export function installCommand(packageName: string, project: string | undefined): string {
  return `${(project === undefined ? byRunner() : byLockFile(project)) ?? "npm install"} ${packageName}`;
}

function byLockFile(project: string): string | undefined {
  for (let at = project; ; at = dirname(at)) {
    const manager = MANAGERS.find(([files]) => files.some((file) => existsSync(join(at, file))));
    if (manager) return manager[2];
    if (dirname(at) === at) return undefined;
  }
}

/** `pnpm/10.34.8 npm/? node/v24.21.0 linux x64`: what a package manager sets for the scripts that it runs. */
function byRunner(): string | undefined {
  const name = process.env.npm_config_user_agent?.split("/")[0];
  return MANAGERS.find(([, manager]) => manager === name)?.[2];
}

declare const __webpack_require__: unknown;

/** Whether this file is part of a bundle, in which starters are not found by themselves. */
export function isBundled(): boolean {
  // A bundler to CommonJS leaves nothing there; others leave the place of the bundle.
  const here: string | undefined = import.meta.url;
  if (typeof __webpack_require__ === "function") return true;
  return here === undefined || !/[\\/](p2p-)?core[\\/](dist|src)[\\/]/.test(here);
}
