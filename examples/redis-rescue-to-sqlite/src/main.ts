import { mkdirSync } from "node:fs";
import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { rescue, restore } from "./rescue.ts";

const [command, file = "data/rescue.db"] = process.argv.slice(2);
const redis = process.env.REDIS_URL ?? "redis://localhost:6379/0";

await using manager = new DefaultP2PConnectionManager();
switch (command) {
  case "rescue": {
    mkdirSync("data", { recursive: true });
    const { dumps, readable } = await rescue(manager, redis, file);
    console.log(`${dumps.successCount} keys saved, ${dumps.failureCount} failed`);
    console.log(`${readable.successCount} keys readable, ${readable.failureCount} failed`);
    if (dumps.failureCount > 0) process.exitCode = 1;
    break;
  }
  case "restore": {
    const { successCount, skippedCount, failureCount } = await restore(manager, file, redis);
    console.log(`${successCount} keys restored, ${skippedCount} had expired, ${failureCount} failed`);
    if (failureCount > 0) process.exitCode = 1;
    break;
  }
  default:
    console.error("Say what to do: node src/main.ts rescue|restore [file]");
    process.exitCode = 2;
}
