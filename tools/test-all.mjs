// `npm test` behind the set-up: builds, checks and tests. Meanwhile it fills the cache of the servers that the tests
// need, since a first time takes minutes; and it looks for the tests' passwords in everything that they print.
import { spawn } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { PLANTED } from "./secrecy-watch/src/planted.ts";
import { joinReports, readReport } from "./test-report.mjs";

/**
 * Projects whose tests wait for servers and processes most of the time, in two lanes beside each other: vitest by itself runs one
 * project after the other. What stands in neither is run afterwards, alone: among it is what measures time.
 */
const LANES = [
  ["starter-redis", "starter-sqlite", "core", "cli", "engine-bullmq", "starter-file", "testkit", "matrix"],
  ["starter-elasticsearch", "starter-mongodb", "starter-postgresql", "starter-memory", "mirror"],
];

/** What uses all cores by itself: run between the lanes and the rest. */
const BY_ITSELF = ["follow"];

/** Where vitest's configuration has the report, and `tools/test-totals.mjs` looks for it. */
const RESULTS = ".cache/test-results.json";

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

/** Lines with a password in what was printed. */
const told = [];

/** Runs vitest, which leaves its report in the file of this name. What it prints is looked through by itself: lanes cut into each other. */
async function vitest(report, args) {
  const printed = { out: "", err: "" };
  const keep = (data, stream) => {
    stream.write(data);
    printed[stream === process.stdout ? "out" : "err"] += data;
  };
  const code = await run("vitest", ["run", `--outputFile.json=${report}`, ...args], keep);
  told.push(...Object.values(printed).flatMap((text) => text.split("\n").filter((line) => PLANTED.test(line))));
  return code;
}

/** The whole: both lanes, then what runs by itself, and then the rest. Resolves with the exit code; the reports become one. */
async function everything() {
  const reports = ["first", "second", "by-itself", "rest"].map((name) => `.cache/test-results-${name}.json`);
  for (const report of reports) rmSync(report, { force: true });
  const codes = await Promise.all(LANES.map((projects, at) => vitest(reports[at], only(projects))));
  codes.push(await vitest(reports[2], only(BY_ITSELF)));
  const others = [...LANES.flat(), ...BY_ITSELF].map((project) => `!${project}`);
  codes.push(await vitest(reports[3], only(others)));
  writeFileSync(RESULTS, JSON.stringify(joinReports(reports.map(readReport))));
  return Math.max(...codes);
}

function only(projects) {
  return projects.flatMap((project) => ["--project", project]);
}

const args = process.argv.slice(2);
const code = args.length === 0 ? await everything() : await vitest(RESULTS, args);
if (code === 0 && told.length > 0) {
  console.error(`The tests printed a planted password, in ${told.length} lines, for instance: ${told[0]}`);
  process.exit(1);
}
process.exit(code);
