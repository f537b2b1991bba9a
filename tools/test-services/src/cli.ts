import { parseArgs } from "node:util";
import { prepareChangeStreams } from "./change-streams.ts";
import { prepareElasticsearch } from "./elasticsearch.ts";
import { variablesOf } from "./environment.ts";
import { prepareFerretdb } from "./ferretdb.ts";
import { prepareOpenSearch } from "./opensearch.ts";
import { preparePgbouncer } from "./pgbouncer.ts";
import { preparePostgresql } from "./postgresql.ts";
import { prepareRedis } from "./redis.ts";
import { isAvailable, type ServiceKind, serviceKinds } from "./service.ts";
import { startServices } from "./start.ts";

const usage = `Starts servers for tests and waits until Ctrl-C.

  node tools/test-services/src/cli.ts [redis] [mongodb] [elasticsearch] [postgresql]   all of them when none is named
  node tools/test-services/src/cli.ts --prepare [...]                                  only fetches and builds the native ones
`;

const preparations: Record<ServiceKind, (log: (line: string) => void) => Promise<unknown>> = {
  redis: prepareRedis,
  mongodb: (log) => Promise.all([prepareFerretdb(log), leftOut("change streams", prepareChangeStreams(log), log)]),
  elasticsearch: prepareReleases,
  postgresql: (log) => Promise.all([preparePostgresql(log), preparePgbouncer(log)]),
};

/** The release that all suites share, and those that some ask for: they need a newer Java, and are left out without it. */
async function prepareReleases(log: (line: string) => void): Promise<void> {
  await prepareElasticsearch(log, "8");
  await leftOut("elasticsearch 9", prepareElasticsearch(log, "9"), log);
  await leftOut("opensearch", prepareOpenSearch(log), log);
}

/** Says so where a server that only some suites need cannot be had, and goes on. */
async function leftOut(name: string, preparing: Promise<unknown>, log: (line: string) => void): Promise<void> {
  await preparing.catch((error: unknown) => {
    log(`${name} is left out: ${error instanceof Error ? error.message : error}`);
  });
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { prepare: { type: "boolean", default: false }, help: { type: "boolean", short: "h", default: false } },
  });
  if (values.help) return console.log(usage);
  const kinds = positionals.length === 0 ? serviceKinds : positionals.map(asKind);
  await (values.prepare ? prepare(kinds) : serve(kinds));
}

function asKind(word: string): ServiceKind {
  const kind = serviceKinds.find((kind) => kind === word);
  if (kind === undefined) throw new Error(`"${word}" is none of ${serviceKinds.join(", ")}\n\n${usage}`);
  return kind;
}

async function prepare(kinds: readonly ServiceKind[]): Promise<void> {
  const results = await Promise.allSettled(
    kinds.map(async (kind) => {
      const start = performance.now();
      await preparations[kind](console.log);
      console.log(`${kind}: native server ready to start, after ${((performance.now() - start) / 1000).toFixed(1)} s`);
    }),
  );
  for (const [index, result] of results.entries()) {
    if (result.status === "fulfilled") continue;
    console.error(`${kinds[index]}: ${result.reason instanceof Error ? result.reason.message : result.reason}`);
    process.exitCode = 1;
  }
}

async function serve(kinds: readonly ServiceKind[]): Promise<void> {
  const services = (await startServices(kinds)).filter(isAvailable);
  if (services.length === 0) {
    process.exitCode = 1;
    return;
  }
  for (const { kind, url } of services) console.log(`export ${variablesOf(kind).url}=${url}`);
  const told = new Promise<void>((resolve) => {
    const awake = setInterval(() => {}, 60_000);
    const end = () => {
      clearInterval(awake);
      resolve();
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, end);
  });
  await told;
  await Promise.all(services.map((service) => service.stop()));
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
