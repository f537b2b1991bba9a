import { DefaultP2PConnectionManager } from "@omni/p2p-core";

const [source, target] = ["sqlite:./data/knowledge.db?table=docs", "sqlite:./data/copy.db?table=docs"];
const manager = new DefaultP2PConnectionManager();
let connection = await manager.establish(source, target);

// Asks both stores. With auto_reconnect, the default, the next transfer would also mend the connection by itself.
if (!(await manager.isHealthy(connection.connectionId))) {
  await manager.closeConnection(connection.connectionId);
  connection = await manager.establish(source, target);
}

console.log(`Connection ${connection.status}, healthy: ${await manager.isHealthy(connection.connectionId)}`);
await manager.close();
