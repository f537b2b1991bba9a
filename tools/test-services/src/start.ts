import { startChangeStreams } from "./change-streams.ts";
import { dockerAnswers } from "./docker.ts";
import { startElasticsearch } from "./elasticsearch.ts";
import { servicesAreRequired, variablesOf } from "./environment.ts";
import { startFerretdb } from "./ferretdb.ts";
import { startOpenSearch } from "./opensearch.ts";
import { startPostgresql } from "./postgresql.ts";
import { probe } from "./probe.ts";
import { hostOf, redactUrl } from "./redact-url.ts";
import { startRedis } from "./redis.ts";
import {
  isAvailable,
  type OptionsByKind,
  type ServiceKind,
  type ServiceOptions,
  ServiceUnavailableError,
  type TestService,
  type UnavailableService,
} from "./service.ts";
import { startContainer } from "./testcontainers.ts";

/**
 * Gives a running server: one from the environment, else in a Docker container, else a native process. Says on one line
 * which it is.
 *
 * @throws ServiceUnavailableError when it cannot be had
 *
 * @example
 * const redis = await startService("redis");
 * try {
 *   await useIt(redis.url);
 * } finally {
 *   await redis.stop();
 * }
 */
export async function startService<Kind extends ServiceKind>(
  kind: Kind,
  options: OptionsByKind[Kind] = {},
): Promise<TestService> {
  const log = options.log ?? console.info;
  const service =
    (await fromEnvironment(kind, options)) ??
    (await inContainer(kind, options, log)) ??
    (await native(kind, options, log));
  log(`${kind}: ${service.how} ${service.product} ${service.version} on ${hostOf(service.url)}`);
  return service;
}

/**
 * Starts several servers side by side. One that cannot be had comes back with the reason; where servers are required,
 * that throws instead, after those that did start have been stopped.
 */
export async function startServices(
  kinds: readonly ServiceKind[],
  options: ServiceOptions = {},
): Promise<(TestService | UnavailableService)[]> {
  const log = options.log ?? console.info;
  const outcomes = await Promise.all(
    kinds.map((kind) =>
      startService(kind, options).catch((error: unknown): UnavailableService => {
        if (!(error instanceof ServiceUnavailableError)) throw error;
        log(`${kind}: unavailable: ${error.message}`);
        return { kind, unavailable: error.message };
      }),
    ),
  );
  const missing = outcomes.filter((outcome): outcome is UnavailableService => !isAvailable(outcome));
  if (missing.length > 0 && servicesAreRequired()) {
    await Promise.all(outcomes.filter(isAvailable).map((service) => service.stop()));
    const [first] = missing;
    throw new ServiceUnavailableError(
      first!.kind,
      missing.map(({ kind, unavailable }) => `${kind} is required and cannot be had: ${unavailable}`).join("\n"),
    );
  }
  return outcomes;
}

async function fromEnvironment<Kind extends ServiceKind>(
  kind: Kind,
  options: OptionsByKind[Kind],
): Promise<TestService | undefined> {
  const url = process.env[variablesOf(kind).url];
  if (!url || wantsItsOwn(options)) return undefined;
  try {
    return { kind, url, how: "environment", ...(await probe(kind, url)), stop: async () => {} };
  } catch (error) {
    throw new ServiceUnavailableError(
      kind,
      `${variablesOf(kind).url} names ${redactUrl(url)}, which does not answer: ${withoutSecrets(error, url)}`,
    );
  }
}

/** Every option but `log` asks for a server that is not shared. */
function wantsItsOwn(options: ServiceOptions): boolean {
  const { log: _, exclusive = false, ...special } = options;
  return exclusive || Object.values(special).some((value) => value !== undefined);
}

async function inContainer<Kind extends ServiceKind>(
  kind: Kind,
  options: OptionsByKind[Kind],
  log: (line: string) => void,
): Promise<TestService | undefined> {
  // The stand-in for change streams is small, quick and can be told to fail.
  if ("changeStreams" in options && options.changeStreams !== undefined) return undefined;
  if (!(await dockerAnswers())) return undefined;
  try {
    return await startContainer(kind, options);
  } catch (error) {
    log(`${kind}: Docker answers but could not run it, so a native server is tried: ${messageOf(error)}`);
    return undefined;
  }
}

async function native<Kind extends ServiceKind>(
  kind: Kind,
  options: OptionsByKind[Kind],
  log: (line: string) => void,
): Promise<TestService> {
  try {
    switch (kind) {
      case "redis":
        return await startRedis(log, options as OptionsByKind["redis"]);
      case "mongodb":
        return await startMongodb(log, options as OptionsByKind["mongodb"]);
      case "postgresql":
        return await startPostgresql(log, options as OptionsByKind["postgresql"]);
      default:
        return await startSearch(log, options as OptionsByKind["elasticsearch"]);
    }
  } catch (error) {
    const reason = `no ${variablesOf(kind).url}, no Docker engine, and no native server: ${messageOf(error)}`;
    throw new ServiceUnavailableError(kind, reason, { cause: error });
  }
}

function startMongodb(log: (line: string) => void, { changeStreams }: OptionsByKind["mongodb"]): Promise<TestService> {
  return changeStreams === undefined ? startFerretdb(log) : startChangeStreams(log, changeStreams);
}

function startSearch(
  log: (line: string) => void,
  { release, ...options }: OptionsByKind["elasticsearch"],
): Promise<TestService> {
  return release === "opensearch" ? startOpenSearch(log, options) : startElasticsearch(log, { ...options, release });
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // fetch says no more than "fetch failed" and keeps the reason as its cause.
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

/** A driver may repeat the URL, or a part of it, in its message. */
function withoutSecrets(error: unknown, url: string): string {
  return messageOf(error).replaceAll(url, redactUrl(url));
}
