import { median } from "./measure.ts";
import { type Entry, type Growth, thisCommit } from "./results.ts";
import { jobOf, runOnce, type Subject } from "./subject.ts";

/** Times as many records to grow to: as many as there is time for, to move them and to fill the source. */
const FACTORS = [10, 5, 2] as const;
const LONGEST_MS = 240_000;

/** Measures how a direction grows from the number of records that its rounds had. */
export async function measureGrowth(subject: Subject, { records, ours: rounds }: Entry): Promise<Growth> {
  const small = await jobOf(subject, records);
  const filling = subject.sources.fillMs(subject.from, subject.shape, records);
  const slowest = Math.max(median(rounds), filling);
  const factor = FACTORS.find((times) => slowest * times <= LONGEST_MS) ?? FACTORS.at(-1)!;
  const large = await jobOf(subject, records * factor);
  const grow = async (which: "ours" | "limit") => {
    const before = await runOnce(small, which);
    const after = await runOnce(large, which);
    return {
      timePerRecord: after.ms / factor / before.ms,
      peakMb: before.peakMb,
      peakMbGrown: after.peakMb,
      timerP99: Math.max(before.timerP99, after.timerP99),
    };
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
