import { setTimeout as sleep } from "node:timers/promises";
import type { P2PStarter } from "@omni/p2p-core";
import { boundService } from "@omni/p2p-core/engine";
import type { P2PDataTransferService } from "@omni/p2p-core/starter";

/** What a network adds to each batch, in ms. */
export const LATENCY_MS = 20;

/** A starter whose stores take their time for every batch that is written, as if they were far away. */
export function delayedStarter(storageType: string, starter: P2PStarter): P2PStarter {
  return {
    storageType,
    contractVersion: starter.contractVersion,
    options: starter.options,
    async open(endpoint, context) {
      const store = await starter.open({ ...endpoint, storageType: starter.storageType }, context);
      const far: P2PDataTransferService = {
        ...boundService(store),
        async writeToTarget(records, options) {
          await sleep(LATENCY_MS, undefined, { signal: options.signal });
          return store.writeToTarget(records, options);
        },
      };
      return far;
    },
  };
}
