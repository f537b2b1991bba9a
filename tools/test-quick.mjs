// The quick verdict: `pnpm test:quick` runs the tests of the embedded stores, without a server, and names those it leaves out.
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";

/** What is run beside each other: vitest by itself runs one project after the other, and waits for the longest file of each. */
const LANES = [
  // Many of its tests wait, so two at a time leave the other lane its processor.
  { workers: 2, projects: { core: [] } },
  {
    workers: 1,
    projects: {
      "starter-sqlite": ["conformance", "delete", "values"],
      "starter-memory": [],
      // Without some sixty adapters that are broken one way each: they are slow, and of interest to who changes the testkit.
      testkit: ["compare", "generators", "lacks", "readme", "reference"],
    },
  },
];

const left = [];

/** The files of a lane; where a package names tests, the others are left to `npm test`. */
function filesOf(projects) {
  return Object.entries(projects).flatMap(([project, chosen]) => {
    const folder = `packages/${project}/test`;
    if (chosen.length === 0) return [`packages/${project}/`];
    const names = readdirSync(new URL(`../${folder}`, import.meta.url))
      .filter((file) => file.endsWith(".test.ts"))
      .map((file) => file.slice(0, -".test.ts".length));
    const missing = chosen.filter((name) => !names.includes(name));
    if (missing.length > 0) {
      console.error(`${folder} has no ${missing.join(", ")}: name the tests in tools/test-quick.mjs anew`);
      process.exit(1);
    }
    left.push(`of ${project} ${names.filter((name) => !chosen.includes(name)).join(", ")}`);
    return chosen.map((name) => `${folder}/${name}.test.ts`);
  });
}

/** Runs a lane; what it prints comes in one piece, but for the first one's. */
function run({ workers, projects }, at) {
  const named = Object.keys(projects).flatMap((project) => ["--project", project]);
  const options = [
    "run",
    `--maxWorkers=${workers}`,
    "--reporter=default",
    ...named,
    ...filesOf(projects),
    ...process.argv.slice(2),
  ];
  const child = spawn("vitest", options, { stdio: ["inherit", at === 0 ? "inherit" : "pipe", "inherit"] });
  let printed = "";
  child.stdout?.setEncoding("utf8").on("data", (text) => {
    printed += text;
  });
  return new Promise((resolve) => {
    child.once("error", (error) => resolve({ status: 1, printed: error.message }));
    child.once("close", (status) => resolve({ status: status ?? 1, printed }));
  });
}

const outcomes = await Promise.all(LANES.map(run));
for (const { printed } of outcomes) process.stdout.write(printed);
console.log(`Left to npm test: ${left.join("; ")}; and whatever needs a server, the command line and the engine`);
process.exit(Math.max(...outcomes.map(({ status }) => status)));
