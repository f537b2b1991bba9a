import { messageOf, P2PError } from "@omni/p2p-core/starter";
import type { Document, MongoClient, ServerHeartbeatFailedEvent, ServerHeartbeatSucceededEvent } from "mongodb";
import type { MongodbEndpoint } from "../endpoint.ts";

/** Where a server is, as the driver tells it: `host:port`. */
type Address = string;

/**
 * What the servers of an endpoint have shown while the driver looked for one that will do. The driver itself says only
 * that it has found none in time.
 */
export class ServerSigns {
  readonly #endpoint: MongodbEndpoint;
  readonly #replies = new Map<Address, Document>();
  readonly #failures = new Map<Address, Error>();
  readonly #listeners = {
    serverHeartbeatSucceeded: ({ connectionId, reply }: ServerHeartbeatSucceededEvent) => {
      this.#replies.set(connectionId, reply);
      this.#failures.delete(connectionId);
      this.#onSign();
    },
    serverHeartbeatFailed: ({ connectionId, failure }: ServerHeartbeatFailedEvent) => {
      this.#failures.set(connectionId, failure);
      this.#onSign();
    },
  };
  readonly #onSign: () => void;

  /** @param onSign called when there is something new */
  constructor(client: MongoClient, endpoint: MongodbEndpoint, onSign: () => void) {
    this.#endpoint = endpoint;
    this.#onSign = onSign;
    client.on("serverHeartbeatSucceeded", this.#listeners.serverHeartbeatSucceeded);
    client.on("serverHeartbeatFailed", this.#listeners.serverHeartbeatFailed);
  }

  forget(client: MongoClient): void {
    client.off("serverHeartbeatSucceeded", this.#listeners.serverHeartbeatSucceeded);
    client.off("serverHeartbeatFailed", this.#listeners.serverHeartbeatFailed);
  }

  get failures(): ReadonlyMap<Address, Error> {
    return this.#failures;
  }

  /** That every host is of another replica set than the endpoint's, as far as they are known. */
  get wrongSet(): P2PError | undefined {
    const { replicaSet, seeds, label } = this.#endpoint;
    if (replicaSet === undefined || this.#replies.size === 0 || this.#replies.size < (seeds ?? 1)) return undefined;
    const names = new Set(Array.from(this.#replies.values(), ({ setName }) => setName as unknown));
    if (names.has(replicaSet)) return undefined;
    const [name] = names;
    const found =
      typeof name === "string"
        ? `belongs to the replica set ${JSON.stringify(name)}: write replicaSet=${name}`
        : "belongs to no replica set: leave replicaSet out";
    return new P2PError(
      "INVALID_ENDPOINT",
      `Cannot connect to ${label}: it was asked for the replica set ${JSON.stringify(replicaSet)}, and the server ${found}.`,
    );
  }

  /** What hindered the driver, in a sentence; `undefined` where nothing is known. */
  get reason(): string | undefined {
    const [failure] = this.#failures;
    if (failure !== undefined) {
      const [address, error] = failure;
      return `${address} answered: ${messageOf(rootOf(error))}`;
    }
    if (this.#replies.size === 0) return undefined;
    const primary = [...this.#replies.values()].some((reply) => reply.isWritablePrimary ?? reply.ismaster);
    return primary ? undefined : "the servers answer, and none of them is the primary now";
  }

  /** The error underneath, for who looks at causes. */
  get cause(): unknown {
    return this.#failures.values().next().value;
  }
}

/** The innermost error: the driver wraps what the socket said. */
function rootOf(error: unknown): unknown {
  let at = error;
  for (let depth = 0; depth < 5; depth++) {
    const { cause } = (at ?? {}) as { readonly cause?: unknown };
    if (!(cause instanceof Error)) return at;
    at = cause;
  }
  return at;
}
