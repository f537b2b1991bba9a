/** A comparison and a mirror of one direction, in this process. */
import { counted, newManager, type Sent, wrappingManager } from "./stores.ts";

/** What a comparison found. */
export interface VerifyOutcome {
  readonly missing: number;
  readonly different: number;
  readonly extra: number;
  readonly sourceCount: number;
  readonly targetCount: number;
  readonly ms: number;
  /** The most memory that its process has had so far, in MB. */
  readonly peakMb: number;
}

/** What a mirror did. */
export interface MirrorOutcome {
  readonly successCount: number;
  readonly deletedCount: number;
  readonly failureCount: number;
  readonly ms: number;
  readonly peakMb: number;
  /** What reached the stores. */
  readonly sent: Sent;
}

/** What comes of a run of each kind. */
export interface Outcomes {
  readonly verify: { readonly before: VerifyOutcome };
  readonly mirror: { readonly mirror: MirrorOutcome; readonly after: VerifyOutcome; readonly again: MirrorOutcome };
}

const peakMb = () => process.resourceUsage().maxRSS / 1024;

/** Compares. */
export async function runVerify(source: string, target: string): Promise<Outcomes["verify"]> {
  return { before: await verified(source, target) };
}

/** Mirrors, compares, and mirrors once more. */
export async function runMirror(source: string, target: string): Promise<Outcomes["mirror"]> {
  const mirror = await mirrored(source, target);
  return { mirror, after: await verified(source, target), again: await mirrored(source, target) };
}

async function verified(source: string, target: string): Promise<VerifyOutcome> {
  const manager = newManager();
  try {
    const { connectionId } = await manager.establish(source, target);
    const found = await manager.verify(connectionId, {});
    const { missing, different, extra, sourceCount, targetCount, durationMs: ms } = found;
    return { missing, different, extra, sourceCount, targetCount, ms, peakMb: peakMb() };
  } finally {
    await manager.close();
  }
}

async function mirrored(source: string, target: string): Promise<MirrorOutcome> {
  const sent: Sent = { written: 0, deleted: 0 };
  const types = [source, target].map((place) => place.replace(/[:+].*/s, ""));
  const manager = await wrappingManager(types, (service) => counted(service, sent));
  try {
    const { connectionId } = await manager.establish(source, target);
    const options = { deletes: "remove", deadLetters: false } as const;
    const result = await manager.mirrorThroughConnection(connectionId, {}, options);
    const { successCount, deletedCount, failureCount, durationMs: ms } = result;
    return { successCount, deletedCount, failureCount, ms, peakMb: peakMb(), sent };
  } finally {
    await manager.close();
  }
}
