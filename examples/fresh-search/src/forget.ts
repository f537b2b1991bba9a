// Gives up the follower: without it the server keeps its log for the next run.
import { rm } from "node:fs/promises";
import { parseEndpoint } from "@omni/p2p-core";
import { postgresqlStarter } from "@omni/p2p-starter-postgresql";
import { source, transferId } from "./places.ts";

await postgresqlStarter.changes?.disable(
  parseEndpoint(source),
  { role: "source", signal: AbortSignal.timeout(30_000), connectTimeoutMs: 10_000 },
  transferId,
);
await rm("data", { recursive: true, force: true });
console.log("The server keeps nothing for it any more");
