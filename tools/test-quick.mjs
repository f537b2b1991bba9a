// The quick verdict: `pnpm test:quick` runs the tests of the embedded stores, without a server, and names those it leaves out.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";

/** Projects whose every test is run. */
const WHOLE = ["core", "testkit", "starter-memory"];

/** Of SQLite: the rules of every store, its values and its deletes. The rest is slower, and is run by `npm test`. */
const SQLITE = ["conformance", "delete", "values"];

const folder = "packages/starter-sqlite/test";
const names = readdirSync(new URL(`../${folder}`, import.meta.url))
  .filter((file) => file.endsWith(".test.ts"))
  .map((file) => file.slice(0, -".test.ts".length));
const missing = SQLITE.filter((name) => !names.includes(name));
if (missing.length > 0) {
  console.error(`${folder} has no ${missing.join(", ")}: name the tests in tools/test-quick.mjs anew`);
  process.exit(1);
}

const { status, error } = spawnSync(
  "vitest",
  [
    "run",
    "--maxWorkers=2",
    ...[...WHOLE, "starter-sqlite"].flatMap((project) => ["--project", project]),
    ...WHOLE.map((project) => `packages/${project}/`),
    ...SQLITE.map((name) => `${folder}/${name}.test.ts`),
    ...process.argv.slice(2),
  ],
  { stdio: "inherit" },
);
if (error !== undefined) console.error(error.message);
const left = names.filter((name) => !SQLITE.includes(name));
console.log(
  `Left to npm test, of SQLite: ${left.join(", ")}; and whatever needs a server, the command line and the engine`,
);
process.exit(status ?? 1);
