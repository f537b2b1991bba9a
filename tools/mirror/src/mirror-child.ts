// A mirror in a process of its own, to be killed: mirror-child.ts <source> <target> <state folder>. It resumes what it finds there.
// P2P_MIRROR_CALL_MS makes every write and delete take so long. It says "started" when the mirror begins, and its result at the end.
import { setTimeout as sleep } from "node:timers/promises";
import { withCalls } from "@omni/p2p-chaos/wrapped-stores";
import { wrappingManager } from "./stores.ts";

const [source, target, checkpoint] = process.argv.slice(2) as [string, string, string];
const slow = Number(process.env.P2P_MIRROR_CALL_MS ?? 0);

const manager = await wrappingManager([target.replace(/[:+].*/s, "")], (service) =>
  withCalls(service, {
    async writeToTarget(records, options) {
      await sleep(slow);
      return service.writeToTarget(records, options);
    },
    async deleteFromTarget(refs, options) {
      await sleep(slow);
      const result = await service.deleteFromTarget!(refs, options);
      // Also between the delete and what is done after it.
      await sleep(slow);
      return result;
    },
  }),
);
const { connectionId } = await manager.establish(source, target);
console.log("started");
const { successCount, deletedCount, failureCount } = await manager.mirrorThroughConnection(
  connectionId,
  {},
  { deletes: "remove", deadLetters: false, transferId: "killed", checkpoint, resume: true, batchSize: 10 },
);
await manager.close();
console.log(JSON.stringify({ successCount, deletedCount, failureCount }));
