import { DefaultP2PConnectionManager, type P2PStarter } from "@omni/p2p-core";
import { endsWithin } from "@omni/p2p-core/starter";
import { FlowProducer, Queue } from "bullmq";
import type { Redis } from "ioredis";
import { TappedBridge } from "../endpoints/taps.ts";
import { QUEUE } from "../protocol.ts";
import { type EngineKeys, engineKeys } from "../state/keys.ts";

/** How long stores stay open between two partitions, in ms. */
const STORE_TTL_MS = 30_000;
/** How long what is closed may take, in ms. */
const CLOSE_MS = 1000;

/** What a process that does jobs holds open. */
export interface WorkerPlace {
  readonly keys: EngineKeys;
  readonly bridge: TappedBridge;
  readonly manager: DefaultP2PConnectionManager;
  readonly queue: Queue;
  readonly flows: FlowProducer;
  close(): Promise<void>;
}

/** Opens what is needed to do jobs. The client of Redis is closed by whoever made it. */
export function openPlace(
  redis: Redis,
  prefix: string,
  starters: readonly P2PStarter[],
  appRoot: string | undefined,
  trouble: (error: Error) => void,
): WorkerPlace {
  const bridge = new TappedBridge();
  const manager = new DefaultP2PConnectionManager({
    bridge,
    pool: { idleTtl: STORE_TTL_MS },
    ...(appRoot !== undefined && { appRoot }),
  });
  for (const starter of starters) manager.registerService(starter.storageType, starter);
  const place = { connection: redis, prefix };
  const queue = new Queue(QUEUE, place);
  const flows = new FlowProducer(place);
  queue.on("error", trouble);
  flows.on("error", trouble);
  return {
    ...{ keys: engineKeys(prefix), bridge, manager, queue, flows },
    async close() {
      await manager.close({ drainTimeout: 0 });
      await endsWithin(Promise.allSettled([queue.close(), flows.close()]), CLOSE_MS);
    },
  };
}
