/** A pool of connections: they are opened when they are needed, and kept for the next who needs one. */
import { endsWithin, onAbort, P2PError } from "@omni/p2p-core/starter";
import type { Connection } from "./connection.ts";
import { sqlState } from "./errors.ts";

/** Longest wait, in ms, for a connection to take leave. */
const CLOSE_MS = 2000;
/** Time after which a server that was full is asked again, in ms, where no connection of ours has become free. */
const FULL_MS = 1000;

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
    this.#own(connection);
    this.#idle.push(connection);
  }

  #own(connection: Connection): void {
    this.#all.add(connection);
    connection.onGone = () => this.#forget(connection);
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
        this.#own(connection);
        return connection;
      } catch (error) {
        // A server that is full leaves us those that we have. Nobody else is woken: it would refuse them as well.
        if (!isFull(error) || this.#all.size === 0) {
          this.#wakeOne();
          throw error;
        }
      } finally {
        this.#opening--;
      }
      if (this.#idle.length === 0) await this.#turn(signal, FULL_MS);
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

  /** Waits until it is worth looking again, and no longer than so many ms. */
  async #turn(signal: AbortSignal, mostMs?: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = mostMs === undefined ? undefined : setTimeout(resolve, mostMs);
    const waiter = { resolve };
    this.#waiters.push(waiter);
    const forget = onAbort(signal, resolve);
    try {
      await promise;
    } finally {
      forget();
      clearTimeout(timer);
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
