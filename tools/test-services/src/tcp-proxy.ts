import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A TCP proxy in front of a server, with which to look at the traffic, to stall it, and to cut it off. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Is shown what the server sends. */
  onServerData: (data: Buffer) => void;
  /** Lets nothing through any more, without closing anything. */
  stall(): void;
  /** Lets through again what comes from now on. */
  resume(): void;
  /** Resets all connections. */
  cut(): void;
}

/** Starts a proxy to the server of a URL. */
export async function startProxy(url: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  let stalled = false;
  const proxy = {
    onServerData: (_: Buffer) => {},
    stall: () => {
      stalled = true;
    },
    resume: () => {
      stalled = false;
    },
    cut: () => {
      for (const socket of sockets) socket.resetAndDestroy();
    },
  };
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket
        .on("error", () => {})
        .on("close", () => {
          sockets.delete(socket);
          client.destroy();
          upstream.destroy();
        });
    }
    client.on("data", (data) => stalled || upstream.write(data));
    upstream.on("data", (data) => {
      proxy.onServerData(data);
      if (!stalled) client.write(data);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return Object.assign(proxy, {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      proxy.cut();
      server.close();
      await once(server, "close");
    },
  });
}
