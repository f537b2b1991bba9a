/** One direction of the proof: 1 % changed, 1 % added and 1 % deleted are brought over, and nothing else. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { check } from "@omni/p2p-chaos/report";
import { differencesOf, drift } from "./drift.ts";
import { openStore, type Sent } from "./stores.ts";

/** Peak memory of a mirror beyond that of a comparison of the same sides, in MB. */
const MORE_MB = 50;

/** A comparison in a process of its own. */
export interface VerifyOutcome {
  readonly missing: number;
  readonly different: number;
  readonly extra: number;
  readonly sourceCount: number;
  readonly targetCount: number;
  readonly ms: number;
  /** The most memory of its process so far. */
  readonly peakMb: number;
}

/** A mirror in a process of its own. */
export interface MirrorOutcome {
  readonly successCount: number;
  readonly deletedCount: number;
  readonly failureCount: number;
  readonly ms: number;
  readonly peakMb: number;
  /** What reached the target. */
  readonly sent: Sent;
}

/** What a direction took. */
export interface Measured {
  readonly records: number;
  readonly verifyMs: number;
  readonly mirrorMs: number;
  readonly againMs: number;
  readonly verifyMb: number;
  readonly mirrorMb: number;
}

/**
 * Lets the target fall behind, and mirrors.
 *
 * @param round of this target: other ids differ in each.
 * @throws when anything but the differences was written or deleted, or the sides are not equal afterwards.
 */
export async function proveDirection(
  source: string,
  target: string,
  records: number,
  round: number,
): Promise<Measured> {
  if (!target.startsWith("memory:")) {
    const store = await openStore(target);
    await drift(store, records, round).finally(() => store.close());
  }
  const each = differencesOf(records);
  const run = async (what: "verify" | "mirror") => {
    const script = join(import.meta.dirname, "direction-child.ts");
    const args = [script, what, source, target, String(records), String(round)];
    const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 1 << 24 });
    return JSON.parse(stdout) as { verify: VerifyOutcome; mirror: MirrorOutcome; again: MirrorOutcome };
  };
  const { verify: before } = await run("verify");
  same("the comparison found", before, { missing: each, different: each, extra: each, sourceCount: records });
  const { mirror, verify, again } = await run("mirror");
  same("the mirror did", mirror, { successCount: 2 * each, deletedCount: each, failureCount: 0 });
  same("the target was sent", mirror.sent, { written: 2 * each, deleted: each });
  const equal = { missing: 0, different: 0, extra: 0, sourceCount: records, targetCount: records };
  same("the comparison found afterwards", verify, equal);
  same("the second mirror did", again, { successCount: 0, deletedCount: 0, failureCount: 0 });
  same("the target was sent by the second mirror", again.sent, { written: 0, deleted: 0 });
  const more = mirror.peakMb - before.peakMb;
  check(more <= MORE_MB, `the mirror took ${Math.round(more)} MB more than the comparison`);
  return {
    records,
    ...{
      verifyMs: before.ms,
      mirrorMs: mirror.ms,
      againMs: again.ms,
      verifyMb: before.peakMb,
      mirrorMb: mirror.peakMb,
    },
  };
}

function same<T extends object>(what: string, actual: T, expected: Partial<T>): void {
  for (const [name, value] of Object.entries(expected)) {
    const found = actual[name as keyof T];
    check(found === value, `${what} ${name} ${found}, not ${value}`);
  }
}
