import { type EndpointInput, isP2PError, type P2PStarter, parseEndpoint } from "@omni/p2p-core";
import { findConfig, type LoadedConfig, loadConfig } from "../config/load.ts";
import { expandDeep } from "../endpoints/expand.ts";
import { findStarter } from "../endpoints/starters.ts";
import { loadEngine } from "../engine/load-engine.ts";
import { redisUrl } from "../engine/redis-url.ts";
import { ExitCode } from "../exit-code.ts";
import { printable } from "../output/printable.ts";
import type { WorkerFlags } from "../program.ts";
import type { Session } from "../session.ts";
import { loadTransform } from "../transfer/transform-file.ts";
import { UsageError } from "../usage-error.ts";

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
  const worker = createTransferWorker({
    connection: redisUrl(flags),
    endpoints,
    starters: await startersOf(endpoints, config),
    transforms: await transformsOf(flags.transform ?? []),
    appRoot: config.folder,
    ...(flags.concurrency !== undefined && { concurrency: flags.concurrency }),
    ...(flags.name !== undefined && { name: flags.name }),
  });
  worker.events.on("unsuited", ({ transfer, error }) => {
    out.note(printable(`${transfer}: left to other workers: ${error.message}`));
  });
  worker.events.on("partStarted", ({ transfer, part }) => out.note(printable(`${transfer}: partition ${part} begins`)));
  worker.events.on("partEnded", ({ transfer, part, ended }) => {
    out.note(printable(`${transfer}: partition ${part} ${ended}`));
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

/** What is not installed here is for other workers, and the worker says so when it is asked for. */
async function startersOf(
  endpoints: Readonly<Record<string, EndpointInput>>,
  { folder }: LoadedConfig,
): Promise<P2PStarter[]> {
  const found = new Map<string, P2PStarter>();
  for (const endpoint of Object.values(endpoints)) {
    const { storageType } = parseEndpoint(endpoint);
    try {
      if (!found.has(storageType)) found.set(storageType, await findStarter(storageType, [folder]));
    } catch (error) {
      if (!isP2PError(error, "SERVICE_NOT_FOUND")) throw error;
    }
  }
  return [...found.values()];
}

async function transformsOf(given: readonly string[]) {
  const transforms = await Promise.all(
    given.map(async (text) => {
      const [, name, file] = /^([^=]+)=(.+)$/.exec(text) ?? [];
      if (name === undefined || file === undefined) {
        throw new UsageError(`--transform ${text} names no transform`, "--transform <name>=<file>");
      }
      return [name, (await loadTransform(file)).transform] as const;
    }),
  );
  return Object.fromEntries(transforms);
}

function untilStopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
