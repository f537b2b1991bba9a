/** A pool of connections: they are opened when they are needed, and kept for the next who needs one. */
import { endsWithin, onAbort, P2PError } from "@omni/p2p-core/starter";
import type { Connection } from "./connection.ts";
import { sqlState } from "./errors.ts";

/** Longest wait, in ms, for a connection to take leave. */
const CLOSE_MS = 2000;

/** Who waits for a connection. */
interface Waiter {
  readonly resolve: () => void;
}

/** A pool of connections to one endpoint. */
export class Pool {
  readonly #open: (signal: AbortSignal) => Promise<Connection>;
  readonly #most: number;
  readonly #label: string;
  readonly #all = new Set<Connection>();
  readonly #idle: Connection[] = [];
  readonly #waiters: Waiter[] = [];
  /** Connections that are being opened. */
  #opening = 0;
  #closed = false;

  constructor(open: (signal: AbortSignal) => Promise<Connection>, most: number, label: string) {
    this.#open = open;
    this.#most = most;
    this.#label = label;
  }

  /** Takes in a connection that was opened elsewhere. */
  add(connection: Connection): void {
    this.#all.add(connection);
    connection.onGone = () => this.#forget(connection);
    this.#idle.push(connection);
  }

  /**
   * A connection of one's own until it is given back.
   *
   * @throws the signal's reason, and whatever hinders the opening of another one.
   */
  async acquire(signal: AbortSignal): Promise<Connection> {
    while (true) {
      signal.throwIfAborted();
      if (this.#closed) throw this.#closedError();
      const idle = this.#idle.pop();
      if (idle?.isAlive === true) return idle;
      if (idle !== undefined) continue;
      if (this.#all.size + this.#opening >= this.#most) {
        await this.#turn(signal);
        continue;
      }
      this.#opening++;
      try {
        const connection = await this.#open(signal);
        if (this.#closed) {
          connection.destroy();
          throw this.#closedError();
        }
        this.#all.add(connection);
        connection.onGone = () => this.#forget(connection);
        return connection;
      } catch (error) {
        // A server that is full leaves us those that we have.
        if (!isFull(error) || this.#all.size === 0) throw error;
      } finally {
        this.#opening--;
        this.#wakeOne();
      }
      if (this.#idle.length === 0) await this.#turn(signal);
    }
  }

  /** Gives a connection back. */
  release(connection: Connection): void {
    if (this.#closed) {
      connection.destroy();
    } else if (connection.isAlive && this.#all.has(connection)) {
      this.#idle.push(connection);
      this.#wakeOne();
    } else {
      this.#forget(connection);
    }
  }

  /** Drops a connection for good. */
  discard(connection: Connection): void {
    connection.destroy();
    this.#forget(connection);
  }

  /** Drops those that nobody uses: they lead to a server that is no longer the right one. */
  discardIdle(): void {
    for (const connection of this.#idle.splice(0)) this.discard(connection);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const { resolve } of this.#waiters.splice(0)) resolve();
    const leaving = this.#idle.splice(0).map((connection) => connection.end().catch(() => {}));
    await endsWithin(Promise.all(leaving), CLOSE_MS);
    for (const connection of this.#all) connection.destroy();
    this.#all.clear();
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiter = { resolve };
    this.#waiters.push(waiter);
    const forget = onAbort(signal, resolve);
    try {
      await promise;
    } finally {
      forget();
      const at = this.#waiters.indexOf(waiter);
      if (at >= 0) this.#waiters.splice(at, 1);
      // One who was woken and goes away wakes the next.
      else if (signal.aborted) this.#wakeOne();
    }
  }

  #wakeOne(): void {
    this.#waiters.shift()?.resolve();
  }

  #forget(connection: Connection): void {
    this.#all.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#wakeOne();
  }

  #closedError(): P2PError {
    return new P2PError("CLOSED", `${this.#label} is closed`);
  }
}

function isFull(error: unknown): boolean {
  return sqlState(error) === "53300" || sqlState((error as { readonly cause?: unknown }).cause) === "53300";
}
