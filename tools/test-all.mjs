// `npm test` behind the set-up: builds, checks and tests, and meanwhile fills the cache of the servers that the tests
// need, since a first time takes minutes.
import { spawn } from "node:child_process";

/** Runs a program of the workspace and resolves with its exit code. */
function run(command, ...args) {
  const child = spawn(command, args, { stdio: "inherit", shell: process.platform === "win32" });
  return new Promise((resolve) => {
    child.once("error", (error) => {
      console.error(`${command}: ${error.message}`);
      resolve(1);
    });
    child.once("exit", (code) => resolve(code ?? 1));
  });
}

const preparing = run("node", "tools/test-services/src/cli.ts", "--prepare");
for (const [command, ...args] of [
  ["turbo", "run", "build", "--output-logs=errors-only"],
  ["pnpm", "run", "--silent", "check"],
]) {
  const code = await run(command, ...args);
  if (code !== 0) process.exit(code);
}
// A server that cannot be had is for the suites to report: they skip with the reason, and in CI they fail.
await preparing;
process.exit(await run("vitest", "run", ...process.argv.slice(2)));
