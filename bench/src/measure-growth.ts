import { median } from "./measure.ts";
import { type Entry, type Growth, thisCommit } from "./results.ts";
import { jobOf, runOnce, type Subject } from "./subject.ts";

/** Times as many records to grow to: as many as there is time for, to move them and to fill the source. */
const FACTORS = [10, 5, 2] as const;
const LONGEST_MS = 240_000;

/** Measures how a direction grows from the number of records that its rounds had. */
export async function measureGrowth(subject: Subject, { records, ours }: Entry): Promise<Growth> {
  const small = await jobOf(subject, records);
  const filling = subject.sources.fillMs(subject.from, subject.shape, records);
  const slowest = Math.max(median(ours), filling);
  const factor = FACTORS.find((times) => slowest * times <= LONGEST_MS) ?? FACTORS.at(-1)!;
  const before = await runOnce(small, "ours");
  const large = await jobOf(subject, records * factor);
  const after = await runOnce(large, "ours");
  // Memory that grows by nature is to be compared with a loop's; elsewhere ours must not grow.
  const loop = [subject.from, subject.to].includes("memory") ? await runOnce(large, "limit") : undefined;
  return {
    date: new Date().toISOString(),
    commit: thisCommit(),
    records,
    factor,
    timePerRecord: after.ms / factor / before.ms,
    peakMb: before.peakMb,
    peakMbGrown: after.peakMb,
    ...(loop && { peakMbOfLimit: loop.peakMb }),
    timerP99: Math.max(before.timerP99, after.timerP99),
  };
}
