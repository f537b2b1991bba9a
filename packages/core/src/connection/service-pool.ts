/** The connection pool: opened stores, leased and given back. */
import { unlessAborted } from "../async/abort.ts";
import { unlessLate, withDeadline } from "../async/deadline.ts";
import { P2PError, toP2PError } from "../errors.ts";
import { completeTarget } from "../storage/complete-target.ts";
import { type EndpointInfo, endpointLabel } from "../storage/endpoint.ts";
import { closeService, openService } from "../storage/open-service.ts";
import type { StarterRegistry } from "../storage/registry.ts";
import type { OpenContext, P2PDataTransferService } from "../storage/service.ts";
import { anySignal } from "./cancel.ts";

type Role = OpenContext["role"];

/** A store in use. */
export interface ServiceLease {
  readonly service: P2PDataTransferService;
  /**
   * Gives the store back.
   *
   * @param broken it is of no more use to others: whoever asks next gets a new one.
   * @param keepMs how long it stays open when nobody uses it, in ms. Default: the pool's idle TTL.
   */
  release(broken?: boolean, keepMs?: number): Promise<void>;
}

/** How long opening a store may take. */
interface Patience {
  /** What is left of `timeoutMs`, which the message tells. */
  readonly left: number;
  readonly timeoutMs: number;
  readonly given: AbortSignal | undefined;
}

/** A store that is open or being opened, and how many use it. */
interface Entry {
  readonly key: string;
  readonly service: Promise<P2PDataTransferService>;
  users: number;
  /** Whether several may use it; unknown until it is open. */
  shareable?: boolean;
  idleTimer?: NodeJS.Timeout;
}

/** Opens stores, lets connections to the same endpoint share one where that is safe, and keeps unused ones for a while. */
export class ServicePool {
  readonly #registry: StarterRegistry;
  readonly #entries = new Set<Entry>();
  readonly #idleTtl: number;
  readonly #closing: AbortSignal;
  /** Keys of stores that cannot be shared, as is known once one was open: nobody waits for another's. */
  readonly #unshareable = new Set<string>();

  /**
   * @param idleTtl how long a store stays open that nobody uses, in ms.
   * @param closing aborts when nothing is to be opened or kept any more.
   */
  constructor(registry: StarterRegistry, idleTtl: number, closing: AbortSignal) {
    this.#registry = registry;
    this.#idleTtl = idleTtl;
    this.#closing = closing;
  }

  /** @param given up when this aborts; a store that is being opened for it is closed again. */
  async acquire(endpoint: EndpointInfo, role: Role, timeoutMs: number, given?: AbortSignal): Promise<ServiceLease> {
    given?.throwIfAborted();
    const key = shareKey(endpoint, role);
    const deadline = performance.now() + timeoutMs;
    let left = timeoutMs;
    for (;;) {
      const alike = [...this.#entries].filter((entry) => entry.key === key);
      const free = alike.find((entry) => entry.users === 0 || entry.shareable === true);
      const opening = alike.find((entry) => entry.shareable === undefined);
      if (free) {
        const lease = await this.#lease(free);
        // It may have gone away unnoticed; half of the time is left to open a new one.
        if (await answers(lease.service, (deadline - performance.now()) / 2, given)) return lease;
        // Of a store that was not waited for nothing is known.
        await lease.release(given?.aborted !== true);
      } else if (!opening || this.#unshareable.has(key)) {
        break;
      } else if (!(await isFulfilled(inTime(opening.service, deadline - performance.now(), given)))) {
        left = Math.max(1, Math.ceil(deadline - performance.now()));
        break;
      }
      given?.throwIfAborted();
      left = Math.max(1, Math.ceil(deadline - performance.now()));
    }
    given?.throwIfAborted();
    return this.#openNew(key, endpoint, role, { left, timeoutMs, given });
  }

  /** The endpoint of a target with what it leaves open taken from its source, where its starter does that. */
  async completeTarget(
    target: EndpointInfo,
    source: EndpointInfo,
    timeoutMs: number,
    given?: AbortSignal,
  ): Promise<EndpointInfo> {
    const starter = await this.#registry.resolve(target.storageType);
    return completeTarget(starter, target, source, { timeoutMs, signal: anySignal(this.#closing, given) });
  }

  async #openNew(key: string, endpoint: EndpointInfo, role: Role, patience: Patience): Promise<ServiceLease> {
    const entry: Entry = { key, service: this.#open(endpoint, role, patience), users: 1 };
    this.#entries.add(entry);
    try {
      entry.shareable = (await entry.service).capabilities.shareable;
    } catch (error) {
      this.#entries.delete(entry);
      throw error;
    }
    if (!entry.shareable) this.#unshareable.add(key);
    entry.users--;
    return this.#lease(entry);
  }

  async #lease(entry: Entry): Promise<ServiceLease> {
    clearTimeout(entry.idleTimer);
    entry.users++;
    const service = await entry.service;
    let released = false;
    return {
      service,
      release: async (broken = false, keepMs = this.#idleTtl) => {
        if (released) return;
        released = true;
        await this.#release(entry, service, broken, keepMs);
      },
    };
  }

  async #release(entry: Entry, service: P2PDataTransferService, broken: boolean, keepMs: number): Promise<void> {
    entry.users--;
    if (broken) this.#entries.delete(entry);
    if (entry.users > 0) return;
    if (keepMs === 0 || this.#closing.aborted || !this.#entries.has(entry)) {
      this.#entries.delete(entry);
      await closeService(service);
      return;
    }
    entry.idleTimer = setTimeout(() => {
      this.#entries.delete(entry);
      void closeService(service);
    }, keepMs);
    entry.idleTimer.unref();
  }

  async #open(
    endpoint: EndpointInfo,
    role: Role,
    { left, timeoutMs, given }: Patience,
  ): Promise<P2PDataTransferService> {
    const starter = await this.#registry.resolve(endpoint.storageType);
    const late = () =>
      new P2PError(
        "TIMEOUT",
        `${endpointLabel(endpoint)} did not answer within the connection_timeout of ${timeoutMs} ms; see whether it is up and reachable, or allow more`,
        { retryable: true },
      );
    try {
      return await openService(starter, endpoint, {
        role,
        timeoutMs: left,
        signal: anySignal(this.#closing, given),
        late,
      });
    } catch (error) {
      throw toP2PError(error, "CONNECTION_FAILED", `Failed to open ${endpointLabel(endpoint)}`);
    }
  }

  /** Closes the stores that nobody uses. */
  async close(): Promise<void> {
    const unused = [...this.#entries].filter((entry) => entry.users === 0);
    for (const entry of unused) {
      clearTimeout(entry.idleTimer);
      this.#entries.delete(entry);
    }
    await Promise.allSettled(unused.map(async (entry) => closeService(await entry.service)));
  }
}

/** Whether the store gives a sign of life in time. */
async function answers(service: P2PDataTransferService, timeoutMs: number, given?: AbortSignal): Promise<boolean> {
  return isFulfilled(withDeadline(timeoutMs, given, notInTime, async (signal) => service.ping(signal)));
}

/** The promise, unless it takes too long or nobody waits for it any more. */
function inTime<T>(work: Promise<T>, timeoutMs: number, given: AbortSignal | undefined): Promise<T> {
  const timely = unlessLate(work, timeoutMs, notInTime);
  return given ? unlessAborted(timely, given) : timely;
}

function notInTime(): Error {
  return new Error("No answer in time");
}

function isFulfilled(promise: Promise<unknown>): Promise<boolean> {
  return promise.then(
    () => true,
    () => false,
  );
}

const identities = new WeakMap<object, number>();
let lastIdentity = 0;

/** Functions and clients are the same when they are the very same. */
function identityOf(value: object): string {
  if (!identities.has(value)) identities.set(value, ++lastIdentity);
  return `#${identities.get(value)}`;
}

/** Two connections share a store only when everything but the endpoint's name is the same. */
function shareKey({ storageType, host, port, database, metadata = {} }: EndpointInfo, role: Role): string {
  const options = Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1));
  try {
    return JSON.stringify([role, storageType, host, port, database, options], (_, value: unknown) => {
      if (typeof value === "bigint") return `${value}n`;
      if (typeof value === "function") return identityOf(value);
      if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
      const prototype: unknown = Object.getPrototypeOf(value);
      return prototype === null || prototype === Object.prototype ? value : identityOf(value);
    });
  } catch {
    // What goes in a circle is told apart as a whole.
    return identityOf(metadata);
  }
}
