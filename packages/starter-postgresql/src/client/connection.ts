/** A connection to one server, as a user: the driver's client on a socket that was opened here. */
import type { Client } from "pg";
import { type BackendKey, cancelStatement } from "./cancel.ts";
import type { SocketRequest } from "./socket.ts";
import { type Completed, Pipeline, type Statement } from "./work.ts";

/** Work that the driver can be given, with its result. */
interface Submitted<T> {
  readonly result: Promise<T>;
  submit: (wire: never) => void;
}

/** One session at the server. */
export class Connection {
  readonly request: SocketRequest;
  readonly #client: Client;
  #dead = false;
  /** Called once when the connection is gone. */
  onGone: () => void = () => {};

  constructor(client: Client, request: SocketRequest) {
    this.#client = client;
    this.request = request;
    const gone = () => {
      if (this.#dead) return;
      this.#dead = true;
      this.onGone();
    };
    client.on("error", gone);
    client.on("end", gone);
  }

  get isAlive(): boolean {
    return !this.#dead;
  }

  /** Whether no transaction is open. */
  get isIdle(): boolean {
    return (this.#client as unknown as { getTransactionStatus(): string | null }).getTransactionStatus() === "I";
  }

  run<T>(work: Submitted<T>): Promise<T> {
    this.#client.query(work as never);
    return work.result;
  }

  /** Runs statements in one round trip. */
  pipeline(statements: readonly Statement[]): Promise<readonly Completed[]> {
    return this.run(new Pipeline(statements));
  }

  /** Asks the server to give up what it is doing for this connection. */
  cancel(): Promise<void> {
    const { processID, secretKey } = this.#client as unknown as { processID: number | null; secretKey: number | null };
    if (processID === null || secretKey === null) return Promise.resolve();
    const key: BackendKey = { processId: processID, secretKey };
    return cancelStatement(this.request, key);
  }

  /** Drops the socket, whatever is under way. */
  destroy(): void {
    (this.#client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
  }

  /** Takes leave of the server. */
  async end(): Promise<void> {
    if (this.#dead) return;
    await this.#client.end();
  }
}
