// The way in for a machine that has only Node and npm: installs what the lock file names and runs a script of the root
// package.json in it, on the Node that the workspace brings along. Plain JavaScript, since any Node must run it.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const { packageManager } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const [script, ...args] = process.argv.slice(2);

if (!script) {
  console.error("Usage: node tools/bootstrap.mjs <script of package.json> [arguments]");
  process.exit(2);
}

/** Runs the pinned pnpm and ends this process when it fails. */
function pnpm(...pnpmArgs) {
  const { status, error, signal } = spawnSync("npx", ["--yes", packageManager, ...pnpmArgs], {
    cwd: root,
    stdio: "inherit",
    shell: process.platform === "win32",
    // The machine's own Node only runs pnpm; the workspace's scripts run on the Node that is installed with it.
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1", npm_config_engine_strict: "false" },
  });
  if (error) {
    console.error(`npx could not be run: ${error.message}. Install Node with npm, and try again.`);
    process.exit(1);
  }
  if (status !== 0) process.exit(status ?? (signal === "SIGINT" ? 130 : 1));
}

pnpm("install", "--frozen-lockfile", "--prefer-offline", "--reporter=append-only", "--loglevel=error");
pnpm("run", "--silent", script, ...args);
