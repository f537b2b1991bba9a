// A worker in a process of its own: worker-to-kill.ts <redis> <prefix> <endpoints as JSON>.
import { createTransferWorker } from "../../src/index.ts";

const [connection = "", prefix = "", endpoints = "{}"] = process.argv.slice(2);
const worker = createTransferWorker({
  ...{ connection, prefix, endpoints: JSON.parse(endpoints), appRoot: import.meta.dirname },
  module: new URL("./worker-parts.ts", import.meta.url),
});
await worker.ready();
