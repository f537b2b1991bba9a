import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { warmUp } from "./warm-up.ts";

const {
  MONGODB_URL: mongodb = "mongodb://localhost:27017/shop?collection=products",
  REDIS_URL: redis = "redis://localhost:6379/0",
} = process.env;

await using manager = new DefaultP2PConnectionManager();
const { successCount, failureCount, durationMs } = await warmUp(manager, mongodb, redis, { products: 1000, ttl: 3600 });
console.log(`${successCount} products in the cache after ${Math.round(durationMs)} ms, ${failureCount} failed`);
// A cache that is not quite warm is no reason not to start; one that takes nothing is.
if (successCount === 0) process.exitCode = 1;
