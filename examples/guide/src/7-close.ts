import { DefaultP2PConnectionManager } from "@omni/p2p-core";

const manager = new DefaultP2PConnectionManager();
const connection = await manager.establish("sqlite:./data/knowledge.db?table=docs", "sqlite:./data/copy.db?table=docs");

try {
  await manager.transferThroughConnection(connection.connectionId, {});
} finally {
  const closed = await manager.closeConnection(connection.connectionId);
  console.log(closed ? "Connection closed" : "There was no such connection");
}
await manager.close();
