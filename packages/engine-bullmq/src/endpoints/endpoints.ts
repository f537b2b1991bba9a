import {
  type EndpointInfo,
  type EndpointInput,
  isP2PError,
  P2PError,
  type P2PStarter,
  parseEndpoint,
} from "@omni/p2p-core";
import { completeTarget, openService, redactError, StarterRegistry } from "@omni/p2p-core/engine";
import { type P2PDataTransferService, secretsOf, toP2PError } from "@omni/p2p-core/starter";
import { type GuardedEndpoint, isGuarded } from "./access.ts";

/**
 * An endpoint as it is named to the engine: as every endpoint is given, a function that fetches it when needed, or either
 * with what submissions may do with it.
 */
export type NamedEndpoint = EndpointInput | (() => EndpointInput | Promise<EndpointInput>) | GuardedEndpoint;

/** Looks an endpoint up by its name; nothing when there is none. */
export type FindEndpoint = (name: string) => Promise<EndpointInput | undefined>;

/** Time in which a store must answer that is opened to be looked at, in ms. */
const OPEN_TIMEOUT_MS = 10_000;

/** What this process cannot do for a transfer: another one may, so the job is left to it. */
export class UnsuitedError extends P2PError {
  constructor(cause: P2PError) {
    super(cause.code, cause.message, { cause });
    this.name = "UnsuitedError";
  }
}

/** Finds endpoints among those that were given. */
export function findAmong(named: Readonly<Record<string, NamedEndpoint>>): FindEndpoint {
  return async (name) => {
    const given = Object.hasOwn(named, name) ? named[name] : undefined;
    const endpoint = isGuarded(given) ? given.endpoint : given;
    return typeof endpoint === "function" ? fetched(name, endpoint) : endpoint;
  };
}

/** The endpoints and starters of one process. */
export class Endpoints {
  readonly #find: FindEndpoint;
  readonly registry: StarterRegistry;

  constructor(find: FindEndpoint, starters: readonly P2PStarter[] = [], appRoot: string | undefined) {
    this.#find = find;
    this.registry = new StarterRegistry(appRoot);
    for (const starter of starters) this.registry.register(starter.storageType, starter);
  }

  /**
   * The endpoint with this name, whoever has its starter.
   *
   * @throws UnsuitedError when this process does not know the name.
   */
  async named(name: string): Promise<EndpointInfo> {
    const given = await this.#find(name);
    if (given !== undefined) return parseEndpoint(given);
    throw new UnsuitedError(
      new P2PError("INVALID_ENDPOINT", `This worker has no endpoint named "${name}"; add it to its endpoints`),
    );
  }

  /**
   * The endpoint with this name, whose starter is there.
   *
   * @throws UnsuitedError when this process does not know the name, or lacks the starter (the message says which).
   */
  async resolve(name: string): Promise<EndpointInfo> {
    const endpoint = await this.named(name);
    try {
      await this.registry.resolve(endpoint.storageType);
    } catch (error) {
      if (isP2PError(error, "SERVICE_NOT_FOUND") || isP2PError(error, "STARTER_INCOMPATIBLE")) {
        throw new UnsuitedError(error);
      }
      throw error;
    }
    return endpoint;
  }

  /**
   * Opens an endpoint to be read for a piece of work, and closes it. Errors come out without its secrets.
   *
   * @param source of a target the endpoint that it is written from, by which it is completed as the transfer does it.
   */
  async withOpen<T>(
    name: string,
    work: (service: P2PDataTransferService, signal: AbortSignal) => Promise<T>,
    source?: string,
  ) {
    const named = await this.resolve(name);
    const starter = await this.registry.resolve(named.storageType);
    let endpoint = named;
    try {
      if (source !== undefined) {
        const timeoutMs = OPEN_TIMEOUT_MS;
        endpoint = await completeTarget(starter, named, await this.resolve(source), { timeoutMs });
      }
      const service = await openService(starter, endpoint, { role: "source", timeoutMs: OPEN_TIMEOUT_MS });
      try {
        return await work(service, new AbortController().signal);
      } finally {
        await service.close();
      }
    } catch (error) {
      throw redactError(toP2PError(error, "READ_FAILED", `"${name}" could not be read`), secretsOf(endpoint));
    }
  }
}

async function fetched(name: string, fetch: () => EndpointInput | Promise<EndpointInput>): Promise<EndpointInput> {
  try {
    return await fetch();
  } catch (cause) {
    // What it threw may hold what it fetched, so only its kind is told.
    throw new P2PError("INVALID_ENDPOINT", `The endpoint "${name}" could not be fetched by the function given for it`, {
      cause,
      retryable: true,
    });
  }
}
