import { DefaultP2PConnectionManager } from "@omni/p2p-core";

const manager = new DefaultP2PConnectionManager();

const connection = await manager.establish(
  {
    endpointId: "knowledge-local",
    storageType: "sqlite",
    database: "./data/knowledge.db",
    metadata: { table: "docs" },
  },
  { endpointId: "knowledge-copy", storageType: "sqlite", database: "./data/copy.db", metadata: { table: "docs" } },
  { batch_size: 100, auto_reconnect: true },
);

console.log(`Connection established: ${connection.connectionId}`);
await manager.close();
