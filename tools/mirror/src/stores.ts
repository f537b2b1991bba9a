/** Managers and open stores for the proof, with a counter of what reaches the stores. */
import { starterOf, withCalls, wrapStores } from "@omni/p2p-chaos/wrapped-stores";
import { DefaultP2PConnectionManager, parseEndpoint } from "@omni/p2p-core";
import type { P2PDataTransferService } from "@omni/p2p-core/starter";

const CONNECT_TIMEOUT_MS = 30_000;

/** What was sent to stores, whatever became of it. */
export interface Sent {
  written: number;
  deleted: number;
}

/** A manager that finds the starters among the dependencies of this package. */
export function newManager(): DefaultP2PConnectionManager {
  return new DefaultP2PConnectionManager({
    appRoot: import.meta.dirname,
    config: { connection_timeout: CONNECT_TIMEOUT_MS },
  });
}

/** A manager whose stores of these types are seen through a wrapper. */
export async function wrappingManager(
  storageTypes: readonly string[],
  wrap: (service: P2PDataTransferService, role: "source" | "target") => P2PDataTransferService,
): Promise<DefaultP2PConnectionManager> {
  const manager = newManager();
  await wrapStores(manager, storageTypes, wrap);
  return manager;
}

/** A service whose writes and deletes are counted. */
export function counted(service: P2PDataTransferService, sent: Sent): P2PDataTransferService {
  return withCalls(service, {
    writeToTarget: (records, options) => {
      sent.written += records.length;
      return service.writeToTarget(records, options);
    },
    deleteFromTarget: (refs, options) => {
      sent.deleted += refs.length;
      return service.deleteFromTarget!(refs, options);
    },
  });
}

/** Opens a store without a connection, for what others than the mirror do to it. */
export async function openStore(place: string, role: "source" | "target" = "target"): Promise<P2PDataTransferService> {
  const endpoint = parseEndpoint(place);
  const starter = await starterOf(endpoint.storageType);
  const signal = AbortSignal.timeout(CONNECT_TIMEOUT_MS);
  return starter.open(endpoint, { role, signal, connectTimeoutMs: CONNECT_TIMEOUT_MS });
}
