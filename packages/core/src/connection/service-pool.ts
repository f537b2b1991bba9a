import { isP2PError, P2PError, toP2PError } from "../errors.ts";
import { type EndpointInfo, endpointLabel } from "../storage/endpoint.ts";
import type { StarterRegistry } from "../storage/registry.ts";
import type { OpenContext, P2PDataTransferService } from "../storage/service.ts";

type Role = OpenContext["role"];

/** A store in use. */
export interface ServiceLease {
  readonly service: P2PDataTransferService;
  /**
   * Gives the store back.
   *
   * @param broken it is of no more use to others: whoever asks next gets a new one.
   */
  release(broken?: boolean): Promise<void>;
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
  #idleTtl: number;

  /** @param idleTtl how long a store stays open that nobody uses, in ms. */
  constructor(registry: StarterRegistry, idleTtl: number) {
    this.#registry = registry;
    this.#idleTtl = idleTtl;
  }

  async acquire(endpoint: EndpointInfo, role: Role, timeoutMs: number): Promise<ServiceLease> {
    const key = shareKey(endpoint, role);
    for (;;) {
      const alike = [...this.#entries].filter((entry) => entry.key === key);
      const free = alike.find((entry) => entry.users === 0 || entry.shareable === true);
      if (free) return this.#lease(free);
      const opening = alike.find((entry) => entry.shareable === undefined);
      if (!opening) break;
      await opening.service.catch(() => {});
    }
    const entry: Entry = { key, service: this.#open(endpoint, role, timeoutMs), users: 1 };
    this.#entries.add(entry);
    try {
      entry.shareable = (await entry.service).capabilities.shareable;
    } catch (error) {
      this.#entries.delete(entry);
      throw error;
    }
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
      release: async (broken = false) => {
        if (released) return;
        released = true;
        await this.#release(entry, service, broken);
      },
    };
  }

  async #release(entry: Entry, service: P2PDataTransferService, broken: boolean): Promise<void> {
    entry.users--;
    if (broken) this.#entries.delete(entry);
    if (entry.users > 0) return;
    if (this.#idleTtl === 0 || !this.#entries.has(entry)) {
      this.#entries.delete(entry);
      await service.close();
      return;
    }
    entry.idleTimer = setTimeout(() => {
      this.#entries.delete(entry);
      service.close().catch(() => {});
    }, this.#idleTtl);
    entry.idleTimer.unref();
  }

  async #open(endpoint: EndpointInfo, role: Role, timeoutMs: number): Promise<P2PDataTransferService> {
    const starter = await this.#registry.resolve(endpoint.storageType);
    const given = new AbortController();
    const timeout = new P2PError(
      "TIMEOUT",
      `${endpointLabel(endpoint)} did not answer within the connection_timeout of ${timeoutMs} ms; see whether it is up and reachable, or allow more`,
      { retryable: true },
    );
    const timer = setTimeout(() => given.abort(timeout), timeoutMs);
    const opening = starter.open(endpoint, { role, signal: given.signal, connectTimeoutMs: timeoutMs });
    try {
      return await Promise.race([opening, rejectionOf(given.signal)]);
    } catch (error) {
      // A starter that opens after all, when nobody waits any more, must not leave its store open.
      opening.then((late) => late.close()).catch(() => {});
      throw isP2PError(error)
        ? error
        : toP2PError(error, "CONNECTION_FAILED", `Failed to open ${endpointLabel(endpoint)}`);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Closes the stores that nobody uses, now and from now on. */
  async close(): Promise<void> {
    this.#idleTtl = 0;
    const unused = [...this.#entries].filter((entry) => entry.users === 0);
    for (const entry of unused) {
      clearTimeout(entry.idleTimer);
      this.#entries.delete(entry);
    }
    await Promise.allSettled(unused.map(async (entry) => (await entry.service).close()));
  }
}

/** A promise that rejects when the signal aborts. */
function rejectionOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** Two connections share a store only when everything but the endpoint's name is the same. */
function shareKey({ storageType, host, port, database, metadata }: EndpointInfo, role: Role): string {
  const options = Object.entries(metadata ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([role, storageType, host, port, database, options], (_, value: unknown) =>
    typeof value === "function" || typeof value === "bigint" ? String(value) : value,
  );
}
