// One run of a transfer in a process of its own, to be killed: child.ts <source> <target> <transfer id> <state folder> <log>.
// P2P_CHAOS_WRITE_MS makes every write take so long. It says "started" when the transfer begins, and notes in the log how many records it sends, before it sends them.
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type P2PStarter, parseEndpoint } from "@omni/p2p-core";
import { installedStarters, loadStarter } from "@omni/p2p-core/engine";
import { newManager } from "./data.ts";

const [source, target, transferId, checkpoint, log] = process.argv.slice(2) as [string, string, string, string, string];

const slow = Number(process.env.P2P_CHAOS_WRITE_MS ?? 0);

/** The starter, with every write counted. */
function counting(starter: P2PStarter): P2PStarter {
  return {
    ...starter,
    async open(endpoint, context) {
      const service = await starter.open(endpoint, context);
      const writeToTarget: typeof service.writeToTarget = async (records, options) => {
        if (slow > 0) await sleep(slow);
        appendFileSync(log, `${records.length}\n`);
        return service.writeToTarget(records, options);
      };
      return new Proxy(service, { get: (from, key) => (key === "writeToTarget" ? writeToTarget : bound(from, key)) });
    },
  };
}

function bound(from: object, key: string | symbol): unknown {
  const value: unknown = Reflect.get(from, key);
  return typeof value === "function" ? value.bind(from) : value;
}

const { storageType } = parseEndpoint(target);
const installed = installedStarters(import.meta.dirname).find((starter) => starter.storageType === storageType)!;
const manager = newManager();
manager.registerService(storageType, counting(await loadStarter(installed)));
const { connectionId } = await manager.establish(source, target);
console.log("started");
const { totalRecords } = await manager.transferThroughConnection(
  connectionId,
  {},
  { transferId, checkpoint, resume: true, batchSize: 100 },
);
await manager.close();
console.log(`completed ${totalRecords}`);
