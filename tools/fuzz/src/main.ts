// Gives every parser hostile texts: `npm run fuzz -- [--seed <n>] [--runs <n>] [--only <part of a parser's name>]`.
import { constants } from "node:buffer";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { type Growth, growthOf } from "./linearity.ts";
import { PARSERS } from "./parsers.ts";
import type { RandomResult, RandomTask } from "./random.ts";

/** A text that takes longer, in ms, makes a parser hang: none is longer than some thousand characters. */
const HANGS_MS = 20_000;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    runs: { type: "string", default: "5000" },
    only: { type: "string", default: "" },
  },
});
const seed = Number(values.seed);
const runs = Number(values.runs);
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(runs) || runs < 1) {
  console.error("--seed and --runs are whole numbers");
  process.exit(2);
}

console.log(`Seed ${seed}: run it again with npm run fuzz -- --seed ${seed} --runs ${runs}`);
const troubles: string[] = [];
let passed = 0;

function count(what: string, trouble: string | undefined): void {
  if (trouble === undefined) passed++;
  else troubles.push(`${what}: ${trouble}`);
}

if (values.only === "") {
  for (const { name, trouble } of await tryAtRandom()) count(`${name}, at random`, trouble);
  console.log(`${PARSERS.length} parsers had ${runs} texts each at random`);
}

const growths: Growth[] = [];
for (const parser of PARSERS.filter(({ name }) => name.includes(values.only))) {
  const own = await growthOf(parser);
  growths.push(...own);
  console.log(`Doubled the texts of: ${parser.name}`);
  for (const { shape, trouble } of own) count(`${parser.name}, ${shape}`, trouble);
}
console.table(
  PARSERS.filter(({ name }) => name.includes(values.only)).map(({ name, limit, longest }) => {
    const own = growths.filter(({ parser }) => parser === name);
    const steepest = own.reduce((a, b) => (b.ratio > a.ratio ? b : a));
    const slowest = own.reduce((a, b) => (b.ms > a.ms ? b : a));
    return {
      parser: name,
      shapes: own.length,
      "doubled to": longest,
      limit: limit === constants.MAX_STRING_LENGTH ? "of a text" : limit,
      "largest growth": `${steepest.ratio.toFixed(2)}${steepest.bounded ? " (bounded)" : ""}`,
      of: steepest.shape,
      "longest ms": Number(slowest.ms.toFixed(2)),
      "of ": slowest.shape,
      failed: own.filter(({ trouble }) => trouble !== undefined).length,
    };
  }),
);
for (const { parser, shape, characters, ms, ratio, bounded } of growths) {
  if (bounded) {
    console.log(
      `${parser}, ${shape}: bounded by its limit, ${characters} characters in ${ms.toFixed(2)} ms (growth ${ratio.toFixed(2)})`,
    );
  }
}
for (const trouble of troubles) console.error(`FAILED ${trouble}`);
console.log(`${passed} passed, ${troubles.length} failed`);
process.exitCode = troubles.length > 0 ? 1 : 0;

/** Ends when all have been tried, or one hangs; those behind it have not been tried then, and fail too. */
async function tryAtRandom(): Promise<RandomResult[]> {
  const progress = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(new URL("./random.ts", import.meta.url), {
    workerData: { seed, runs, progress } satisfies RandomTask,
  });
  const results: RandomResult[] = [];
  worker.on("message", (result: RandomResult) => results.push(result));
  const ended = new Promise<string>((resolve) => {
    worker.once("error", (error) => resolve(`ended the process: ${String(error)}`));
    worker.once("exit", () => resolve("was not tried"));
  });
  let seen = { tried: -1, at: performance.now() };
  let hung = false;
  const watch = setInterval(() => {
    const tried = Atomics.load(progress, 0);
    if (tried !== seen.tried) seen = { tried, at: performance.now() };
    else if (performance.now() - seen.at > HANGS_MS) {
      hung = true;
      void worker.terminate();
    }
  }, 1000);
  const why = await ended;
  clearInterval(watch);
  const current = Atomics.load(progress, 1);
  return PARSERS.map(({ name }, index) => {
    const known = results.find((result) => result.name === name);
    return known ?? { name, trouble: index === current && hung ? `hangs on text ${seen.tried} of all` : why };
  });
}
