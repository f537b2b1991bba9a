import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type MirrorEntry, readMirrors } from "../mirror-results.ts";
import { RESULTS_FILE, type Results, readResults } from "../results.ts";
import { SHAPE_NAMES } from "../shapes.ts";
import { readReasons } from "../targets.ts";
import { chart } from "./chart.ts";
import { type Explanations, page } from "./page.ts";
import { english } from "./words-en.ts";
import { chinese } from "./words-zh.ts";

const PROFILES = join(dirname(RESULTS_FILE), "profiles");
const repository = join(import.meta.dirname, "..", "..", "..");

/** The files that tell of results, by their path in the repository. */
export function reports(
  results: Results,
  explanations: Explanations,
  mirrors: readonly MirrorEntry[] = [],
): ReadonlyMap<string, string> {
  const files = new Map([
    ["docs/guide/performance.md", page(results, explanations, english, "en", mirrors)],
    ["docs/zh/guide/performance.md", page(results, explanations, chinese, "zh", mirrors)],
  ]);
  for (const shape of SHAPE_NAMES) {
    const entries = results.entries.filter((entry) => entry.shape === shape);
    if (entries.length > 0) files.set(`bench/results/${shape}.svg`, chart(english.shapes[shape].chart, entries));
  }
  return files;
}

/** What is kept of the targets that are missed. */
export function readExplanations(): Explanations {
  const names = existsSync(PROFILES) ? readdirSync(PROFILES) : [];
  return { reasons: readReasons(), profiles: new Set(names.filter((name) => name.endsWith(".txt"))) };
}

/** Writes the charts, and the page in both languages, from the results that are kept. */
export function writeReports(): void {
  for (const [path, text] of reports(readResults(RESULTS_FILE), readExplanations(), readMirrors())) {
    mkdirSync(dirname(join(repository, path)), { recursive: true });
    writeFileSync(join(repository, path), text);
  }
}

// Run by itself, for instance after the reasons have changed.
if (process.argv[1] === import.meta.filename && existsSync(RESULTS_FILE)) writeReports();
