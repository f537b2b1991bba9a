import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { buildApp } from "./app.ts";

const {
  SOURCE: source = "sqlite:./data/knowledge.db?table=docs",
  TARGET: target = "sqlite:./data/copy.db?table=docs",
  PORT: port = "3000",
} = process.env;
const app = await buildApp(new DefaultP2PConnectionManager({ pool: { maxConnections: 4 } }), { source, target });

// What an orchestrator sends before it kills. Closing lets a transfer under way end.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void app.close());

console.log(`Listening on ${await app.listen({ host: "127.0.0.1", port: Number(port) })}`);
