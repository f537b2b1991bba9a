/** One direction of the proof: 1 % changed, 1 % added and 1 % deleted are brought over, and nothing else. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { check } from "@omni/p2p-chaos/report";
import { differencesOf, drift } from "./drift.ts";
import { type Outcomes, runMirror } from "./runs.ts";
import { openStore } from "./stores.ts";

/** Peak memory of a mirror beyond that of a comparison of the same sides, in MB. */
const MORE_MB = 50;

/** A direction with its content. */
export interface Direction {
  readonly source: string;
  readonly target: string;
  readonly records: number;
  /** Of this target: other ids differ in each. */
  readonly round: number;
}

/** What a direction took. */
export interface Measured {
  readonly verifyMs: number;
  readonly mirrorMs: number;
  readonly againMs: number;
  readonly verifyMb: number;
  readonly mirrorMb: number;
}

/**
 * Lets the target fall behind, and mirrors in this process.
 *
 * @throws when anything but the differences was written or deleted, or the sides are not equal afterwards.
 */
export async function proveDirection(direction: Direction): Promise<void> {
  await fallBehind(direction);
  judge(direction, await runMirror(direction.source, direction.target));
}

/** The same with a comparison before and the mirror in a process each, so that the memory of the two can be told. */
export async function measureDirection(direction: Direction): Promise<Measured> {
  await fallBehind(direction);
  const each = differencesOf(direction.records);
  const { before } = await inChild("verify", direction);
  const found = { missing: each, different: each, extra: each, sourceCount: direction.records };
  same("the comparison found", before, found);
  const outcomes = await inChild("mirror", direction);
  judge(direction, outcomes);
  const { mirror, again } = outcomes;
  const more = mirror.peakMb - before.peakMb;
  check(more <= MORE_MB, `the mirror took ${Math.round(more)} MB more than the comparison`);
  return {
    ...{ verifyMs: before.ms, mirrorMs: mirror.ms, againMs: again.ms },
    ...{ verifyMb: before.peakMb, mirrorMb: mirror.peakMb },
  };
}

async function fallBehind({ target, records, round }: Direction): Promise<void> {
  const store = await openStore(target);
  await drift(store, records, round).finally(() => store.close());
}

function judge({ records }: Direction, { mirror, after, again }: Outcomes["mirror"]): void {
  const each = differencesOf(records);
  same("the mirror did", mirror, { successCount: 2 * each, deletedCount: each, failureCount: 0 });
  same("the target was sent", mirror.sent, { written: 2 * each, deleted: each });
  const equal = { missing: 0, different: 0, extra: 0, sourceCount: records, targetCount: records };
  same("the comparison found afterwards", after, equal);
  same("the second mirror did", again, { successCount: 0, deletedCount: 0, failureCount: 0 });
  same("the target was sent by the second mirror", again.sent, { written: 0, deleted: 0 });
}

async function inChild<What extends keyof Outcomes>(what: What, direction: Direction): Promise<Outcomes[What]> {
  const { source, target, records, round } = direction;
  const script = join(import.meta.dirname, "direction-child.ts");
  const args = [script, what, source, target, String(records), String(round)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 1 << 24 });
  return JSON.parse(stdout) as Outcomes[What];
}

function same<T extends object>(what: string, actual: T, expected: Partial<T>): void {
  for (const [name, value] of Object.entries(expected)) {
    const found = actual[name as keyof T];
    check(found === value, `${what} ${name} ${found}, not ${value}`);
  }
}
