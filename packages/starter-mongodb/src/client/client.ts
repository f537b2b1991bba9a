import {
  endsWithin,
  type HostPort,
  messageOf,
  networkTrouble,
  onAbort,
  P2PError,
  speaksPlain,
  speaksTls,
  unlessLate,
} from "@omni/p2p-core/starter";
import type * as Mongodb from "mongodb";
import type { MongoClient } from "mongodb";
import type { MongodbEndpoint } from "../endpoint.ts";
import { mongodbError } from "./errors.ts";
import { isOpMessage, opMessage } from "./op-message.ts";
import { ServerSigns } from "./server-signs.ts";
import { rememberSockets } from "./sockets.ts";

/** The driver, loaded when the first endpoint is opened. */
export type Driver = typeof Mongodb;

/** Longest wait, in ms, for the driver to take leave of the servers. */
const CLOSE_MS = 2000;

/**
 * Connects. The driver by itself would look for a server until its time is over; where each of the hosts refuses, that
 * is known at once.
 *
 * @throws P2PError `CONNECTION_FAILED`, `TIMEOUT`, `AUTHENTICATION_FAILED` or `INVALID_ENDPOINT`
 */
export async function connect(
  driver: Driver,
  endpoint: MongodbEndpoint,
  connectTimeoutMs: number,
  signal: AbortSignal,
): Promise<MongoClient> {
  const client = createClient(driver, endpoint);
  const refusal = Promise.withResolvers<never>();
  const probes = new Probes(driver, endpoint, connectTimeoutMs, refusal.reject);
  const signs = new ServerSigns(client, endpoint, () => {
    if (signs.wrongSet !== undefined) refusal.reject(signs.wrongSet);
    const hopeless = Array.from(signs.failures.values()).filter(isHopeless);
    if (endpoint.seeds !== undefined && hopeless.length >= endpoint.seeds) refusal.reject(hopeless.at(-1));
    for (const [address, failure] of signs.failures) if (HUNG_UP.test(messageOf(failure))) probes.ifTls(address);
  });
  const forget = onAbort(signal, () => refusal.reject(signal.reason));
  const connecting = rememberSockets(() => client.connect());
  try {
    signal.throwIfAborted();
    await unlessLate(Promise.race([connecting.result, refusal.promise]), connectTimeoutMs, () =>
      notFound(endpoint.label, connectTimeoutMs, signs),
    );
    return client;
  } catch (error) {
    connecting.result.catch(() => {});
    connecting.destroySockets();
    await closeClient(client);
    signal.throwIfAborted();
    throw (error as Error).name === "MongoServerSelectionError"
      ? notFound(endpoint.label, connectTimeoutMs, signs, error)
      : mongodbError(error, "open", endpoint.label);
  } finally {
    probes.stop();
    signs.forget(client);
    forget();
    refusal.promise.catch(() => {});
  }
}

/** What a plain connection to a server that wants TLS comes to. */
const HUNG_UP = /closed|ECONNRESET|EPIPE/;
/** Time after which a TLS handshake that does not get on is looked into, in ms. */
const PROBE_AFTER_MS = 1000;
/** Time for a server to show which way it speaks, in ms. */
const PROBE_MS = 500;

/** Finds out whether a server that does not answer would do so with TLS, or without. */
class Probes {
  readonly #endpoint: MongodbEndpoint;
  readonly #refuse: (error: P2PError) => void;
  readonly #probeMs: number;
  readonly #timer: NodeJS.Timeout | undefined;
  #asked = false;
  #stopped = false;

  constructor(
    { BSON }: Driver,
    endpoint: MongodbEndpoint,
    connectTimeoutMs: number,
    refuse: (error: P2PError) => void,
  ) {
    this.#endpoint = endpoint;
    this.#refuse = refuse;
    this.#probeMs = Math.min(PROBE_MS, connectTimeoutMs / 2);
    const [address] = endpoint.addresses.map(serverAt);
    if (!endpoint.secure || address === undefined) return;
    this.#timer = setTimeout(
      async () => {
        const plain = await speaksPlain(address, this.#probeMs, opMessage(BSON), isOpMessage);
        if (plain && !this.#stopped) refuse(otherWay(endpoint, "does not speak TLS: leave tls out"));
      },
      Math.min(PROBE_AFTER_MS, connectTimeoutMs / 3),
    );
  }

  /** A plain connection was hung up on. */
  async ifTls(address: string): Promise<void> {
    if (this.#asked || this.#endpoint.secure || !this.#endpoint.addresses.includes(address)) return;
    this.#asked = true;
    if ((await speaksTls(serverAt(address), this.#probeMs)) && !this.#stopped) {
      this.#refuse(otherWay(this.#endpoint, "wants TLS: add tls=true"));
    }
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}

/** Where a server is that the driver tells of, as `host:port`. */
function serverAt(address: string): HostPort {
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(address.slice(colon + 1)) };
}

function otherWay({ label }: MongodbEndpoint, what: string): P2PError {
  return new P2PError("CONNECTION_FAILED", `Cannot connect to ${label}: the server ${what}.`);
}

/** No server that would do was found in time: the servers' own reason, where they gave one. */
function notFound(label: string, connectTimeoutMs: number, signs: ServerSigns, error?: unknown): P2PError {
  const { wrongSet, reason, cause = error } = signs;
  if (wrongSet !== undefined) return wrongSet;
  if (reason === undefined) return notInTime(label, connectTimeoutMs);
  return new P2PError(
    /tim(?:ed? ?out|eout)/i.test(reason) ? "TIMEOUT" : "CONNECTION_FAILED",
    `Cannot connect to ${label}: no server that would do was found within ${connectTimeoutMs} ms; ${reason}. Check host, port, tls and replicaSet, and that the server runs.`,
    { cause },
  );
}

/** Closes a client; one whose server does not answer is left behind, with nothing that keeps the process running. */
export async function closeClient(client: MongoClient): Promise<void> {
  await endsWithin(client.close(), CLOSE_MS);
}

function createClient({ MongoClient }: Driver, { uri, clientOptions, label }: MongodbEndpoint): MongoClient {
  try {
    return new MongoClient(uri, clientOptions);
  } catch (error) {
    throw mongodbError(error, "open", label);
  }
}

/** Whether it will be no other a second later. */
function isHopeless(failure: unknown): boolean {
  const trouble = networkTrouble(failure);
  return trouble !== undefined && trouble !== "lost" && trouble !== "timeout";
}

/** The error for a server that takes longer than it may. */
export function notInTime(label: string, connectTimeoutMs: number): P2PError {
  return new P2PError(
    "TIMEOUT",
    `Cannot connect to ${label}: the server did not answer within ${connectTimeoutMs} ms. Check host, port and firewall, or raise connection_timeout.`,
  );
}
