import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { AbstractConnector, RedisOptions } from "ioredis";
import type { Sockets } from "./sockets.ts";

type Connector = NonNullable<RedisOptions["Connector"]>;

/**
 * Makes connections as ioredis does, and remembers them. A cluster client opens some that it alone knows of, to ask for
 * the slots, and does not close them when it is closed.
 *
 * @param Base ioredis's own base class, which is there when the client is loaded.
 */
export function rememberingConnector(Base: typeof AbstractConnector, sockets: Sockets): Connector {
  return class extends Base {
    readonly #options: RedisOptions;

    constructor(options: unknown) {
      super((options as RedisOptions).disconnectTimeout ?? 0);
      this.#options = options as RedisOptions;
    }

    override async connect(): Promise<Socket> {
      const { host = "localhost", port = 6379, family, tls } = this.#options;
      this.connecting = true;
      // The caller has not taken hold of what it gets from us before the next turn.
      await Promise.resolve();
      if (!this.connecting) throw new Error("Connection is closed.");
      const place = { host, port, ...(family !== undefined && { family }) };
      const socket = tls ? connectTls({ ...place, ...tls }) : connectTcp(place);
      socket.once("error", (error) => {
        this.firstError = error;
      });
      sockets.add(socket);
      this.stream = socket;
      return socket;
    }
  };
}
