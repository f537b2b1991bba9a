import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";

/** What Node itself calls of a socket when bytes leave it, and when some have come. */
interface Streamed {
  _write(...given: unknown[]): unknown;
  _writev(...given: unknown[]): unknown;
  push(...given: unknown[]): unknown;
}

/** The channel on which Node tells of each socket that is made to reach a server. */
const CHANNEL = "net.client.socket";

/**
 * Counts round trips on the sockets that this process opens: each time that something is asked after an answer has come.
 * A batch is one of them, and so are some thousand commands in a pipeline; one question a record is as many as records.
 * A store in a file or in the process has none.
 */
export class RoundTrips {
  #count = 0;
  #sockets = 0;
  readonly #listener = (message: unknown): void => this.#watch((message as { readonly socket: Socket }).socket);

  /** Watches all sockets that are opened from now on. */
  constructor() {
    subscribe(CHANNEL, this.#listener);
  }

  /** Round trips so far; `undefined` where no socket was opened. */
  get count(): number | undefined {
    return this.#sockets === 0 ? undefined : this.#count;
  }

  /** Watches no further sockets. */
  stop(): void {
    unsubscribe(CHANNEL, this.#listener);
  }

  #watch(socket: Socket): void {
    this.#sockets++;
    const streamed = socket as unknown as Streamed;
    const { _write, _writev, push } = streamed;
    let answered = true;
    const asks = (): void => {
      if (answered) this.#count++;
      answered = false;
    };
    streamed._write = (...given) => {
      asks();
      return _write.apply(socket, given);
    };
    streamed._writev = (...given) => {
      asks();
      return _writev.apply(socket, given);
    };
    streamed.push = (...given) => {
      answered = true;
      return push.apply(socket, given);
    };
  }
}
