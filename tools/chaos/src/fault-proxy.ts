import { connect, createServer, type Server, type Socket } from "node:net";

/** What a {@link FaultProxy} does to the traffic. All of it can be changed while it runs. */
export interface Faults {
  /** Added to the way there and to the way back, each, in ms. */
  latencyMs: number;
  /** Share of the connections that are refused. */
  refuse: number;
  /** Swallow everything, and keep the connections open. */
  stalled: boolean;
}

/** A TCP proxy on the loopback interface that misbehaves as it is told. */
export class FaultProxy {
  readonly faults: Faults = { latencyMs: 0, refuse: 0, stalled: false };
  readonly #sockets = new Set<Socket>();
  readonly #random: () => number;
  readonly #server: Server;
  /** Bytes that went through, both ways. */
  bytes = 0;

  private constructor(server: Server, random: () => number) {
    this.#server = server;
    this.#random = random;
  }

  /** Opens a proxy to a port of this machine. */
  static async open(port: number, random: () => number): Promise<FaultProxy> {
    const server = createServer();
    const proxy = new FaultProxy(server, random);
    server.on("connection", (client) => proxy.#accept(client, port));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  #accept(client: Socket, port: number): void {
    if (this.#random() < this.faults.refuse) {
      client.resetAndDestroy();
      return;
    }
    const server = connect(port, "127.0.0.1");
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      from.on("data", (data) => this.#pass(data, to));
    }
  }

  #pass(data: Buffer, to: Socket): void {
    this.bytes += data.length;
    if (this.faults.stalled) return;
    if (this.faults.latencyMs === 0) to.write(data);
    else setTimeout(() => !to.destroyed && to.write(data), this.faults.latencyMs);
  }

  /** Resets every connection, in the middle of whatever it is doing. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
