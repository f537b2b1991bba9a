/** Uses an endpoint and forgets to close it: `node forget.ts <url> idle|gone|transfer`. The process must end by itself. */
import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { parseEndpoint } from "@omni/p2p-core/starter";
import { redisStarter } from "../src/index.ts";
import { proxyTo } from "./tcp.ts";

const [url, how] = process.argv.slice(2) as [string, string];
const { signal } = new AbortController();
const proxy = await proxyTo(Number(new URL(url).port));
const place = (prefix: string) => `redis://127.0.0.1:${proxy.port}?prefix=${prefix}`;
const context = { role: "target", signal, connectTimeoutMs: 5000 } as const;
const service = await redisStarter.open(parseEndpoint(place("forget:")), context);
const records = Array.from({ length: 5000 }, (_, id) => ({ id }));
await service.writeToTarget(records, { mode: "upsert", signal });
let count = 0;
if (how === "transfer") {
  const manager = new DefaultP2PConnectionManager();
  manager.registerService("redis", redisStarter);
  const connection = await manager.establish(place("forget:"), place("forgotten:"));
  const result = await manager.transferThroughConnection(connection.connectionId, {});
  count = result.successCount;
} else {
  for await (const batch of service.readFromSource({}, { batchSize: 100, signal })) count += batch.records.length;
}
console.log(`${how}: ${count}`);
// The proxy's own sockets must not be what keeps the process, nor what ends it.
if (how === "gone") await proxy.close();
else proxy.unref();
