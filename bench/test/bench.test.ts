import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readResults } from "../src/results.ts";

const main = join(import.meta.dirname, "..", "src", "main.ts");
const folder = mkdtempSync(join(tmpdir(), "omni-p2p-bench-"));
const env = { ...process.env, P2P_BENCH_FOLDER: folder, P2P_BENCH_LOCK: "" };
const few = ["--only", "memory -> sqlite", "--shape", "wide", "--records", "300", "--rounds", "1"];

function bench(...args: string[]): string {
  return execFileSync("node", [main, ...args], { env, encoding: "utf8" });
}

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("npm run bench", () => {
  const results = join(folder, "results.json");

  it("measures a direction, and adds it to the results", () => {
    expect(bench(...few, "--no-growth", "--results", results)).toContain("memory -> sqlite");
    bench(...few, "--only", "sqlite -> sqlite", "--no-growth", "--results", results);
    const [first, second, ...others] = readResults(results).entries;
    expect(others).toEqual([]);
    expect(first).toMatchObject({ direction: "memory -> sqlite", shape: "wide", records: 300 });
    expect(first!.growth).toBeUndefined();
    expect(second!.direction).toBe("sqlite -> sqlite");
    expect(second!.ofLimit).toBeGreaterThan(0);
    expect(second!.timesUsual).toBeGreaterThan(0);
  });

  it("adds how it grows to what was measured, and keeps it when the rounds are measured again", () => {
    bench(...few, "--rounds", "0", "--records", "200", "--results", results);
    const [grown] = readResults(results).entries;
    expect(grown!.records).toBe(300);
    expect(grown!.growth).toMatchObject({ records: 200, factor: 10 });
    expect(grown!.growth!.peakMbGrown).toBeGreaterThan(20);
    bench(...few, "--no-growth", "--results", results);
    const [again] = readResults(results).entries;
    expect(again!.growth).toEqual(grown!.growth);
    expect(again!.ours).not.toEqual(grown!.ours);
  });

  it("writes profiles", () => {
    bench(...few, "--profile", join(folder, "profiles"));
    const names = ["limit-memory-sqlite-wide", "ours-memory-sqlite-wide"];
    const files = names.flatMap((name) => [`${name}.cpuprofile`, `${name}.txt`]);
    expect(readdirSync(join(folder, "profiles")).toSorted()).toEqual(files);
    expect(readFileSync(join(folder, "profiles", files[3]!), "utf8")).toMatch(/records\/s; busy [\d.]+ s, idle/);
  });

  it("says how it is used", () => {
    const { status, stderr } = spawnSync("node", [main, "--only", "sqlite"], { env, encoding: "utf8" });
    expect(status).toBe(2);
    expect(stderr).toContain("--only");
  });
});
