import { readFile } from "node:fs/promises";
import type { ConnectionOptions } from "node:tls";
import {
  type EndpointInfo,
  endpointLabel,
  isP2PError,
  messageOf,
  type OpenContext,
  P2PError,
  sleep,
  speaksPlain,
  speaksTls,
} from "@omni/p2p-core/starter";
import type { ClusterOptions, RedisOptions } from "ioredis";
import type { RedisEndpoint } from "../endpoint.ts";
import { CommandSerialiser } from "./command-serialiser.ts";
import { rememberingConnector } from "./connector.ts";
import { errorTranslator } from "./errors.ts";
import type { Keyspace } from "./keyspace.ts";
import { RedisLink } from "./link.ts";
import { Sockets } from "./sockets.ts";

/** Without the shape of replies, which this starter decides. */
type SingleOptions = Omit<RedisOptions, "replyMapping">;
type ManyOptions = Omit<ClusterOptions, "redisOptions"> & {
  readonly redisOptions: Omit<NonNullable<ClusterOptions["redisOptions"]>, "replyMapping">;
};

const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 1000;
/** Time between two looks at a server that is loading its data, in ms. */
const LOADING_PAUSE_MS = 100;
/** The longest value that Redis takes unless it is told otherwise. */
const DEFAULT_MAX_VALUE = 512 * 1024 * 1024;
/** Time after which a TLS handshake that does not get on is looked into, in ms. */
const PROBE_AFTER_MS = 1000;
/** Time for a server to show which way it speaks, in ms. */
const PROBE_MS = 500;
/** Time for the other side to close a connection before it is cut, in ms. */
const DISCONNECT_MS = 200;

/** Connects, and makes sure that the server answers and can be used as the role wants. */
export async function openRedis(
  endpoint: EndpointInfo,
  settings: RedisEndpoint,
  context: OpenContext,
): Promise<Keyspace> {
  context.signal.throwIfAborted();
  const toError = errorTranslator(endpoint);
  const late = new AbortController();
  const { connectTimeoutMs } = context;
  const timer = setTimeout(() => late.abort(tooLate(endpoint, settings, connectTimeoutMs)), connectTimeoutMs);
  const signal = AbortSignal.any([context.signal, late.signal]);
  let opened = false;
  const tls = settings.secure ? await tlsOptions(endpoint, settings) : undefined;
  const { AbstractConnector, Cluster, Command, Redis } = await import("ioredis");
  const sockets = new Sockets();
  const Connector = rememberingConnector(AbstractConnector, sockets);
  const client = settings.cluster
    ? new Cluster(
        [...settings.servers],
        clusterOptions(settings, context, { tls, Connector }, () => opened),
      )
    : new Redis(singleOptions(settings, context, tls, () => opened));
  const link = new RedisLink(client, connectTimeoutMs, toError, sockets, new CommandSerialiser(Command));
  const release = sockets.hold();
  const stopAsking = settings.secure
    ? askIfPlain(settings, connectTimeoutMs, () => late.abort(plainServer(endpoint)))
    : () => {};
  try {
    await link.connect(signal);
    stopAsking();
    await untilLoaded(link, signal);
    const version = await checkServer(link, endpoint, settings, context.role, signal);
    const maxValueBytes = context.role === "target" ? await askMaxValue(link, signal) : DEFAULT_MAX_VALUE;
    opened = true;
    return { link, settings, tellsExpiry: version >= 7, maxValueBytes };
  } catch (error) {
    await link.close();
    const hungUp = !settings.secure && isP2PError(error) && HUNG_UP.test(messageOf(error.cause));
    if (hungUp && !signal.aborted && (await speaksTls(settings.servers[0]!, PROBE_MS)))
      throw tlsServer(endpoint, error);
    throw isP2PError(error, "CONNECTION_LOST") ? neverThere(error) : error;
  } finally {
    stopAsking();
    release();
    clearTimeout(timer);
  }
}

/** What is left to be told of a server that ends a connection, or answers what is no reply. */
const HUNG_UP = /closed|ECONNRESET|EPIPE|protocol error/i;

/**
 * Finds out whether a server that does not get on with the TLS handshake speaks plain Redis: to it, the greeting is a
 * command that has no end, and it waits for the rest.
 */
function askIfPlain({ servers }: RedisEndpoint, connectTimeoutMs: number, found: () => void): () => void {
  let asking = true;
  const timer = setTimeout(
    async () => {
      const probeMs = Math.min(PROBE_MS, connectTimeoutMs / 2);
      if ((await speaksPlain(servers[0]!, probeMs, "PING\r\n", isReplyLine)) && asking) found();
    },
    Math.min(PROBE_AFTER_MS, connectTimeoutMs / 3),
  );
  return () => {
    asking = false;
    clearTimeout(timer);
  };
}

/** Whether some bytes are a status or an error, as Redis answers a ping. */
function isReplyLine(data: Buffer): boolean {
  return /^[+-]/.test(data.toString("latin1"));
}

function plainServer(endpoint: EndpointInfo): P2PError {
  const label = endpointLabel(endpoint);
  return new P2PError(
    "CONNECTION_FAILED",
    `${label} does not speak TLS: write redis:// in place of rediss://, without options of TLS`,
  );
}

function tlsServer(endpoint: EndpointInfo, cause: unknown): P2PError {
  const label = endpointLabel(endpoint);
  return new P2PError("CONNECTION_FAILED", `${label} wants TLS: write rediss:// in place of redis://`, { cause });
}

/** A connection that breaks before the endpoint is open has not been lost: it was not to be had. */
function neverThere({ message, cause }: P2PError): P2PError {
  return new P2PError("CONNECTION_FAILED", message, { cause, retryable: true });
}

function tooLate(endpoint: EndpointInfo, { secure }: RedisEndpoint, timeoutMs: number): P2PError {
  const tls = secure ? "speaks TLS (else write redis://)" : "wants TLS (then write rediss://)";
  return new P2PError(
    "TIMEOUT",
    `${endpointLabel(endpoint)} did not answer within ${timeoutMs} ms: check host, port and firewall, and whether the server ${tls}`,
    { retryable: true },
  );
}

async function tlsOptions(endpoint: EndpointInfo, { tls, tlsCaFile }: RedisEndpoint): Promise<ConnectionOptions> {
  if (tlsCaFile === undefined) return { ...tls };
  try {
    return { ca: await readFile(tlsCaFile), ...tls };
  } catch (error) {
    throw new P2PError(
      "INVALID_ENDPOINT",
      `Invalid endpoint ${endpointLabel(endpoint)}: tlsCaFile cannot be read: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

/** What one connection needs, be it to a single server or to a node. */
function connectionOptions(
  settings: RedisEndpoint,
  context: OpenContext,
  tls: ConnectionOptions | undefined,
): SingleOptions {
  const { username, password } = settings;
  return {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls && { tls }),
    connectionName: "omni-p2p",
    connectTimeout: context.connectTimeoutMs,
    disconnectTimeout: DISCONNECT_MS,
    // A connection that says nothing for this long while commands wait is dead.
    socketTimeout: context.connectTimeoutMs,
    // The ready check prints to the console and keeps its timer when the connection is closed.
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
  };
}

function singleOptions(
  settings: RedisEndpoint,
  context: OpenContext,
  tls: ConnectionOptions | undefined,
  opened: () => boolean,
): SingleOptions {
  const { ioredis, servers, sentinel } = settings;
  const { retryStrategy = waitLonger, sentinelRetryStrategy = waitLonger } = ioredis;
  return {
    ...connectionOptions(settings, context, tls),
    ...(sentinel === undefined ? servers[0] : sentinelOptions(settings, sentinel, tls)),
    reconnectOnError: (error) => error.message.startsWith("READONLY"),
    ...ioredis,
    db: settings.db,
    lazyConnect: true,
    // The first attempt is the only one: whoever opens wants to know what is wrong.
    retryStrategy: (times) => (opened() ? retryStrategy?.(times) : null),
    sentinelRetryStrategy: (times) => (opened() ? sentinelRetryStrategy(times) : null),
  };
}

function sentinelOptions(settings: RedisEndpoint, name: string, tls: ConnectionOptions | undefined): SingleOptions {
  const { sentinelUsername, sentinelPassword } = settings;
  return {
    sentinels: [...settings.servers],
    name,
    ...(sentinelUsername !== undefined && { sentinelUsername }),
    ...(sentinelPassword !== undefined && { sentinelPassword }),
    ...(tls && { sentinelTLS: tls, enableTLSForSentinelMode: true }),
    // It is the ready check that finds out whether the server is the primary still.
    enableReadyCheck: true,
  };
}

function clusterOptions(
  settings: RedisEndpoint,
  context: OpenContext,
  { tls, Connector }: { tls: ConnectionOptions | undefined; Connector: NonNullable<RedisOptions["Connector"]> },
  opened: () => boolean,
): ManyOptions {
  const { redisOptions, clusterRetryStrategy = waitLonger, ...ioredis } = settings.ioredis as ClusterOptions;
  return {
    slotsRefreshTimeout: context.connectTimeoutMs,
    ...ioredis,
    lazyConnect: true,
    clusterRetryStrategy: (times, reason) => (opened() ? clusterRetryStrategy?.(times, reason) : null),
    redisOptions: { ...connectionOptions(settings, context, tls), Connector, ...redisOptions },
  };
}

function waitLonger(times: number): number {
  return Math.min(FIRST_RETRY_MS * 2 ** Math.min(times - 1, 10), LONGEST_RETRY_MS);
}

async function untilLoaded(link: RedisLink, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      await link.ping(signal);
      return;
    } catch (error) {
      if (signal.aborted || !isP2PError(error)) throw error;
      // A user who may not ping can be of use still.
      if (error.code === "READ_FAILED") return;
      if (error.code !== "BUSY") throw error;
      await sleep(LOADING_PAUSE_MS, signal);
    }
  }
}

/** The longest value that the server takes. A user who may not ask is told by the server when it is too late. */
async function askMaxValue(link: RedisLink, signal: AbortSignal): Promise<number> {
  try {
    const reply = await link.send("read", signal, { name: "config", args: ["GET", "proto-max-bulk-len"] });
    return Number((reply as unknown[])[1]) || DEFAULT_MAX_VALUE;
  } catch (error) {
    if (isP2PError(error, "READ_FAILED")) return DEFAULT_MAX_VALUE;
    throw error;
  }
}

/**
 * Looks whether the server is what the endpoint says, and resolves with the first number of its version. A user who
 * may not ask gets no answer, and goes on.
 */
async function checkServer(
  link: RedisLink,
  endpoint: EndpointInfo,
  settings: RedisEndpoint,
  role: OpenContext["role"],
  signal: AbortSignal,
): Promise<number> {
  const [server, replication] = await Promise.all([link.info("server", signal), link.info("replication", signal)]);
  if (!settings.cluster && /^redis_mode:cluster/m.test(server)) {
    throw new P2PError(
      "INVALID_ENDPOINT",
      `Invalid endpoint ${endpointLabel(endpoint)}: the server belongs to a Redis Cluster; add cluster=true`,
    );
  }
  if (role === "target" && /^role:slave/m.test(replication) && /^slave_read_only:1/m.test(replication)) {
    throw new P2PError(
      "TARGET_NOT_WRITABLE",
      `${endpointLabel(endpoint)} is a replica that cannot be written; give the address of its primary`,
    );
  }
  return Number(/^redis_version:(\d+)/m.exec(server)?.[1] ?? 0);
}
