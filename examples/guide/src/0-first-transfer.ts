import { DefaultP2PConnectionManager } from "@omni/p2p-core";

const manager = new DefaultP2PConnectionManager();
try {
  const { connectionId } = await manager.establish(
    "sqlite:./data/knowledge.db?table=docs",
    "sqlite:./data/copy.db?table=docs",
  );
  const { successCount, durationMs } = await manager.transferThroughConnection(connectionId, {});
  console.log(`${successCount} records in ${Math.round(durationMs)} ms`);
} finally {
  await manager.close();
}
