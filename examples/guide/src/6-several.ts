import { DefaultP2PConnectionManager } from "@omni/p2p-core";

const mongo = process.env.MONGODB_URL ?? "mongodb://localhost:27017/app?collection=docs";
const redis = process.env.REDIS_URL ?? "redis://localhost:6379/0?prefix=docs:";

const manager = new DefaultP2PConnectionManager();
const intoMongo = await manager.establish("sqlite:./data/knowledge.db?table=docs", mongo);
await manager.transferThroughConnection(intoMongo.connectionId, {});

const warmUp = await manager.establish(mongo, redis, { description: "cache warm-up" });
await manager.transferThroughConnection(warmUp.connectionId, { type: "knowledge" });

for (const { sourceEndpoint, targetEndpoint, status } of manager.getActiveConnections()) {
  console.log(`${sourceEndpoint.storageType} -> ${targetEndpoint.storageType} (${status})`);
}
await manager.close();
