import type { Socket } from "node:net";

/**
 * The sockets of one client. While nothing is asked of the server they do not keep the process running, so that a
 * connection that was never closed does not keep a program from its end.
 */
export class Sockets {
  readonly #open = new Set<Socket>();
  #holders = 0;

  /** Whether something is under way. */
  get held(): boolean {
    return this.#holders > 0;
  }

  add(socket: Socket): void {
    if (this.#open.has(socket)) return;
    this.#open.add(socket);
    socket.once("close", () => this.#open.delete(socket));
    if (!this.held) socket.unref();
  }

  /** Keeps the process running until the function that is returned is called. */
  hold(): () => void {
    if (this.#holders++ === 0) for (const socket of this.#open) socket.ref();
    let released = false;
    return () => {
      if (released) return;
      released = true;
      if (--this.#holders === 0) for (const socket of this.#open) socket.unref();
    };
  }

  destroy(): void {
    for (const socket of this.#open) socket.destroy();
  }
}
