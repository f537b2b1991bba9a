import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A listener on a free port of this machine. */
export interface Listener {
  readonly port: number;
  /** Keeps the process running no longer. */
  unref(): void;
  close(): Promise<void>;
}

/** Listens, and does with each connection what it is told. */
export async function listen(onConnection: (socket: Socket) => void): Promise<Listener> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    onConnection(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    unref() {
      server.unref();
      for (const socket of sockets) socket.unref();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** A port on which nobody listens. */
export async function closedPort(): Promise<number> {
  const listener = await listen(() => {});
  await listener.close();
  return listener.port;
}

/** A way to a server that can be spoiled. */
export interface SpoiltWay extends Listener {
  /** Passes nothing on any more, in both directions, and keeps the connections. */
  stall(): void;
  /** Cuts the connections. */
  cut(): void;
  /** Cuts the connections as soon as the server has sent so many bytes more. */
  cutAfter(bytes: number): void;
  /** Passes on again what comes over new connections. */
  mend(): void;
}

/** Passes connections on to a port of this machine. */
export async function proxyTo(port: number): Promise<SpoiltWay> {
  const pairs = new Set<[Socket, Socket]>();
  let stalled = false;
  let left = Infinity;
  const cut = () => {
    for (const pair of pairs) for (const socket of pair) socket.destroy();
    pairs.clear();
    left = Infinity;
  };
  const listener = await listen((near) => {
    const far = connect(port, "127.0.0.1");
    const pair: [Socket, Socket] = [near, far];
    pairs.add(pair);
    for (const [from, to] of [pair, [far, near] as const]) {
      from.on("data", (data) => {
        if (stalled) return;
        if (from === far) {
          const part = data.subarray(0, left);
          left -= part.length;
          to.write(part);
          if (left <= 0) cut();
        } else to.write(data);
      });
      from.on("error", () => {});
      from.on("close", () => to.destroy());
    }
  });
  return {
    ...listener,
    unref: () => {
      listener.unref();
      for (const pair of pairs) for (const socket of pair) socket.unref();
    },
    stall: () => {
      stalled = true;
    },
    cut,
    cutAfter: (bytes) => {
      left = bytes;
    },
    mend: () => {
      stalled = false;
      cut();
    },
  };
}
