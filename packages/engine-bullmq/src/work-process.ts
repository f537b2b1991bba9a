// A process that a worker starts to do pieces of work in, one after the other: what may block or die does so here, and
// the worker goes on. Everything it needs comes from the worker by messages; secrets are in no argument and no environment.
import { Worker } from "node:worker_threads";
import type { EndpointInput } from "@omni/p2p-core";
import { connectRedis } from "./connection.ts";
import { Endpoints } from "./endpoints/endpoints.ts";
import { InProcess } from "./jobs/executor.ts";
import type { Whereabouts } from "./jobs/process-died.ts";
import { type FromProcess, type ProcessStart, packError, type ToProcess, unpackError } from "./processes/messages.ts";
import { openPlace } from "./processes/worker-place.ts";
import { loadWorkerModule } from "./worker-module.ts";

/** Ends this process when its worker is gone, even while its own thread is blocked: a thread of its own looks. */
const WATCH = `
const { workerData } = require("node:worker_threads");
const gone = () => {
  if (process.ppid !== workerData) return true;
  try { process.kill(workerData, 0); return false; } catch (error) { return error.code === "ESRCH"; }
};
setInterval(() => { if (gone()) process.kill(process.pid, "SIGKILL"); }, 500);
`;

const asked = new Map<number, (answer: ToProcess & { readonly kind: "endpoint" }) => void>();
let asks = 0;
let progress = 0;
let stop = new AbortController();

// Signals of a terminal or a service manager go to all processes of a group; the worker says when it is time.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
process.on("disconnect", () => process.exit());
process.on("message", (message: ToProcess) => {
  if (message.kind === "start") void start(message.start);
  else if (message.kind === "stop") stop.abort(unpackError(message.reason));
  else if (message.kind === "endpoint") asked.get(message.ask)?.(message);
});

function say(message: FromProcess): void {
  if (process.connected) process.send!(message);
}

async function start(given: ProcessStart): Promise<void> {
  const { connection, prefix, name, appRoot, module, maxDeaths, signed, beatMs, script, parent } = given;
  if (script !== undefined) process.argv[1] = script;
  new Worker(WATCH, { eval: true, workerData: parent, execArgv: [], stdin: false }).unref();
  setInterval(() => say({ kind: "beat", progress }), beatMs);
  try {
    const { starters = [], transforms = {} } = await loadWorkerModule(module);
    const redis = connectRedis(connection);
    const place = openPlace(redis, prefix, starters, appRoot, () => {});
    const executor = new InProcess({
      ...{ ...place, name, redis, prefix, transforms, maxDeaths, signed },
      endpoints: new Endpoints(askFor, starters, appRoot),
      tell: (name, ...[event]) => say({ kind: "tell", name, event }),
      at(part, run, grain, read) {
        progress++;
        const at: Whereabouts = { run, ...(grain !== undefined && { grain }), ...(read !== undefined && { read }) };
        say({ kind: "at", part, at });
      },
      alive() {
        progress++;
      },
    });
    process.on("message", (message: ToProcess) => {
      if (message.kind !== "run") return;
      stop = new AbortController();
      executor.run(message.work, stop.signal).then(
        (result) => say({ kind: "done", result }),
        (error: unknown) => say({ kind: "failed", error: packError(error) }),
      );
    });
    say({ kind: "ready" });
  } catch (error) {
    say({ kind: "unable", error: packError(error) });
  }
}

/** Endpoints are the worker's; it tells what it is asked for. */
function askFor(name: string): Promise<EndpointInput | undefined> {
  const ask = ++asks;
  const { promise, resolve, reject } = Promise.withResolvers<EndpointInput | undefined>();
  asked.set(ask, ({ endpoint, error }) => {
    asked.delete(ask);
    if (error) reject(unpackError(error));
    else resolve(endpoint);
  });
  say({ kind: "ask", ask, name });
  return promise;
}
