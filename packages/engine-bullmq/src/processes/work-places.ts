import type { Transform } from "@omni/p2p-core";
import { type InstalledStarter, installedStarters } from "@omni/p2p-core/engine";
import type { Redis } from "ioredis";
import { checkGuard } from "../endpoints/access.ts";
import { Endpoints, findAmong, type NamedEndpoint } from "../endpoints/endpoints.ts";
import { type Executor, InProcess } from "../jobs/executor.ts";
import type { WorkerContext } from "../jobs/worker-context.ts";
import type { TransferSpec } from "../protocol.ts";
import type { EngineKeys } from "../state/keys.ts";
import { loadWorkerModule, moduleOf, type WorkerParts } from "../worker-module.ts";
import type { TransferWorkerOptions } from "../worker-options.ts";
import { poolTrouble, WorkPool } from "./work-pool.ts";
import { openPlace, type WorkerPlace } from "./worker-place.ts";

/** What a worker is, for where its work is done. */
interface WorkerBeing {
  readonly redis: Redis;
  readonly prefix: string;
  readonly name: string;
  readonly tell: WorkerContext["tell"];
  readonly trouble: (error: Error) => void;
}

/** Where a worker's jobs are done: in processes that can be killed, and in its own where that cannot be. */
export class WorkPlaces {
  readonly maxDeaths: number;
  readonly tell: WorkerContext["tell"];
  readonly #options: TransferWorkerOptions;
  readonly #being: WorkerBeing;
  readonly #place: WorkerPlace;
  readonly #told = new Set<string>();
  /** Why an endpoint cannot be opened in another process, by its name; nothing when it can. */
  readonly #bound = new Map<string, string | undefined>();
  #pool: WorkPool | undefined;
  #noPool: string | undefined;
  #here: Executor | undefined;
  #named: Readonly<Record<string, NamedEndpoint>>;
  #parts: WorkerParts = {};
  #endpoints: Endpoints | undefined;
  #installed: readonly InstalledStarter[] | undefined;

  constructor(options: TransferWorkerOptions, being: WorkerBeing) {
    this.#options = options;
    this.#being = being;
    this.tell = being.tell;
    this.maxDeaths = options.maxDeaths ?? 3;
    this.#named = options.endpoints;
    this.#place = openPlace(being.redis, being.prefix, options.starters ?? [], options.appRoot, being.trouble);
  }

  get keys(): EngineKeys {
    return this.#place.keys;
  }

  get queue(): WorkerPlace["queue"] {
    return this.#place.queue;
  }

  /**
   * Loads the worker's module.
   *
   * @throws P2PError `INVALID_CONFIG`
   */
  async load(): Promise<void> {
    const { isolated = true, starters = [], transforms = {}, appRoot, connection, signingKeys = [] } = this.#options;
    const { redis, prefix, name, tell } = this.#being;
    const module = moduleOf(this.#options.module);
    this.#parts = await loadWorkerModule(module);
    for (const [each, given] of Object.entries(this.#parts.endpoints ?? {})) checkGuard(each, given);
    this.#named = { ...this.#parts.endpoints, ...this.#options.endpoints };
    const find = findAmong(this.#named);
    const all = [...starters, ...(this.#parts.starters ?? [])];
    for (const starter of this.#parts.starters ?? []) {
      if (starters.some(({ storageType }) => storageType === starter.storageType)) continue;
      this.#place.manager.registerService(starter.storageType, starter);
    }
    this.#endpoints = new Endpoints(find, [...all].reverse(), appRoot);
    const shared = { name, prefix, maxDeaths: this.maxDeaths, signed: signingKeys.length > 0 };
    this.#here = new InProcess({
      ...{ ...this.#place, ...shared, redis, tell, endpoints: this.#endpoints },
      transforms: { ...this.#parts.transforms, ...transforms },
      at() {},
      alive() {},
    });
    this.#noPool = isolated ? poolTrouble({ connection, module }) : undefined;
    if (!isolated || this.#noPool !== undefined) return;
    const lockDuration = this.#options.lockDuration ?? 30_000;
    this.#pool = new WorkPool({
      ...{ ...shared, connection, appRoot, module, find },
      heartbeatTimeout: this.#options.heartbeatTimeout ?? lockDuration,
      progressTimeout: this.#options.progressTimeout ?? 300_000,
      tell: (each, event) => (tell as (each: string, event: unknown) => void)(each, event),
    });
  }

  /** An endpoint as it was given. */
  endpointGiven(name: string): unknown {
    return Object.hasOwn(this.#named, name) ? this.#named[name] : undefined;
  }

  /**
   * Who does the work of a transfer.
   *
   * @throws UnsuitedError when this worker does not know one of its endpoints.
   */
  async executorFor(spec: TransferSpec): Promise<Executor> {
    if (this.#options.isolated === false) return this.#here!;
    const reason = this.#noPool ?? (await this.#boundBecause(spec));
    if (reason === undefined) return this.#pool!;
    if (!this.#told.has(reason)) this.tell("unisolated", { transfer: spec.id, reason });
    this.#told.add(reason);
    return this.#here!;
  }

  async #boundBecause({ source, target, deadLetters, transform }: TransferSpec): Promise<string | undefined> {
    if (transform !== undefined && Object.hasOwn(this.#inline, transform)) {
      return `the transform "${transform}" is a function of this process; give it by the worker's "module"`;
    }
    for (const name of [source, target, deadLetters]) {
      if (name === undefined) continue;
      if (!this.#bound.has(name)) this.#bound.set(name, await this.#boundEndpoint(name));
      const reason = this.#bound.get(name);
      if (reason !== undefined) return reason;
    }
    return undefined;
  }

  get #inline(): Readonly<Record<string, Transform>> {
    return this.#options.transforms ?? {};
  }

  async #boundEndpoint(name: string): Promise<string | undefined> {
    const endpoint = await this.#endpoints!.named(name);
    const { storageType } = endpoint;
    const has = (list: readonly { readonly storageType: string }[] = []) =>
      list.some((starter) => starter.storageType === storageType);
    if (storageType === "memory") return `"${name}" is in the memory of this process`;
    if (has(this.#options.starters)) {
      return `the starter for '${storageType}' was made in this process; give it by the worker's "module"`;
    }
    try {
      structuredClone(endpoint);
    } catch {
      return `the endpoint "${name}" holds what cannot be passed to another process, such as a function`;
    }
    if (has(this.#parts.starters)) return undefined;
    this.#installed ??= installedStarters(this.#options.appRoot);
    if (has(this.#installed)) return undefined;
    // Whoever asks further hears what is missing.
    return `the starter for '${storageType}' is not among the dependencies of the application; give it by the worker's "module"`;
  }

  async close(): Promise<void> {
    this.#pool?.close();
    await this.#place.close();
  }
}
