import { DefaultP2PConnectionManager } from "@omni/p2p-core";

const manager = new DefaultP2PConnectionManager();
const connection = await manager.establish("sqlite:./data/knowledge.db?table=docs", "sqlite:./data/copy.db?table=docs");
await manager.transferThroughConnection(connection.connectionId, {});

const statistics = manager.getConnectionStatistics(connection.connectionId);
console.log(`Total transfers: ${statistics.total_transfers}`);
console.log(`Total records: ${statistics.total_records_transferred}`);
console.log(`Average duration: ${Math.round(statistics.avg_duration_ms)} ms`);
console.log(`Last transfer: ${statistics.last_transfer_time}`);
await manager.close();
