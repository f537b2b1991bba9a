import { P2PError } from "@omni/p2p-core";
import type * as Mongodb from "mongodb";
import type { MongoClient, ServerHeartbeatFailedEvent } from "mongodb";
import type { MongodbTarget } from "./endpoint.ts";
import { mongodbError } from "./errors.ts";
import { rememberSockets } from "./sockets.ts";

/** The driver, loaded when the first endpoint is opened. */
export type Driver = typeof Mongodb;

/** Longest wait, in ms, for the driver to take leave of the servers. */
const CLOSE_MS = 2000;

/** Errors of a socket that will not be other a second later. */
const HOPELESS =
  /^(?:ECONNREFUSED|ENOTFOUND|EHOSTUNREACH|ENETUNREACH|EPROTO|ERR_SSL_\w+|ERR_TLS_\w+|CERT_\w+|DEPTH_ZERO_\w+|SELF_SIGNED_\w+|UNABLE_TO_\w+)$/;

/**
 * Connects. The driver by itself would look for a server until its time is over; where each of the hosts refuses, that
 * is known at once.
 *
 * @throws P2PError `CONNECTION_FAILED`, `TIMEOUT`, `AUTHENTICATION_FAILED` or `INVALID_ENDPOINT`
 */
export async function connect(
  driver: Driver,
  target: MongodbTarget,
  connectTimeoutMs: number,
  signal: AbortSignal,
): Promise<MongoClient> {
  const client = createClient(driver, target);
  const refusal = Promise.withResolvers<never>();
  const refusing = new Set<string>();
  const onFailed = ({ connectionId, failure }: ServerHeartbeatFailedEvent) => {
    if (isHopeless(failure)) refusing.add(connectionId);
    if (target.seeds !== undefined && refusing.size >= target.seeds) refusal.reject(failure);
  };
  const onAbort = () => refusal.reject(signal.reason);
  const timer = setTimeout(() => refusal.reject(notInTime(target.label, connectTimeoutMs)), connectTimeoutMs);
  client.on("serverHeartbeatFailed", onFailed);
  signal.addEventListener("abort", onAbort, { once: true });
  const connecting = rememberSockets(() => client.connect());
  try {
    signal.throwIfAborted();
    await Promise.race([connecting.result, refusal.promise]);
    return client;
  } catch (error) {
    connecting.result.catch(() => {});
    connecting.destroySockets();
    await closeClient(client);
    signal.throwIfAborted();
    throw mongodbError(error, "open", target.label);
  } finally {
    clearTimeout(timer);
    client.off("serverHeartbeatFailed", onFailed);
    signal.removeEventListener("abort", onAbort);
    refusal.promise.catch(() => {});
  }
}

/** Closes a client; one whose server does not answer is left behind, with nothing that keeps the process running. */
export async function closeClient(client: MongoClient): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const tired = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, CLOSE_MS);
  });
  await Promise.race([client.close().catch(() => {}), tired]);
  clearTimeout(timer);
}

function createClient({ MongoClient }: Driver, { uri, clientOptions, label }: MongodbTarget): MongoClient {
  try {
    return new MongoClient(uri, clientOptions);
  } catch (error) {
    throw mongodbError(error, "open", label);
  }
}

function isHopeless(failure: unknown): boolean {
  for (let at = failure as { code?: unknown; cause?: unknown } | undefined, depth = 0; at && depth < 5; depth++) {
    if (typeof at.code === "string" && HOPELESS.test(at.code)) return true;
    at = at.cause as typeof at;
  }
  return false;
}

/** The error for a server that takes longer than it may. */
export function notInTime(label: string, connectTimeoutMs: number): P2PError {
  return new P2PError(
    "TIMEOUT",
    `Cannot connect to ${label}: the server did not answer within ${connectTimeoutMs} ms. Check host, port and firewall, or raise connection_timeout.`,
  );
}
