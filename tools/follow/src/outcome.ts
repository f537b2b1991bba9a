/** What a trial found, as a row of the table that the proof ends with. */
import type { Feed } from "./feeds.ts";

export interface Outcome {
  readonly feed: string;
  readonly targets: string;
  /** Changes a second: those that were aimed at, and those that the source took. */
  readonly rate: string;
  readonly changes: string;
  /** Disturbances, of which each was felt. */
  readonly kills: string;
  readonly cuts: number;
  readonly losses: string;
  readonly mirrors: number;
  /** From the commit in the source to the acknowledgement of the target by one clock, in ms, undisturbed. */
  readonly "lag, median": number | undefined;
  readonly "lag, 99 %": number | undefined;
  /** What a thousand changes of one record cost, at the target that wrote most. */
  readonly "writes of 1000": number;
  /** Seconds until an idle position was saved anew. */
  readonly "idle save": string;
  /** Growth of the heap in MB, where one follower ran undisturbed long enough. */
  readonly memory: string;
  readonly "equal after": string;
  /** Missing, extra and different records at rest, of both targets. */
  readonly verify: string;
}

/** The row of a trial that failed, beside those that did not. */
export interface Failure {
  readonly feed: string;
  readonly targets: string;
  readonly failed: string;
}

export function failureOf({ source, targets }: Feed, error: unknown): Failure {
  return { feed: source, targets: targets.join(", "), failed: (error as Error).message };
}
