import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";

/** Node tells of every client socket on this channel. */
const CHANNEL = "net.client.socket";

const storage = new AsyncLocalStorage<Set<Socket>>();

/** Work under way, and a way to close the sockets that it has opened. */
export interface SocketWork<T> {
  readonly result: Promise<T>;
  destroySockets(): void;
}

/**
 * Starts work and remembers the sockets it opens. The driver cannot be told to give up a handshake: the socket of a
 * server that accepts and never answers would stay open, and keep the process running, until its time is over.
 */
export function rememberSockets<T>(work: () => Promise<T>): SocketWork<T> {
  const sockets = new Set<Socket>();
  const onSocket = (message: unknown) => {
    // Other connections of the process are opened in other asynchronous contexts.
    if (storage.getStore() !== sockets) return;
    const { socket } = message as { readonly socket: Socket };
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  };
  subscribe(CHANNEL, onSocket);
  const result = storage.run(sockets, work);
  const forget = () => {
    unsubscribe(CHANNEL, onSocket);
  };
  result.then(forget, forget);
  return {
    result,
    destroySockets() {
      for (const socket of sockets) socket.destroy();
    },
  };
}
