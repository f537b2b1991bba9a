/** Decorators: a manager whose stores are seen through a wrapper, which counts, slows down or spoils their calls. */
import type { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { installedStarters, loadStarter } from "@omni/p2p-core/engine";
import type { P2PDataTransferService, P2PStarter } from "@omni/p2p-core/starter";

/** The starter of a storage type, among the dependencies of this package. */
export async function starterOf(storageType: string): Promise<P2PStarter> {
  const installed = installedStarters(import.meta.dirname).find((starter) => starter.storageType === storageType);
  if (!installed) throw new Error(`There is no starter for ${storageType} among the dependencies of the proof`);
  return loadStarter(installed);
}

/** Lets a manager see its stores of these types through a wrapper. */
export async function wrapStores(
  manager: DefaultP2PConnectionManager,
  storageTypes: readonly string[],
  wrap: (service: P2PDataTransferService, role: "source" | "target") => P2PDataTransferService,
): Promise<void> {
  for (const storageType of new Set(storageTypes)) {
    const starter = await starterOf(storageType);
    manager.registerService(storageType, {
      ...starter,
      open: async (endpoint, context) => wrap(await starter.open(endpoint, context), context.role),
    });
  }
}

/** The service with some of its calls replaced, or taken away by `undefined`; all others go to the service itself. */
export function withCalls(
  service: P2PDataTransferService,
  calls: { readonly [Call in keyof P2PDataTransferService]?: P2PDataTransferService[Call] | undefined },
): P2PDataTransferService {
  return new Proxy(service, {
    get(from, key) {
      if (Object.hasOwn(calls, key)) return Reflect.get(calls, key);
      const value: unknown = Reflect.get(from, key);
      return typeof value === "function" ? value.bind(from) : value;
    },
  });
}
