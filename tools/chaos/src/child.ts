// One run of a transfer in a process of its own, to be killed: child.ts <source> <target> <transfer id> <state folder> <log>.
// P2P_CHAOS_WRITE_MS makes every write take so long. It says "started" when the transfer begins, and notes in the log how many records it sends, before it sends them.
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseEndpoint } from "@omni/p2p-core";
import { newManager } from "./data.ts";
import { withCalls, wrapStores } from "./wrapped-stores.ts";

const [source, target, transferId, checkpoint, log] = process.argv.slice(2) as [string, string, string, string, string];

const slow = Number(process.env.P2P_CHAOS_WRITE_MS ?? 0);

const manager = newManager();
await wrapStores(manager, [parseEndpoint(target).storageType], (service) =>
  withCalls(service, {
    async writeToTarget(records, options) {
      if (slow > 0) await sleep(slow);
      appendFileSync(log, `${records.length}\n`);
      return service.writeToTarget(records, options);
    },
  }),
);
const { connectionId } = await manager.establish(source, target);
console.log("started");
const { totalRecords } = await manager.transferThroughConnection(
  connectionId,
  {},
  { transferId, checkpoint, resume: true, batchSize: 100 },
);
await manager.close();
console.log(`completed ${totalRecords}`);
