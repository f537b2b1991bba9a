import { DefaultP2PConnectionManager } from "@omni/p2p-core";

const manager = new DefaultP2PConnectionManager();
const connection = await manager.establish("sqlite:./data/knowledge.db?table=docs", "sqlite:./data/copy.db?table=docs");

const result = await manager.transferThroughConnection(
  connection.connectionId,
  { type: "knowledge", limit: 1000 },
  100,
);

console.log(`Transferred ${result.successCount} records in ${Math.round(result.durationMs)} ms`);
if (result.failureCount > 0) console.warn(`${result.failureCount} failed; they are in ${result.deadLetters}`);
await manager.close();
