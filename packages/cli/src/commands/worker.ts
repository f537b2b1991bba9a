import { type EndpointInput, parseEndpoint } from "@omni/p2p-core";
import { findConfig, type LoadedConfig, loadConfig } from "../config/load.ts";
import { expandDeep } from "../endpoints/environment.ts";
import { unguarded } from "../endpoints/guarded.ts";
import { loadEngine } from "../engine/load-engine.ts";
import { redisUrl, signingKeys } from "../engine/redis-url.ts";
import { ExitCode } from "../exit-code.ts";
import type { WorkerFlags } from "../flags/worker.ts";
import { printable } from "../output/printable.ts";
import type { Session } from "../session/session.ts";
import { UsageError } from "../usage-error.ts";
import { workerParts } from "../worker-parts.ts";

/** `omni-p2p worker`: runs partitions of distributed transfers until it is stopped. */
export async function workerCommand(flags: WorkerFlags, session: Session): Promise<ExitCode> {
  const file = flags.endpoints ?? findConfig();
  if (file === undefined) {
    throw new UsageError("There is no p2p.config file here that names endpoints", "omni-p2p worker --endpoints <file>");
  }
  const config = await loadConfig(file);
  if (Object.keys(config.endpoints).length === 0) throw new UsageError(`${config.file} names no endpoints`);
  const { out } = session;
  const { createTransferWorker } = await loadEngine();
  const endpoints = endpointsOf(config);
  const parts = {
    folder: config.folder,
    types: typesOf(endpoints),
    transforms: Object.fromEntries(flags.transform ?? []),
  };
  // What is wrong with them is told as what was typed, before anything is started.
  await workerParts(parts);
  const keys = signingKeys();
  const worker = createTransferWorker({
    connection: redisUrl(flags),
    endpoints,
    module: { url: partsModule(), argument: { ...parts } },
    appRoot: config.folder,
    ...(keys.length > 0 && { signingKeys: keys }),
    ...(flags.concurrency !== undefined && { concurrency: flags.concurrency }),
    ...(flags.name !== undefined && { name: flags.name }),
    ...(flags.heartbeatTimeout !== undefined && { heartbeatTimeout: flags.heartbeatTimeout }),
    ...(flags.progressTimeout !== undefined && { progressTimeout: flags.progressTimeout }),
  });
  worker.events.on("unsuited", ({ transfer, error }) => {
    out.note(printable(`${transfer}: left to other workers: ${error.message}`));
  });
  worker.events.on("partStarted", ({ transfer, part }) => out.note(printable(`${transfer}: partition ${part} begins`)));
  worker.events.on("partEnded", ({ transfer, part, ended }) => {
    out.note(printable(`${transfer}: partition ${part} ${ended}`));
  });
  worker.events.on("died", ({ transfer, part, how }) => {
    const what = part === undefined ? "" : ` at partition ${part}`;
    out.note(printable(`${transfer}: a process died${what}, since ${how}; it is tried again`));
  });
  try {
    await worker.ready();
    out.note(`${worker.name} is ready for ${Object.keys(endpoints).join(", ")}`);
    await untilStopped(session.signal);
    out.note("Stopping: partitions are left at their cursors for other workers.");
  } finally {
    await worker.close();
  }
  return ExitCode.OK;
}

/** The endpoints with their secrets, which stay in this process. */
function endpointsOf(config: LoadedConfig): Record<string, EndpointInput> {
  return Object.fromEntries(
    Object.entries(config.endpoints).map(([name, given]) => [
      name,
      expandDeep(given, `The endpoint "${name}" in ${config.file}`) as EndpointInput,
    ]),
  );
}

/** The kinds of stores among the endpoints. */
function typesOf(endpoints: Readonly<Record<string, EndpointInput>>): string[] {
  return [...new Set(Object.values(endpoints).map((given) => parseEndpoint(unguarded(given)).storageType))];
}

/** The module that the worker's processes load: the one of this command. */
function partsModule(): string {
  const here = import.meta.url;
  return new URL(here.endsWith(".ts") ? "../worker-parts.ts" : "./worker-parts.js", here).href;
}

function untilStopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
