import type { P2PQuery } from "@omni/p2p-core/starter";
import { afterAll, beforeAll, describe, test } from "vitest";
import type { ValueLimits } from "./arbitraries.ts";
import { Bench } from "./bench.ts";
import type { Feature, Lacks } from "./lacks.ts";
import type { AdapterUnderTest } from "./reference.ts";

/** What the groups of checks are written against. */
export interface Suite {
  readonly name: string;
  readonly adapter: AdapterUnderTest;
  /** The other end, where a law needs two stores. */
  readonly pair: AdapterUnderTest;
  readonly values: ValueLimits;
  readonly numRuns: number;
  readonly seed: number | undefined;
  readonly timeoutMs: number;
  readonly lacks: Lacks;
  /** Titles of all checks, as they are defined. */
  readonly titles: string[];
}

/** Ends a check that cannot be run here, and prints why. */
export type Skip = (reason: string) => never;

/** One check: a test with tools of its own. */
export function check(
  suite: Suite,
  title: string,
  run: (bench: Bench, skip: Skip) => Promise<void>,
  needs: readonly Feature[] = [],
): void {
  suite.titles.push(title);
  const lacking = suite.lacks.reasonFor(title, needs);
  test(title, { timeout: suite.timeoutMs }, async (context) => {
    const skip: Skip = (reason) => {
      console.info(`${suite.name}: not run: ${title} (${reason})`);
      return context.skip(reason);
    };
    if (lacking !== undefined) skip(lacking);
    const bench = new Bench(suite.adapter);
    try {
      await run(bench, skip);
    } catch (error) {
      // The check's own error is the news; trouble in tidying up after it is not.
      await bench.release().catch(() => {});
      throw error;
    }
    await bench.release();
  });
}

/** A group of checks. */
export function group(title: string, define: () => void): void {
  describe(title, define);
}

/**
 * A value that the checks of a group share, because making it is dear. It is made before the first of them and
 * released after the last. For things that no check changes.
 */
export function shared<T>(suite: Suite, make: (bench: Bench) => Promise<T>): () => T {
  let made: { readonly value: T } | undefined;
  let bench: Bench;
  beforeAll(async () => {
    bench = new Bench(suite.adapter);
    made = { value: await make(bench) };
  }, suite.timeoutMs);
  afterAll(() => bench.release(), suite.timeoutMs);
  return () => {
    if (made === undefined) throw new Error("what this check shares with others could not be made; see the hook");
    return made.value;
  };
}

/** A query as text, for titles and messages. */
export function queryText(query: P2PQuery): string {
  return JSON.stringify(query, (_, value: unknown) =>
    typeof value === "bigint" ? `${value}n` : value instanceof Uint8Array ? `bytes ${value.join(" ")}` : value,
  );
}
