/** Opens an endpoint, closes it, and must end by itself: `node leave.ts <url> open|refused|gone`. */
import { parseEndpoint } from "@omni/p2p-core/starter";
import { redisStarter } from "../src/index.ts";
import { proxyTo } from "./tcp.ts";

const [url, how] = process.argv.slice(2) as [string, string];
const { signal } = new AbortController();
const context = { role: "target", signal, connectTimeoutMs: 2000 } as const;

if (how === "refused") {
  await redisStarter.open(parseEndpoint("redis://127.0.0.1:1"), context).catch(() => {});
} else {
  const proxy = await proxyTo(Number(new URL(url).port));
  const service = await redisStarter.open(parseEndpoint(`redis://127.0.0.1:${proxy.port}?prefix=leave:`), context);
  await service.writeToTarget([{ id: 1 }], { mode: "upsert", signal });
  for await (const _ of service.readFromSource({}, { batchSize: 1, signal })) break;
  if (how === "gone") {
    await proxy.close();
    await service.ping(signal).catch(() => {});
    await service.close();
  } else {
    await service.close();
    await proxy.close();
  }
}
console.log(`closed ${how}`);
