import type { EndpointInput, P2PConnectionManager, P2PQuery, TransferResult } from "@omni/p2p-core";

/** Transfers the parts of a query side by side, each on a connection and under a name of its own. */
export async function transferInParts(
  manager: P2PConnectionManager,
  source: EndpointInput,
  target: EndpointInput,
  name: string,
  parts: readonly P2PQuery[],
): Promise<TransferResult[]> {
  return Promise.all(
    parts.map(async (part, number) => {
      await using connection = await manager.establish(source, target, { description: `${name}, part ${number}` });
      // A part that had been completed does nothing; one that was interrupted goes on.
      const options = { transferId: `${name}-${number}`, resume: true };
      // Without `await` the connection would be closed before the transfer has ended.
      return await manager.transferThroughConnection(connection.connectionId, part, options);
    }),
  );
}
