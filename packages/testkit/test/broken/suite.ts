import { describeGroups, GROUPS } from "../../src/conformance.ts";
import type { Lack } from "../../src/index.ts";
import type { BrokenAdapter } from "./sabotage.ts";

/** What is dear, and finds nothing in these adapters that other checks do not. */
const lacks: readonly Lack[] = [{ what: "large records", reason: "takes long" }];

/**
 * Runs groups of the suite on broken adapters. Only `../broken.test.ts` starts these files, in a vitest of its own,
 * since almost everything in them is meant to fail somewhere.
 */
export function describeBroken(
  adapters: Readonly<Record<string, BrokenAdapter>>,
  groups: readonly (keyof typeof GROUPS)[],
): void {
  for (const [name, { adapter }] of Object.entries(adapters)) {
    describeGroups(
      { name, ...adapter, numRuns: 4, seed: 1, timeoutMs: 3000, lacks },
      groups.map((group) => GROUPS[group]),
    );
  }
}
