import { DefaultP2PConnectionManager } from "@omni/p2p-core";

const manager = new DefaultP2PConnectionManager();
const connection = await manager.establish("sqlite:./data/knowledge.db?table=docs", "sqlite:./data/copy.db?table=docs");

for (let page = 0; page < 10; page++) {
  const result = await manager.transferThroughConnection(connection.connectionId, { offset: page * 100, limit: 100 });
  console.log(`Page ${page}: ${result.successCount} records`);
}
await manager.close();
