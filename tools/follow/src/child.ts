// One follower in a process of its own, to be killed: child.ts <source> <target> <transfer id> <state folder>. It prints a JSON object a
// line: { status }, { lags } with the times from a change's sending to the target's acknowledgement in ms, { error } at its end.
import { withCalls, wrapStores } from "@omni/p2p-chaos/wrapped-stores";
import { DefaultP2PConnectionManager, type FollowHandle, type P2PRecord, parseEndpoint } from "@omni/p2p-core";

const [source, target, transferId, folder] = process.argv.slice(2) as [string, string, string, string];
const tell = (event: object) => process.stdout.write(`${JSON.stringify(event)}\n`);

let follow: FollowHandle | undefined;

function lagOf({ at }: P2PRecord): number {
  return Date.now() - new Date(at as string | Date).getTime();
}

const manager = new DefaultP2PConnectionManager({ appRoot: import.meta.dirname, config: { connection_timeout: 5000 } });
await wrapStores(manager, [parseEndpoint(target).storageType], (service) =>
  withCalls(service, {
    async writeToTarget(records, options) {
      const result = await service.writeToTarget(records, options);
      if (follow?.status === "live") tell({ lags: records.map(lagOf) });
      return result;
    },
    rawTarget: undefined,
  }),
);
const connection = await manager.establish(source, target);
follow = connection.follow(
  {},
  {
    transferId,
    checkpoint: folder,
    deadLetters: false,
    maxDeletes: "all",
    landsWithin: 2000,
    reconnectTimeout: 30_000,
  },
);
tell({ status: follow.status });
follow.events.on("status", ({ to }) => tell({ status: to }));
follow.events.on("lost", ({ error }) => tell({ lost: error.message }));
follow.events.on("caughtUp", () => tell({ caughtUp: true }));
process.once("SIGTERM", () => void follow?.stop());
try {
  const { counts } = await follow.done;
  tell({ counts });
} catch (error) {
  tell({ error: (error as Error).message });
  process.exitCode = 1;
} finally {
  await manager.close({ drainTimeout: 0 });
}
