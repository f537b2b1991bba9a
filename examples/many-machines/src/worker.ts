import { createTransferWorker } from "@omni/p2p-engine-bullmq";
import { endpoints, queue } from "./endpoints.ts";

const worker = createTransferWorker({ connection: queue, endpoints });
worker.events.on("partEnded", ({ transfer, part, ended }) => console.log(`${transfer}, partition ${part}: ${ended}`));
worker.events.on("unsuited", ({ error }) => console.error(error.message));
await worker.ready();
console.log(`${worker.name} is ready`);
// Its partitions are left at their cursors, for the other workers.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void worker.close());
