import { parentPort, workerData } from "node:worker_threads";
import * as fc from "fast-check";
import { hostile } from "../../../packages/core/test/support/hostile.ts";
import { isFine, PARSERS } from "./parsers.ts";

/** What the thread that tries the parsers is given. */
export interface RandomTask {
  readonly seed: number;
  readonly runs: number;
  /** Counts the texts tried, and tells the number of the parser, for whoever watches over it. */
  readonly progress: Int32Array;
}

/** What became of a parser. */
export interface RandomResult {
  readonly name: string;
  /** The counterexample that was found, if any. */
  readonly trouble?: string;
}

// In a thread of its own, so that a parser that hangs can be ended and named.
const { seed, runs, progress } = workerData as RandomTask;

for (const [index, { name, parse }] of PARSERS.entries()) {
  Atomics.store(progress, 1, index);
  const property = fc.asyncProperty(hostile, async (text) => {
    Atomics.add(progress, 0, 1);
    try {
      await parse(text);
    } catch (error) {
      if (!isFine(error)) throw error;
    }
  });
  const found = await fc.check(property, { seed, numRuns: runs });
  const trouble = found.failed ? `${JSON.stringify(found.counterexample)}: ${String(found.errorInstance)}` : undefined;
  parentPort!.postMessage({ name, ...(trouble && { trouble: trouble.slice(0, 500) }) } satisfies RandomResult);
}
