// One worker in a process of its own. It is told by its environment what to do, and says `ready` when it takes jobs.
import { setTimeout as sleep } from "node:timers/promises";
import type { P2PStarter } from "@omni/p2p-core";
import { createTransferWorker } from "@omni/p2p-engine-bullmq";
import { memoryStarter } from "@omni/p2p-starter-memory";
import { redisStarter } from "@omni/p2p-starter-redis";
import { delayedStarter } from "./delayed-starter.ts";

/** What a worker is told. */
export interface ChildOrders {
  readonly connection: string;
  readonly prefix: string;
  readonly name: string;
  readonly endpoints: Readonly<Record<string, string>>;
  readonly lockDuration: number;
  readonly stalledInterval: number;
  readonly concurrency: number;
}

const starters: P2PStarter[] = [
  delayedStarter("delayed", memoryStarter),
  delayedStarter("delayed-redis", redisStarter),
];
const orders = JSON.parse(process.env.P2P_WORKER_ORDERS ?? "") as ChildOrders;
const worker = createTransferWorker({ ...orders, starters, appRoot: import.meta.dirname });
worker.events.on("unsuited", ({ error }) => console.error(error.message));
if (process.env.P2P_DISTRIBUTED_VERBOSE) {
  const say = (...words: unknown[]) => console.error(new Date().toISOString(), orders.name, ...words);
  worker.events.on("partStarted", (event) => say("began", JSON.stringify(event)));
  worker.events.on("partEnded", (event) => say("ended", JSON.stringify(event)));
  worker.events.on("error", (error) => say(error.message));
}
await worker.ready();
console.log("ready");
process.once("SIGTERM", () => void worker.close());
// A worker whose parent has gone has no purpose.
process.stdin.on("end", () => process.exit()).resume();
await sleep(0);
