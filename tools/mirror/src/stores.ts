/** Managers and open stores for the proof, with a counter of what reaches the stores. */
import { DefaultP2PConnectionManager, type P2PStarter, parseEndpoint } from "@omni/p2p-core";
import { installedStarters, loadStarter } from "@omni/p2p-core/engine";
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
  for (const storageType of new Set(storageTypes)) {
    const starter = await starterOf(storageType);
    manager.registerService(storageType, {
      ...starter,
      open: async (endpoint, context) => wrap(await starter.open(endpoint, context), context.role),
    });
  }
  return manager;
}

/** The service with some of its calls replaced; all others go to the service itself. */
export function withCalls(
  service: P2PDataTransferService,
  calls: Partial<P2PDataTransferService>,
): P2PDataTransferService {
  return new Proxy(service, {
    get(from, key) {
      if (Object.hasOwn(calls, key)) return Reflect.get(calls, key);
      const value: unknown = Reflect.get(from, key);
      return typeof value === "function" ? value.bind(from) : value;
    },
  });
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

async function starterOf(storageType: string): Promise<P2PStarter> {
  const installed = installedStarters(import.meta.dirname).find((starter) => starter.storageType === storageType);
  if (!installed) throw new Error(`There is no starter for ${storageType} among the dependencies of the proof`);
  return loadStarter(installed);
}
