import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { brokenFeeds } from "./broken/changes.ts";
import { brokenDeletes } from "./broken/deletes.ts";
import { brokenFilters } from "./broken/filters.ts";
import { brokenLookUps } from "./broken/lookups.ts";
import { brokenManners } from "./broken/manners.ts";
import { brokenRawLanes } from "./broken/raw.ts";
import { brokenReaders } from "./broken/readers.ts";
import { brokenVouching } from "./broken/verifying.ts";
import { brokenWriters } from "./broken/writers.ts";

const brokenAdapters = {
  ...brokenReaders,
  ...brokenFilters,
  ...brokenWriters,
  ...brokenManners,
  ...brokenRawLanes,
  ...brokenLookUps,
  ...brokenDeletes,
  ...brokenFeeds,
  ...brokenVouching,
};

/** What vitest's JSON reporter writes, as far as it is read here. */
interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly { ancestorTitles: string[]; title: string; status: string }[];
  }[];
}

/** The titles of the checks that failed, by broken adapter. */
const failed = new Map<string, string[]>();

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), "p2p-testkit-"));
  const outputFile = join(folder, "report.json");
  const cli = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");
  const config = join(import.meta.dirname, "broken", "vitest.config.ts");
  const args = [cli, "run", "--config", config];
  // It exits with 1, as it should; what counts is its report.
  await promisify(execFile)(process.execPath, [...args, "--reporter=json", `--outputFile=${outputFile}`], {
    maxBuffer: 1 << 28,
  }).catch(() => {});
  const report = JSON.parse(await readFile(outputFile, "utf8")) as Report;
  await rm(folder, { recursive: true });
  for (const { ancestorTitles, title, status } of report.testResults.flatMap((file) => file.assertionResults)) {
    const name = ancestorTitles.find((one) => one.endsWith(" conformance"))!.replace(/ conformance$/, "");
    if (!failed.has(name)) failed.set(name, []);
    if (status === "failed") failed.get(name)!.push(title);
  }
}, 240_000);

describe("an adapter that is broken fails the suite when it", () => {
  test.for(Object.entries(brokenAdapters))("%s", ([name, { caughtBy }]) => {
    const titles = failed.get(name);
    expect(titles, "the suite ran").toBeDefined();
    for (const wanted of caughtBy) {
      const found = titles!.some((title) => title.startsWith(wanted));
      expect(found, `"${wanted}" fails; what failed: ${titles!.join(" | ") || "nothing"}`).toBe(true);
    }
    // A fault that fails nearly everything would say nothing about the check that is meant to find it.
    expect(titles!.length, `failed: ${titles!.join(" | ")}`).toBeLessThan(80);
  });
});
