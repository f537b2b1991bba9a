import { median } from "./measure.ts";
import { type Entry, type Growth, thisCommit } from "./results.ts";
import { jobOf, runOnce, type Subject } from "./subject.ts";

/** Times as many records to grow to: as many as there is time for, to move them and to fill the source. */
const FACTORS = [10, 5, 2] as const;
const LONGEST_MS = 240_000;

/** What is over so soon is measured three times: when V8 collects its old objects differs from run to run. */
const SHORT_MS = 30_000;
const REPEATS = 3;

type Grown = Pick<Growth, "timePerRecord" | "peakMb" | "peakMbGrown" | "timerP99">;

/** Measures how a direction grows, from the number of records that its rounds had on, unless another is given. */
export async function measureGrowth(subject: Subject, rounds: Entry, from: number | undefined): Promise<Growth> {
  const records = from ?? rounds.records;
  const small = await jobOf(subject, records);
  const filling = subject.sources.fillMs(subject.from, subject.shape, records);
  const slowest = Math.max((median(rounds.ours) * records) / rounds.records, filling);
  const factor = FACTORS.find((times) => slowest * times <= LONGEST_MS) ?? FACTORS.at(-1)!;
  const large = await jobOf(subject, records * factor);
  const repeats = slowest * factor <= SHORT_MS ? REPEATS : 1;
  const grow = async (which: "ours" | "limit") => {
    const runs: Grown[] = [];
    for (let i = 0; i < repeats; i++) {
      const before = await runOnce(small, which);
      const after = await runOnce(large, which);
      runs.push({
        timePerRecord: after.ms / factor / before.ms,
        peakMb: before.peakMb,
        peakMbGrown: after.peakMb,
        timerP99: Math.max(before.timerP99, after.timerP99),
      });
    }
    return medians(runs);
  };
  // Memory that grows by nature is to be compared with a loop's; elsewhere ours must not grow.
  const ours = await grow("ours");
  const limit = [subject.from, subject.to].includes("memory") ? await grow("limit") : undefined;
  return {
    date: new Date().toISOString(),
    commit: thisCommit(),
    records,
    factor,
    ...ours,
    ...(limit && { limit }),
  };
}

function medians(runs: readonly Grown[]): Grown {
  const of = (figure: keyof Grown) => median(runs.map((run) => run[figure]));
  return {
    timePerRecord: of("timePerRecord"),
    peakMb: of("peakMb"),
    peakMbGrown: of("peakMbGrown"),
    timerP99: of("timerP99"),
  };
}
