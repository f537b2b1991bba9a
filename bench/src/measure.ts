import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Time in ms that a piece of work takes, after a collection of garbage. */
export async function timed(work: () => unknown): Promise<number> {
  collectGarbage();
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** The median of some numbers. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Watches how late a timer of 5 ms fires, in ms; call the function it returns for the 99th percentile. */
export function watchTimers(): () => number {
  const late: number[] = [];
  let due = performance.now() + 5;
  const tick = () => {
    late.push(Math.max(0, performance.now() - due));
    due = performance.now() + 5;
    timer = setTimeout(tick, 5);
  };
  let timer = setTimeout(tick, 5);
  return () => {
    clearTimeout(timer);
    return late.sort((a, b) => a - b)[Math.floor(late.length * 0.99)] ?? 0;
  };
}

/**
 * Peak memory of this process so far, in MB of 2^20 bytes: the "high water mark" of proc_pid_status(5) on Linux, where
 * the maxRSS of getrusage(2) is at least what the parent process had when it started this one.
 */
export function peakMemory(): number {
  if (process.platform !== "linux") return process.resourceUsage().maxRSS / 1024;
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return Number(kilobytes) / 1024;
}
