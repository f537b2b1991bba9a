import { connect, createServer, type Server, type Socket } from "node:net";

/** What a {@link FaultProxy} does to the traffic. All of it can be changed while it runs. */
export interface Faults {
  /** What the way there and the way back take, each, in ms. */
  latencyMs: number;
  /** Share of the connections that are refused. */
  refuse: number;
  /** Swallow everything, and keep the connections open. */
  stalled: boolean;
}

/** Each way through the proxy, in ms: enough that no transfer is over before it is disturbed. */
const BASE_LATENCY_MS = 10;

/** Traffic as it should be. */
export const NO_FAULTS: Readonly<Faults> = { latencyMs: BASE_LATENCY_MS, refuse: 0, stalled: false };

/** A TCP proxy on the loopback interface that misbehaves as it is told. */
export class FaultProxy {
  readonly faults: Faults = { ...NO_FAULTS };
  readonly #sockets = new Set<Socket>();
  readonly #random: () => number;
  readonly #server: Server;
  #refuseNext = false;
  /** How often a fault was felt: a connection cut, refused or lost to the server, a piece of data delayed or swallowed. */
  felt = 0;
  /** Connections refused. */
  refused = 0;
  /** Connections let through. */
  accepted = 0;

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

  /** Refuses the next connection, whatever chance says. */
  refuseNext(): void {
    this.#refuseNext = true;
  }

  #accept(client: Socket, port: number): void {
    if (this.#refuseNext || this.#random() < this.faults.refuse) {
      this.#refuseNext = false;
      this.refused++;
      this.felt++;
      client.on("error", () => {});
      client.resetAndDestroy();
      return;
    }
    this.accepted++;
    const server = connect(port, "127.0.0.1");
    // Heard before the client is told, below.
    const lost = (): void => {
      if (!client.destroyed && !client.readableEnded) this.felt++;
    };
    server.once("error", lost).once("close", lost);
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
    const { stalled, latencyMs } = this.faults;
    if (stalled || latencyMs > BASE_LATENCY_MS) this.felt++;
    if (!stalled) setTimeout(() => !to.destroyed && to.write(data), latencyMs);
  }

  /** Resets every connection, in the middle of whatever it is doing. */
  cut(): void {
    this.felt += this.#sockets.size;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
