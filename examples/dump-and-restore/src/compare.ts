import type { DefaultP2PConnectionManager } from "@omni/p2p-core";

/** Copies all records, and reads both sides again to compare them. */
export async function copyAndCompare(
  manager: DefaultP2PConnectionManager,
  source: string,
  target: string,
): Promise<{ readonly records: number; readonly equal: boolean }> {
  const { connectionId } = await manager.establish(source, target);
  const { successCount: records } = await manager.transferThroughConnection(connectionId, {});
  const { equal } = await manager.verify(connectionId, {});
  return { records, equal };
}
