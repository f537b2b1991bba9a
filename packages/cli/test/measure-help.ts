// How long `omni-p2p --help` takes beyond Node's own start: `npm run measure`. The two are run in turns, so that what
// else the machine does falls on both.
import { spawnSync } from "node:child_process";
import { BIN } from "./project.ts";

const ROUNDS = 40;
const LIMIT_MS = 150;

function run(args: readonly string[]): number {
  const startedAt = performance.now();
  spawnSync(process.execPath, args, { stdio: "ignore" });
  return performance.now() - startedAt;
}

function median(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]!;
}

const rounds = Array.from({ length: ROUNDS }, () => ({
  node: run(["-e", "0"]),
  help: run([BIN, "--help"]),
  copy: run([BIN, "copy", "--help"]),
  version: run([BIN, "--version"]),
}));
const node = median(rounds.map((round) => round.node));
console.log(`node -e 0             ${node.toFixed(1)} ms (median of ${ROUNDS})`);
let worst = 0;
for (const name of ["help", "copy", "version"] as const) {
  const time = median(rounds.map((round) => round[name]));
  worst = Math.max(worst, time - node);
  console.log(`omni-p2p ${name.padEnd(12)} ${time.toFixed(1)} ms, ${(time - node).toFixed(1)} ms beyond Node's start`);
}
console.log(worst < LIMIT_MS ? `within ${LIMIT_MS} ms` : `more than ${LIMIT_MS} ms`);
process.exitCode = worst < LIMIT_MS ? 0 : 1;
