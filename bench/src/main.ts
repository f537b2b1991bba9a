import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { sourceFile } from "./data.ts";
import { directions } from "./directions.ts";
import { median, timed } from "./measure.ts";

const RECORDS = Number(process.env.P2P_BENCH_RECORDS ?? 200_000);
const ROUNDS = Number(process.env.P2P_BENCH_ROUNDS ?? 5);
const GROWTH = 10;

/** What a fresh process says of one run. */
interface Once {
  readonly ms: number;
  readonly peakMb: number;
  readonly timerP99: number;
}

function once(name: string, records: number, which: "ours" | "limit" = "ours"): Once {
  return JSON.parse(
    execFileSync("node", [join(import.meta.dirname, "once.ts"), name, String(records), which], { encoding: "utf8" }),
  ) as Once;
}

const results = [];
for (const { name, ours, limit } of directions) {
  const file = sourceFile(RECORDS);
  const rounds: { ours: number; limit: number }[] = [];
  for (let round = 0; round < ROUNDS; round++)
    rounds.push({ limit: await timed(() => limit(file)), ours: await timed(() => ours(file)) });
  const small = once(name, RECORDS);
  sourceFile(RECORDS * GROWTH);
  const large = once(name, RECORDS * GROWTH);
  const loop = once(name, RECORDS * GROWTH, "limit");
  results.push({
    direction: name,
    recordsPerSecond: Math.round((RECORDS * 1000) / median(rounds.map((round) => round.ours))),
    ofLimit: median(rounds.map((round) => round.limit / round.ours)),
    timePerRecordGrowth: large.ms / GROWTH / small.ms,
    peakMemoryGrowth: large.peakMb / small.peakMb,
    peakMb: large.peakMb,
    peakMbOfLimit: loop.peakMb,
    timerP99: Math.max(small.timerP99, large.timerP99),
  });
}

const round = (value: number) => Math.round(value * 100) / 100;
console.log(
  `${RECORDS.toLocaleString("en")} records of about 600 bytes, medians of ${ROUNDS} alternating rounds; growth to ${GROWTH} times as many\n`,
);
console.log("A target in memory holds every record, so its peak grows with them: compare it with the loop's.\n");
console.table(
  results.map((result) => ({
    direction: result.direction,
    "records/s": result.recordsPerSecond.toLocaleString("en"),
    "of the best loop": round(result.ofLimit),
    "time/record grows": round(result.timePerRecordGrowth),
    "peak memory grows": round(result.peakMemoryGrowth),
    "peak MB": Math.round(result.peakMb),
    "peak MB of the loop": Math.round(result.peakMbOfLimit),
    "timer late p99 ms": round(result.timerP99),
  })),
);
const folder = join(import.meta.dirname, "..", "results");
mkdirSync(folder, { recursive: true });
const machine = { node: process.version, cpu: cpus()[0]?.model, cores: cpus().length };
writeFileSync(
  join(folder, "embedded.json"),
  `${JSON.stringify({ machine, records: RECORDS, rounds: ROUNDS, results }, null, 2)}\n`,
);
