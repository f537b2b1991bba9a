import type { Socket } from "node:net";
import { endsWithin, isP2PError, onAbort, P2PError, unlessAborted, unlessLate } from "@omni/p2p-core/starter";
import type { Cluster, Redis } from "ioredis";
import type { Command } from "./command.ts";
import type { CommandSerialiser } from "./command-serialiser.ts";
import { isReply, type Operation, type ToP2PError } from "./errors.ts";
import { pipelined, pipelinedToNodes } from "./pipeline.ts";
import type { SlotRange } from "./slots.ts";
import type { Sockets } from "./sockets.ts";
import { clusterTopology, type Share, singleTopology, type Topology } from "./topology.ts";

/** Most time that a farewell may take, in ms. */
const QUIT_MS = 1000;

/** Never aborts. */
const FOREVER = new AbortController().signal;

/**
 * The way to a server or a cluster, over ioredis. A command is sent when the link is ready and never waits in a queue
 * of the client: what is given up is not carried out later. While the client reconnects, new commands wait here for up
 * to the timeout; those that were on their way are rejected with `CONNECTION_LOST`.
 */
export class RedisLink {
  readonly topology: Topology;
  readonly toError: ToP2PError;
  readonly #client: Redis | Cluster;
  readonly #timeoutMs: number;
  readonly #sockets: Sockets;
  readonly #packed: CommandSerialiser;
  readonly #runIds = new WeakMap<Redis, Promise<string>>();
  readonly #watched = new WeakSet<Redis>();
  #lastError: unknown;
  #closing: Promise<void> | undefined;

  /** @param sockets those of a cluster client, which does not close all of them by itself; those of others are added here */
  constructor(
    client: Redis | Cluster,
    timeoutMs: number,
    toError: ToP2PError,
    sockets: Sockets,
    packed: CommandSerialiser,
  ) {
    this.#client = client;
    this.#sockets = sockets;
    this.#packed = packed;
    this.topology = client.isCluster ? clusterTopology(client as Cluster) : singleTopology(client as Redis);
    this.#timeoutMs = timeoutMs;
    this.toError = toError;
    const remember = (error: unknown) => {
      this.#lastError = error;
    };
    client.on("error", (error: unknown) => {
      remember(error);
      // ioredis goes on with database 0 when it cannot select the one it was told to use.
      if (commandOf(error) === "select") client.disconnect(true);
    });
    if (client.isCluster) client.on("node error", remember);
    client.on("ready", () => remember(undefined));
    if (client.isCluster) return;
    client.on("connect", () => sockets.add((client as Redis).stream as Socket));
    client.on("reconnecting", () => {
      // Nor may the wait for another attempt keep a program from its end.
      const { reconnectTimeout } = client as unknown as { readonly reconnectTimeout?: NodeJS.Timeout | null };
      if (!sockets.held) reconnectTimeout?.unref();
    });
  }

  get clustered(): boolean {
    return this.#client.isCluster;
  }

  /** Connects for the first time. */
  async connect(signal: AbortSignal): Promise<void> {
    const client = this.#client;
    const refused = new Promise<never>((_, reject) => {
      client.once("error", reject);
      client.once("end", () => reject(new Error("The connection was closed")));
    });
    try {
      await unlessAborted(Promise.race([client.connect(), refused]), signal);
    } catch (error) {
      if (signal.aborted) throw error;
      throw this.toError(this.#lastError ?? error, "open");
    }
  }

  /** Sends one command; strings of the reply come as buffers. */
  async send(operation: Operation, signal: AbortSignal, { name, args }: Command, node?: Redis): Promise<unknown> {
    return this.#call(operation, signal, () => (node ?? this.#client).callBuffer(name, args));
  }

  /**
   * Sends commands in one go; to a cluster only those of one key. The replies come in their order, an error of the server or of the connection among them
   * where a command failed.
   */
  async sendAll(operation: Operation, signal: AbortSignal, commands: readonly Command[]): Promise<unknown[]> {
    const client = this.#client;
    const replies = await this.#call(operation, signal, () =>
      client.isCluster
        ? pipelinedToNodes(client as Cluster, commands, this.#packed)
        : pipelined(client as Redis, commands, this.#packed),
    );
    return replies.map((reply) => (reply instanceof Error ? this.#explain(reply, operation) : reply));
  }

  /** What an error means that a script gave as a part of its reply. */
  replyError(text: Buffer, operation: Operation): P2PError {
    return this.toError(Object.assign(new Error(text.toString()), { name: "ReplyError" }), operation);
  }

  async #call<T>(operation: Operation, signal: AbortSignal, send: () => Promise<T>): Promise<T> {
    const release = this.#sockets.hold();
    try {
      await this.#ready(signal, false);
      return await this.#answer(signal, operation, send);
    } finally {
      release();
    }
  }

  async #answer<T>(signal: AbortSignal, operation: Operation, send: () => Promise<T>): Promise<T> {
    try {
      // The socket's own timeout ends a command on one server; in a cluster it may wait for a node in other ways.
      const reply = unlessAborted(send(), signal);
      return await (this.clustered ? unlessLate(reply, 2 * this.#timeoutMs, this.#silent(2)) : reply);
    } catch (error) {
      if (signal.aborted) throw error;
      throw this.#explain(error, operation);
    }
  }

  /** What a lost command says is of little use; what the connection said last is the reason. */
  #explain(error: unknown, operation: Operation): P2PError {
    if (isReply(error) || isP2PError(error) || error instanceof RangeError) return this.toError(error, operation);
    const cut = (error as Error | undefined)?.name === "MaxRetriesPerRequestError";
    return this.toError(this.#lastError ?? (cut ? new Error("The connection was closed") : error), operation);
  }

  #silent(times = 1): () => Error {
    return () => new Error(`No answer within ${times * this.#timeoutMs} ms: timed out`);
  }

  /** Waits until the client is connected; with `impatient` only for the attempt that is under way. */
  async #ready(signal: AbortSignal, impatient: boolean): Promise<void> {
    const client = this.#client;
    signal.throwIfAborted();
    if (this.#closing) throw new P2PError("CLOSED", "The connection to Redis has been closed");
    if (client.status === "ready") return;
    const events = new AbortController();
    const waiting = new Promise<void>((resolve, reject) => {
      const listen = (event: string, listener: (error?: Error) => void) => {
        client.on(event, listener);
        onAbort(events.signal, () => client.removeListener(event, listener));
      };
      listen("ready", () => resolve());
      const fail = (error?: Error) => reject(this.#lastError ?? error ?? new Error("Connection is closed"));
      listen("end", fail);
      if (impatient) listen("close", fail);
      if (client.status === "end") fail();
    });
    try {
      await unlessLate(unlessAborted(waiting, signal), this.#timeoutMs, this.#silent());
    } catch (error) {
      if (signal.aborted) throw error;
      const lost = this.#lastError ?? error;
      // The server may be back and refuse us: that is not a lost connection.
      throw this.toError(lost, "read");
    } finally {
      events.abort();
    }
  }

  /** @throws P2PError when the server does not answer. */
  async ping(signal: AbortSignal): Promise<void> {
    await this.#ready(signal, true);
    const nodes = this.topology.masters();
    const pings = Promise.all(nodes.map((node) => this.send("read", signal, { name: "ping", args: [] }, node)));
    await unlessLate(unlessAborted(pings, signal), this.#timeoutMs, this.#silent()).catch((error: unknown) => {
      // A user who may not ping has been answered as well.
      if (isP2PError(error, "READ_FAILED")) return;
      throw signal.aborted ? error : this.#explain(error, "read");
    });
  }

  /** What a server tells of itself, of any server of a cluster; nothing when the user may not ask. */
  async info(section: string, signal: AbortSignal, node = this.topology.masters()[0]): Promise<string> {
    try {
      return String(await this.send("read", signal, { name: "info", args: [section] }, node));
    } catch (error) {
      if (isP2PError(error, "READ_FAILED")) return "";
      throw error;
    }
  }

  /** {@link info} of each server that can be written. */
  async infoOfAll(section: string, signal: AbortSignal): Promise<readonly string[]> {
    return Promise.all(this.topology.masters().map((node) => this.info(section, signal, node)));
  }

  /** How many keys there are; `undefined` when the user may not ask. */
  async size(signal: AbortSignal): Promise<number | undefined> {
    const command: Command = { name: "dbsize", args: [] };
    try {
      const sizes = await Promise.all(this.topology.masters().map((node) => this.send("read", signal, command, node)));
      return sizes.reduce<number>((sum, size) => sum + Number(size), 0);
    } catch (error) {
      if (isP2PError(error, "READ_FAILED")) return undefined;
      throw error;
    }
  }

  /**
   * Names the run of a server: it changes when the server restarts or another takes its place, and then a position in a
   * scan of the old one means nothing. A server that does not tell is taken for another one after each connecting.
   */
  async runId(node: Redis, signal: AbortSignal): Promise<string> {
    let asked = this.#runIds.get(node);
    if (asked === undefined) {
      // Others wait for the same answer, so one reader's abort must not end the asking.
      asked = this.send("read", FOREVER, { name: "info", args: ["server"] }, node).then(
        (reply) => /^run_id:(\w+)/m.exec(String(reply))?.[1] ?? crypto.randomUUID(),
        (error: P2PError) => {
          if (error.code === "READ_FAILED") return crypto.randomUUID();
          this.#runIds.delete(node);
          throw error;
        },
      );
      this.#runIds.set(node, asked);
      if (!this.#watched.has(node)) node.on("close", () => this.#runIds.delete(node));
      this.#watched.add(node);
    }
    return unlessAborted(asked, signal);
  }

  /** Looks which slots of a share its server has still. */
  async slotsKept(share: Share, signal: AbortSignal): Promise<readonly SlotRange[]> {
    return this.#call("read", signal, () => this.topology.slotsKept(share));
  }

  /** Asks the servers of a cluster anew which of them there are. */
  async refreshTopology(signal: AbortSignal): Promise<void> {
    await this.#call("read", signal, () => this.topology.refresh());
  }

  /** The time in which a server must answer, in ms. */
  get timeoutMs(): number {
    return this.#timeoutMs;
  }

  /** Says farewell, in limited time. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const client = this.#client;
    const ended = new Promise<void>((resolve) => client.once("end", () => resolve()));
    if (client.status === "ready") {
      const quit = client.quit().then(
        () => ended,
        () => {},
      );
      await endsWithin(quit, QUIT_MS);
    }
    if (client.status !== "end") client.disconnect();
    this.#sockets.destroy();
  }
}

function commandOf(error: unknown): string | undefined {
  return (error as { command?: { name?: string } } | undefined)?.command?.name;
}
