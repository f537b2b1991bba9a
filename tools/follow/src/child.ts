// One follower in a process of its own, to be killed: child.ts <source> <target> <transfer id> <state folder>. It prints a JSON object a
// line: { status }, { lags } with the times from a change's sending to the target's acknowledgement in ms, { error } at its end.
import { DefaultP2PConnectionManager, type FollowHandle, type P2PRecord, parseEndpoint } from "@omni/p2p-core";
import { installedStarters, loadStarter } from "@omni/p2p-core/engine";
import type { P2PStarter } from "@omni/p2p-core/starter";

const [source, target, transferId, folder] = process.argv.slice(2) as [string, string, string, string];
const tell = (event: object) => process.stdout.write(`${JSON.stringify(event)}\n`);

let follow: FollowHandle | undefined;

/** The starter, with the time noted at which each write is acknowledged. */
function timed(starter: P2PStarter): P2PStarter {
  return {
    ...starter,
    async open(endpoint, context) {
      const service = await starter.open(endpoint, context);
      const writeToTarget: typeof service.writeToTarget = async (records, options) => {
        const result = await service.writeToTarget(records, options);
        if (follow?.status === "live") tell({ lags: records.map(lagOf) });
        return result;
      };
      const hidden: Readonly<Record<string | symbol, unknown>> = { writeToTarget, rawTarget: undefined };
      return new Proxy(service, { get: (from, key) => (key in hidden ? hidden[key] : bound(from, key)) });
    },
  };
}

function lagOf({ at }: P2PRecord): number {
  return Date.now() - new Date(at as string | Date).getTime();
}

function bound(from: object, key: string | symbol): unknown {
  const value: unknown = Reflect.get(from, key, from);
  return typeof value === "function" ? value.bind(from) : value;
}

const manager = new DefaultP2PConnectionManager({ appRoot: import.meta.dirname, config: { connection_timeout: 5000 } });
const { storageType } = parseEndpoint(target);
const installed = installedStarters(import.meta.dirname).find((starter) => starter.storageType === storageType)!;
manager.registerService(storageType, timed(await loadStarter(installed)));
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
