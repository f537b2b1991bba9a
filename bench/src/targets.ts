import { readFileSync } from "node:fs";
import { join } from "node:path";
import { matchesDirection } from "./places.ts";
import type { Entry } from "./results.ts";
import type { ShapeName } from "./shapes.ts";

/** Where it is told why a target is missed. */
const REASONS_FILE = join(import.meta.dirname, "..", "results", "reasons.json");

/** The names of what is to be reached. */
export type TargetName = "bestLoop" | "usualLoop" | "elasticdump" | "growth" | "memoryGrowth" | "peakMemory" | "timers";

/** What is to be reached, and by which directions. */
interface Target {
  readonly name: TargetName;
  /** The figure that is judged; `undefined` where the target does not apply, or nothing was measured. */
  readonly figure: (entry: Entry) => number | undefined;
  readonly bound: number;
  readonly better: "more" | "less";
}

const NETWORK_TARGET = /-> (redis|mongodb|elasticsearch|postgresql)$/;
const STEADY_MEMORY = /^sqlite -> (sqlite|redis)$/;

/** All that is to be reached. */
export const TARGETS: readonly Target[] = [
  { name: "bestLoop", figure: ({ ofLimit }) => ofLimit, bound: 0.9, better: "more" },
  {
    name: "usualLoop",
    figure: ({ direction, timesUsual }) => (NETWORK_TARGET.test(direction) ? timesUsual : undefined),
    bound: 10,
    better: "more",
  },
  {
    name: "elasticdump",
    figure: ({ direction, timesElasticdump }) =>
      direction === "elasticsearch -> elasticsearch" ? timesElasticdump : undefined,
    bound: 3,
    better: "more",
  },
  { name: "growth", figure: ({ growth }) => growth?.timePerRecord, bound: 1.2, better: "less" },
  {
    name: "memoryGrowth",
    figure: ({ direction, growth }) =>
      STEADY_MEMORY.test(direction) && growth ? growth.peakMbGrown / growth.peakMb : undefined,
    bound: 1.25,
    better: "less",
  },
  {
    name: "peakMemory",
    figure: ({ direction, growth }) => (direction === "sqlite -> redis" ? growth?.peakMbGrown : undefined),
    bound: 300,
    better: "less",
  },
  { name: "timers", figure: ({ growth }) => growth?.timerP99, bound: 50, better: "less" },
];

/** A target that a direction does not reach. */
export interface Miss {
  readonly entry: Entry;
  readonly target: Target;
  readonly figure: number;
}

/** What the entries do not reach. */
export function missesOf(entries: readonly Entry[]): Miss[] {
  return entries.flatMap((entry) =>
    TARGETS.flatMap((target) => {
      const figure = target.figure(entry);
      if (figure === undefined) return [];
      const reached = target.better === "more" ? figure >= target.bound : figure <= target.bound;
      return reached ? [] : [{ entry, target, figure }];
    }),
  );
}

/** Why some directions do not reach a target. */
export interface Reason {
  /** Such as `* -> mongodb`. */
  readonly directions: string;
  /** Default: every shape. */
  readonly shape?: ShapeName;
  readonly target: TargetName;
  readonly en: string;
  readonly zh?: string;
}

/** The reasons that were found so far. */
export function readReasons(): readonly Reason[] {
  return JSON.parse(readFileSync(REASONS_FILE, "utf8")) as readonly Reason[];
}

/** The first reason that applies. */
export function reasonOf({ entry, target }: Miss, reasons: readonly Reason[]): Reason | undefined {
  return reasons.find(
    (reason) =>
      reason.target === target.name &&
      (reason.shape ?? entry.shape) === entry.shape &&
      matchesDirection(reason.directions, entry.direction),
  );
}
