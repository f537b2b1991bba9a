import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { memoryStore } from "@omni/p2p-starter-memory";
import { jsonFilesStarter } from "./index.ts";

for (let i = 0; i < 100; i++) memoryStore("docs").put({ id: i, title: `Title ${i}`, at: new Date(), big: 2n ** 70n });

await using manager = new DefaultP2PConnectionManager({ appRoot: import.meta.dirname });
manager.registerService("json-files", jsonFilesStarter);

const there = await manager.establish("memory:docs", "json-files:./data/docs?indent=2");
const { successCount } = await manager.transferThroughConnection(there.connectionId, {});
console.log(`${successCount} records are files in ./data/docs now`);

const back = await manager.establish("json-files:./data/docs", "memory:again");
await manager.transferThroughConnection(back.connectionId, {});
const { equal } = await manager.verify(there.connectionId, {});
console.log(`Equal to what they were: ${equal}; ${memoryStore("again").size} came back`);
