/** Subscriptions: the two ways in which Redis tells of changed keys, each on a connection of its own. */
import { isP2PError, P2PError, unlessAborted, unlessLate } from "@omni/p2p-core/starter";
import type { Redis } from "ioredis";
import { type Key, toKey } from "../client/keys.ts";
import type { Keyspace } from "../client/keyspace.ts";
import type { RedisLink } from "../client/link.ts";
import { escapeGlob } from "../query/glob.ts";

/** Who hears of changes. None of these may take long: the server hangs up on who reads too slowly. */
export interface Hearer {
  changed(key: Key): void;
  /** All keys are gone at one stroke, and none of them is named. */
  flushed(): void;
  /** The connection has ended, or the server has been silent for too long. */
  broken(reason: string): void;
}

/** A connection that is subscribed to the changes of one server. */
export interface Listening {
  /** Resolves when the server has answered, so that what it had told before is here; rejects when it does not answer in time. */
  ping(): Promise<void>;
  close(): void;
}

/** A way of telling. */
export interface Way {
  readonly name: "tracking" | "notifications";
  /** Whether it tells of FLUSHDB and FLUSHALL. */
  readonly tellsFlushes: boolean;
  /** Subscribes a connection. @throws P2PError `READ_FAILED` where the server does not do it, or not for this user. */
  subscribe(client: Redis, keyspace: Keyspace, hearer: Hearer, signal: AbortSignal): Promise<void>;
}

/** The channel by which a connection of RESP2 is told of keys. */
const INVALIDATIONS = "__redis__:invalidate";

/**
 * Client-side caching in its broadcasting mode: the server names every key that starts with the prefix whenever it is
 * written, expires, is renamed or deleted, in transactions and scripts too, whatever its settings are. The connection is
 * its own redirection: so there are no two of them of which one can break unnoticed, and the server bounds its buffer as
 * that of a subscriber.
 */
export const TRACKING: Way = {
  name: "tracking",
  tellsFlushes: true,
  async subscribe(client, { link, settings: { prefix } }, hearer, signal) {
    const send = (...args: (string | number)[]) => link.send("read", signal, { name: "client", args }, client);
    const id = Number(await send("ID"));
    await send("TRACKING", "ON", "REDIRECT", id, "BCAST", ...(prefix === "" ? [] : ["PREFIX", prefix]));
    client.on("messageBuffer", (_: Buffer, keys: unknown) => {
      if (Array.isArray(keys)) for (const key of keys as Buffer[]) hearer.changed(toKey(key));
      else hearer.flushed();
    });
    await subscribed(link, () => client.subscribe(INVALIDATIONS));
  },
};

/** Keyspace notifications: for servers and users without tracking. They must be turned on, and are silent on a flush. */
export const NOTIFICATIONS: Way = {
  name: "notifications",
  tellsFlushes: false,
  async subscribe(client, { link, settings: { db, prefix } }, hearer) {
    const channel = `__keyspace@${db}__:`;
    client.on("pmessageBuffer", (_: unknown, name: Buffer) => hearer.changed(toKey(name.subarray(channel.length))));
    await subscribed(link, () => client.psubscribe(`${channel}${escapeGlob(prefix)}*`));
  },
};

async function subscribed(link: RedisLink, subscribe: () => Promise<unknown>): Promise<void> {
  try {
    await subscribe();
  } catch (error) {
    throw link.toError(error, "read");
  }
}

/** Opens a connection to the server of a node, and subscribes it. */
export async function listen(
  node: Redis,
  way: Way,
  keyspace: Keyspace,
  hearer: Hearer,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Listening> {
  const { link } = keyspace;
  const client = node.duplicate({
    // In RESP3 ioredis would drop the very messages that are wanted.
    protocol: 2,
    lazyConnect: true,
    connectionName: "omni-p2p-changes",
    // What is missed while it is away is lost, so one that breaks is not mended but told.
    retryStrategy: () => null,
    sentinelRetryStrategy: () => null,
    reconnectOnError: () => false,
    autoResubscribe: false,
  });
  let lastError: unknown;
  let closed = false;
  const close = () => {
    closed = true;
    client.disconnect();
  };
  client.on("error", (error: unknown) => {
    lastError = error;
  });
  client.on("connect", () => (client.stream as { unref?: () => void }).unref?.());
  const silent = () => link.toError(new Error(`No answer within ${timeoutMs} ms: timed out`), "read");
  try {
    await unlessLate(unlessAborted(client.connect(), signal), timeoutMs, silent);
    client.on("end", () => {
      if (!closed) hearer.broken(link.toError(lastError ?? new Error("The connection was closed"), "read").message);
    });
    await assertSameServer(keyspace, node, client, signal);
    await way.subscribe(client, keyspace, hearer, signal);
  } catch (error) {
    close();
    signal.throwIfAborted();
    throw isP2PError(error) ? error : link.toError(lastError ?? error, "read");
  }
  return {
    close,
    async ping() {
      // A user who may not ping has been answered as well.
      const pong = client.ping().catch((error: unknown) => {
        if ((error as Error).name !== "ReplyError") throw lastError ?? error;
      });
      await unlessLate(pong, timeoutMs, silent);
    },
  };
}

/** Where a name leads to several servers, one would tell of changes that the other does not show yet. */
async function assertSameServer({ link }: Keyspace, node: Redis, client: Redis, signal: AbortSignal): Promise<void> {
  const [asked, told] = await Promise.all([node, client].map((each) => link.info("server", signal, each)));
  const [read, heard] = [asked, told].map((info) => /^run_id:(\w+)/m.exec(info ?? "")?.[1]);
  if (read === heard) return;
  throw new P2PError(
    "CHANGES_UNAVAILABLE",
    `Two connections to ${node.options.host}:${node.options.port} have led to two servers. A follow needs one that tells of changes and is read: name the primary, not a load balancer`,
    { retryable: true },
  );
}
