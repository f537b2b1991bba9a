import { describe, test } from "vitest";
import type { ValueLimits } from "./arbitraries.ts";
import { abortingChecks } from "./checks/aborting.ts";
import { changeChecks } from "./checks/changes.ts";
import { collectionsChecks } from "./checks/collections.ts";
import { connectingChecks } from "./checks/connecting.ts";
import { contractChecks } from "./checks/contract.ts";
import { deletingChecks } from "./checks/deleting.ts";
import { filteringChecks } from "./checks/filtering.ts";
import { identityChecks } from "./checks/identity.ts";
import { idChecks } from "./checks/ids.ts";
import { inspectingChecks } from "./checks/inspecting.ts";
import { leasingChecks } from "./checks/leasing.ts";
import { lookUpChecks } from "./checks/looking-up.ts";
import { partitionChecks } from "./checks/partitioning.ts";
import { rawLaneChecks } from "./checks/raw-lane.ts";
import { readingChecks } from "./checks/reading.ts";
import { resumingChecks } from "./checks/resuming.ts";
import { roundTripChecks } from "./checks/round-trip.ts";
import { sortingChecks } from "./checks/sorting.ts";
import { transferChecks } from "./checks/transferring.ts";
import { verifyingChecks } from "./checks/verifying.ts";
import { writingChecks } from "./checks/writing.ts";
import { type Lack, Lacks } from "./lacks.ts";
import { type AdapterUnderTest, referenceAdapter } from "./reference.ts";
import type { Suite } from "./suite.ts";

/** What {@link describeConformance} is told. */
export interface ConformanceOptions extends AdapterUnderTest {
  /** How the adapter is called in the test output. */
  readonly name: string;
  /** What the store cannot do. Checks that need it are printed as not run, with the reason. */
  readonly lacks?: readonly Lack[];
  /** Bounds on generated values. Kinds that `capabilities.valueTypes` calls unsupported are left out by themselves. */
  readonly values?: ValueLimits;
  /** How often each property is tried. Default 10. */
  readonly numRuns?: number;
  /** Where the random values start. Default: elsewhere each time; a failure prints its seed. */
  readonly seed?: number;
  /** The other end where a law needs two stores. Default: {@link referenceAdapter}. */
  readonly pair?: AdapterUnderTest;
  /** Which checks, by the names of their groups: for a stand-in that has a part of the store. Default: all of them. */
  readonly groups?: readonly (keyof typeof GROUPS)[];
  /** The time that one check may take, in milliseconds. Default 30,000. */
  readonly timeoutMs?: number;
}

/**
 * Defines the tests that every adapter passes. Call it at the top of a vitest file, or inside a `describe`.
 *
 * @example
 * ```ts
 * describeConformance({
 *   name: "sqlite",
 *   starter: sqliteStarter,
 *   async createEndpoint() {
 *     const folder = await mkdtemp(join(tmpdir(), "p2p-"));
 *     return {
 *       endpoint: `sqlite:${folder}/test.db?table=records`,
 *       dispose: () => rm(folder, { recursive: true }),
 *     };
 *   },
 * });
 * ```
 */
export function describeConformance(options: ConformanceOptions): void {
  const names = options.groups ?? (Object.keys(GROUPS) as (keyof typeof GROUPS)[]);
  describeGroups(
    options,
    names.map((name) => GROUPS[name]),
  );
}

/** The groups of checks, in the order in which they are run. */
export const GROUPS = {
  contract: contractChecks,
  connecting: connectingChecks,
  reading: readingChecks,
  resuming: resumingChecks,
  filtering: filteringChecks,
  sorting: sortingChecks,
  partitions: partitionChecks,
  writing: writingChecks,
  roundTrip: roundTripChecks,
  ids: idChecks,
  lookUps: lookUpChecks,
  deletes: deletingChecks,
  changes: changeChecks,
  leases: leasingChecks,
  identity: identityChecks,
  aborting: abortingChecks,
  transfers: transferChecks,
  verifying: verifyingChecks,
  rawLane: rawLaneChecks,
  inspecting: inspectingChecks,
  collections: collectionsChecks,
} as const satisfies Record<string, (suite: Suite) => void>;

/** {@link describeConformance} with some of the groups only: for the suite's own tests. */
export function describeGroups(options: ConformanceOptions, groups: readonly ((suite: Suite) => void)[]): void {
  const suite: Suite = {
    name: options.name,
    adapter: { starter: options.starter, createEndpoint: options.createEndpoint },
    pair: options.pair ?? referenceAdapter(),
    values: options.values ?? {},
    numRuns: options.numRuns ?? 10,
    seed: options.seed,
    timeoutMs: options.timeoutMs ?? 30_000,
    lacks: new Lacks(options.lacks ?? []),
    titles: [],
  };
  describe(`${options.name} conformance`, () => {
    for (const define of groups) define(suite);
    if ((options.lacks ?? []).length > 0 && groups.length === Object.keys(GROUPS).length) {
      test("every lack names a feature or a check", () => suite.lacks.assertAllUsed(suite.titles));
    }
  });
}
