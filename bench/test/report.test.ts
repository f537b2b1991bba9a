import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readMirrors } from "../src/mirror-results.ts";
import { chart } from "../src/report/chart.ts";
import { readExplanations, reports } from "../src/report/write.ts";
import { type Entry, entryIn, isOfThisMachine, RESULTS_FILE, readResults, saveEntry } from "../src/results.ts";
import { missesOf, type Reason, reasonOf } from "../src/targets.ts";

const repository = join(import.meta.dirname, "..", "..");

const entry: Entry = {
  direction: "sqlite -> redis",
  shape: "text",
  date: "2026-11-25T03:00:00.000Z",
  commit: "abcdef0",
  servers: ["Redis 7.0.15"],
  records: 200_000,
  ours: [1000],
  limit: [950],
  usual: { records: [9000], recordsPerSecond: [4500] },
  ofLimit: 0.95,
  timesUsual: 44,
  recordsPerSecond: 200_000,
  growth: {
    date: "2026-11-25T03:00:00.000Z",
    commit: "abcdef0",
    records: 200_000,
    factor: 10,
    timePerRecord: 1.02,
    peakMb: 150,
    peakMbGrown: 160,
    timerP99: 12,
    limit: { timePerRecord: 1.1, peakMbGrown: 140, timerP99: 11 },
  },
};

describe("what is committed", () => {
  it.each([...reports(readResults(RESULTS_FILE), readExplanations(), readMirrors())])(
    "%s tells of the results as they are",
    (path, text) => {
      expect(readFileSync(join(repository, path), "utf8")).toBe(text);
    },
  );

  it("has results to tell of", () => expect(existsSync(RESULTS_FILE)).toBe(true));
});

describe("the results", () => {
  it("say of an entry that another machine than theirs measured it, and lose its older growth", () => {
    const folder = mkdtempSync(join(tmpdir(), "p2p-results-"));
    const file = join(folder, "results.json");
    try {
      const machine = { node: "v24.0.0", cpu: "another", cores: 64, memoryGb: 1 };
      const kept = { ...entry, direction: "redis -> redis" };
      writeFileSync(file, JSON.stringify({ note: "", machine, entries: [entry, kept] }));
      const { growth: _, ...anew } = entry;
      saveEntry(file, anew);
      const results = readResults(file);
      expect(results.machine).toEqual(machine);
      const [found, beside] = ["sqlite -> redis", "redis -> redis"].map((name) => entryIn(results, name, "text")!);
      expect(found!.machine).toMatchObject({ node: process.version });
      expect(found!.growth).toBeUndefined();
      expect(beside).toEqual(kept);
      expect([found!, beside!].map((one) => isOfThisMachine(one, results))).toEqual([true, false]);
      // Growth that is added later stays with it.
      saveEntry(file, { ...found!, growth: entry.growth! });
      expect(entryIn(readResults(file), "sqlite -> redis", "text")).toEqual({ ...found, growth: entry.growth });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("the targets", () => {
  it("are reached by what is good enough", () => expect(missesOf([entry])).toEqual([]));

  it("are missed by what is not", () => {
    const growth = { ...entry.growth!, timePerRecord: 1.3, peakMbGrown: 301, timerP99: 51 };
    const misses = missesOf([{ ...entry, ofLimit: 0.89, timesUsual: 9, growth }]);
    expect(misses.map(({ target }) => target.name)).toEqual([
      "bestLoop",
      "usualLoop",
      "growth",
      "memoryGrowth",
      "peakMemory",
      "timers",
    ]);
  });

  it("ask for more than the usual loop only where a network is written", () => {
    expect(missesOf([{ ...entry, direction: "redis -> memory", timesUsual: 2 }])).toEqual([]);
  });

  it("ask for steady memory only where no store keeps all of it in this process", () => {
    const growth = { ...entry.growth!, peakMb: 100, peakMbGrown: 200 };
    const missed = (direction: string) => missesOf([{ ...entry, direction, growth }]).map(({ target }) => target.name);
    expect(missed("sqlite -> redis")).toEqual(["memoryGrowth"]);
    expect(missed("sqlite -> sqlite")).toEqual(["memoryGrowth"]);
    expect(missed("sqlite -> memory")).toEqual([]);
  });

  it("ask for more than elasticdump only between two indices", () => {
    const slow = { ...entry, timesElasticdump: 2 };
    expect(missesOf([{ ...slow, direction: "elasticsearch -> sqlite" }])).toEqual([]);
    expect(missesOf([{ ...slow, direction: "elasticsearch -> elasticsearch" }])).toHaveLength(1);
  });

  it("are missed for the first reason that fits", () => {
    const [miss] = missesOf([{ ...entry, ofLimit: 0.5 }]);
    const reasons: Reason[] = [
      { directions: "* -> redis", shape: "wide", target: "bestLoop", en: "another shape" },
      { directions: "* -> redis", target: "timers", en: "another target" },
      { directions: "sqlite -> *", target: "bestLoop", en: "this one" },
    ];
    expect(reasonOf(miss!, reasons)?.en).toBe("this one");
  });
});

describe("the page", () => {
  const machine = { node: "v24.0.0", cpu: "A", cores: 2, memoryGb: 24 };
  const files = reports({ note: "", machine, entries: [entry] }, { reasons: [], profiles: new Set() });

  it("tells of it in both languages", () => {
    for (const page of ["docs/guide/performance.md", "docs/zh/guide/performance.md"]) {
      expect(files.get(page)).toContain("| sqlite → redis | 200,000 | 200,000 | 0.95 | 44.0 |  |");
      expect(files.get(page)).toContain(
        "| sqlite → redis | 200,000 → 2,000,000 | 1.02 (1.10) | 150 → 160 (140) | 12 (11) |",
      );
    }
  });

  it("marks what was measured on another machine, and names that", () => {
    const elsewhere = { ...entry, direction: "redis -> sqlite", machine: { ...machine, cpu: "B" } };
    const told = reports({ note: "", machine, entries: [entry, elsewhere] }, { reasons: [], profiles: new Set() });
    for (const page of ["docs/guide/performance.md", "docs/zh/guide/performance.md"]) {
      expect(told.get(page)).toContain("| sqlite → redis | 200,000 | 200,000 |");
      expect(told.get(page)).toContain("| redis → sqlite \\* | 200,000 | 200,000 |");
      expect(told.get(page)).toMatch(/^\\\* .*B, 2 /m);
    }
  });

  it("tells why a target is missed, and leads to the profile", () => {
    const results = { note: "", machine, entries: [{ ...entry, ofLimit: 0.5 }] };
    const reasons: Reason[] = [{ directions: "* -> redis", target: "bestLoop", en: "for a reason", zh: "有原因" }];
    const told = reports(results, { reasons, profiles: new Set(["ours-sqlite-redis-text.txt"]) });
    const profile = "bench/results/profiles/ours-sqlite-redis-text.txt";
    expect(told.get("docs/guide/performance.md")).toContain(`| 0.50 | for a reason [profile](../../${profile}) |`);
    expect(told.get("docs/zh/guide/performance.md")).toContain(`| 0.50 | 有原因 [剖析](../../../${profile}) |`);
  });

  it("has a chart of each shape that was measured", () => {
    expect([...files.keys()].filter((path) => path.endsWith(".svg"))).toEqual(["bench/results/text.svg"]);
  });
});

describe("the chart", () => {
  it("has a bar for each direction, and marks those below the target", () => {
    const svg = chart("Two", [entry, { ...entry, direction: "redis -> sqlite", ofLimit: 0.5 }]);
    expect(svg.match(/class="bar"/g)).toHaveLength(1);
    expect(svg.match(/class="missed"/g)).toHaveLength(1);
    expect(svg.match(/<\w+/g)).toContain("<svg");
  });
});
