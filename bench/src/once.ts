// Runs one direction once, alone in its process, and reports what only a fresh process can tell: peak memory, how late
// timers were, and the time without anything that ran before. `subject.ts` starts it.
import { type Job, report, thisJob } from "./job.ts";
import { runLimit } from "./limits/index.ts";
import { alone } from "./lock.ts";
import { peakMemory, timed, watchTimers } from "./measure.ts";
import { runOurs } from "./ours.ts";
import { SHAPES } from "./shapes.ts";
import { fillMemory } from "./sources.ts";

/** The job of this file. */
export interface OnceJob extends Job {
  readonly which: "ours" | "limit";
}

/** What it reports. */
export interface Once {
  readonly ms: number;
  /** Peak memory of the process, in MB of 2^20 bytes. */
  readonly peakMb: number;
  /** How late a timer of 5 ms was, in ms: the 99th percentile. */
  readonly timerP99: number;
}

const { from, to, shape, file, which } = thisJob<OnceJob>();
await fillMemory(from, file, shape, [which]);
const result = await alone(async () => {
  let timerP99 = 0;
  const ms = await timed(async () => {
    const timers = watchTimers();
    await (which === "limit" ? runLimit(from, to, SHAPES[shape]) : runOurs(from, to));
    timerP99 = timers();
  });
  return { ms, timerP99 };
});
report({ ...result, peakMb: peakMemory() } satisfies Once);
