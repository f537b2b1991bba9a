// `npm test` behind the set-up: builds, checks and tests. Meanwhile it fills the cache of the servers that the tests
// need, since a first time takes minutes; and it looks for the tests' passwords in everything that they print.
import { spawn } from "node:child_process";
import { PLANTED } from "./secrecy-watch/src/planted.ts";

/** Runs a program of the workspace and resolves with its exit code. */
function run(command, args, onOutput) {
  const child = spawn(command, args, {
    stdio: ["inherit", onOutput ? "pipe" : "inherit", onOutput ? "pipe" : "inherit"],
    shell: process.platform === "win32",
    env: { ...process.env, ...(process.stdout.isTTY && { FORCE_COLOR: "1" }) },
  });
  child.stdout?.on("data", (data) => onOutput(data, process.stdout));
  child.stderr?.on("data", (data) => onOutput(data, process.stderr));
  return new Promise((resolve) => {
    child.once("error", (error) => {
      console.error(`${command}: ${error.message}`);
      resolve(1);
    });
    child.once("close", (code) => resolve(code ?? 1));
  });
}

const preparing = run("node", ["tools/test-services/src/cli.ts", "--prepare"]);
for (const [command, ...args] of [
  ["turbo", "run", "build", "--output-logs=errors-only"],
  ["pnpm", "run", "--silent", "check"],
]) {
  const code = await run(command, args);
  if (code !== 0) process.exit(code);
}
// A server that cannot be had is for the suites to report: they skip with the reason, and in CI they fail.
await preparing;

let printed = "";
const code = await run("vitest", ["run", ...process.argv.slice(2)], (data, stream) => {
  stream.write(data);
  printed += data;
});
const told = printed.split("\n").filter((line) => PLANTED.test(line));
if (code === 0 && told.length > 0) {
  console.error(`The tests printed a planted password, in ${told.length} lines, for instance: ${told[0]}`);
  process.exit(1);
}
process.exit(code);
