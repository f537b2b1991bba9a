// One measured run of a direction, in a process of its own: direction-child.ts <verify|mirror> <source> <target> <records> <round>.
// A memory store lives in this process, so it is filled here. Prints one line of JSON.

import type { MirrorOutcome, VerifyOutcome } from "./direction.ts";
import { drift, fill } from "./drift.ts";
import { counted, newManager, openStore, type Sent, wrappingManager } from "./stores.ts";

const [what, source, target, count, round] = process.argv.slice(2) as [string, string, string, string, string];
const records = Number(count);

const isMemory = (place: string) => place.startsWith("memory:");
for (const place of [source, target].filter(isMemory)) {
  const store = await openStore(place);
  await fill(store, records);
  if (place === target) await drift(store, records, Number(round));
  await store.close();
}

/** The most memory that this process has had, in MB. */
const peak = () => process.resourceUsage().maxRSS / 1024;

async function verified(): Promise<VerifyOutcome> {
  const manager = newManager();
  const { connectionId } = await manager.establish(source, target);
  const { missing, different, extra, sourceCount, targetCount, durationMs } = await manager.verify(connectionId, {});
  await manager.close();
  return { missing, different, extra, sourceCount, targetCount, ms: durationMs, peakMb: peak() };
}

async function mirrored(): Promise<MirrorOutcome> {
  const sent: Sent = { written: 0, deleted: 0 };
  const types = [source, target].map((place) => place.replace(/[:+].*/s, ""));
  const manager = await wrappingManager(types, (service) => counted(service, sent));
  const { connectionId } = await manager.establish(source, target);
  const { successCount, deletedCount, failureCount, durationMs } = await manager.mirrorThroughConnection(
    connectionId,
    {},
    { deletes: "remove", deadLetters: false },
  );
  await manager.close();
  return { successCount, deletedCount, failureCount, ms: durationMs, peakMb: peak(), sent };
}

const outcome =
  what === "verify"
    ? { verify: await verified() }
    : { mirror: await mirrored(), verify: await verified(), again: await mirrored() };
console.log(JSON.stringify(outcome));
