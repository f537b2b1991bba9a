import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { endpointOf, type Place } from "./places.ts";

/** Moves all records through a connection with the default settings. */
export async function runOurs(from: Place, to: Place): Promise<void> {
  const manager = new DefaultP2PConnectionManager({ appRoot: import.meta.dirname });
  try {
    const { connectionId } = await manager.establish(endpointOf(from), endpointOf(to));
    const { failureCount, errors } = await manager.transferThroughConnection(connectionId, {});
    if (failureCount > 0) throw new Error(`${failureCount} records failed, the first with: ${errors[0]?.reason}`);
  } finally {
    await manager.close();
  }
}
