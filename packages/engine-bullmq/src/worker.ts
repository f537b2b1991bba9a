import { EventEmitter } from "node:events";
import { hostname } from "node:os";
import { endsWithin } from "@omni/p2p-core/starter";
import { Worker } from "bullmq";
import type { Redis } from "ioredis";
import { connectRedis, untilReady } from "./connection.ts";
import { fenced, LetGoError } from "./errors.ts";
import { JobRunner, type TransferJob } from "./jobs/job-runner.ts";
import { WorkPlaces } from "./processes/work-places.ts";
import { DEFAULT_PREFIX, type JobData, type JobKind, QUEUE } from "./protocol.ts";
import { SAY_IDLE } from "./state/transfer-scripts.ts";
import { checkWorkerOptions, type TransferWorkerEvents, type TransferWorkerOptions } from "./worker-options.ts";

/** How often an idle worker says so, in ms. */
const IDLE_MS = 1000;
/** Most times that a partition is taken over without coming to its end. */
const MAX_STALLED = 30;
/** How long a worker that is closed waits for what cannot be brought to an end, such as a Redis that is away, in ms. */
const CLOSE_MS = 10_000;
/** How long it waits for what is torn down after that, in ms. */
const TEAR_DOWN_MS = 1000;

/** A worker: it runs partitions of whatever transfers are submitted, until it is closed. */
export class TransferWorker implements AsyncDisposable {
  readonly events = new EventEmitter<TransferWorkerEvents>();
  /** How it is called in lists. */
  readonly name: string;
  readonly #redis: Redis;
  readonly #worker: Worker<JobData, unknown, JobKind>;
  readonly #places: WorkPlaces;
  readonly #loaded: Promise<void>;
  readonly #closing = new AbortController();
  readonly #idle: NodeJS.Timeout;
  #active = 0;
  #closed: Promise<void> | undefined;

  /** @throws P2PError `INVALID_CONFIG` */
  constructor(options: TransferWorkerOptions) {
    checkWorkerOptions(options);
    const { prefix = DEFAULT_PREFIX, concurrency = 1, lockDuration = 30_000, signingKeys = [] } = options;
    this.name = options.name ?? `${hostname()}-${process.pid}`;
    const redis = connectRedis(options.connection);
    this.#redis = redis;
    const trouble = (error: Error) => this.#trouble(error);
    const places = new WorkPlaces(options, {
      ...{ redis, prefix, name: this.name, trouble },
      tell: (name, ...event) => void (this.events as EventEmitter).emit(name, ...event),
    });
    this.#places = places;
    const { keys, queue } = places;
    const lost = new Map<string, (reason: Error) => void>();
    const runner = new JobRunner({
      ...{ redis, keys, prefix, queue, signingKeys, lost, name: this.name, maxDeaths: places.maxDeaths },
      executorFor: (spec) => places.executorFor(spec),
      endpointGiven: (name) => places.endpointGiven(name),
      closing: this.#closing.signal,
      tell: places.tell,
    });
    const run = async (job: TransferJob, token = "") => {
      this.#active++;
      return runner.run(job, token).finally(() => this.#active--);
    };
    this.#worker = new Worker(QUEUE, run, {
      ...{ connection: redis, prefix, concurrency, lockDuration },
      // It begins when all that it needs is loaded.
      autorun: false,
      name: this.name,
      stalledInterval: options.stalledInterval ?? 10_000,
      maxStalledCount: MAX_STALLED,
      drainDelay: 2,
      // After a loss of Redis a worker looks for jobs again as soon as this; BullMQ waits 15 s.
      runRetryDelay: 2000,
    });
    this.#worker.on("lockRenewalFailed", (ids) => {
      for (const id of ids) lost.get(id)?.(fenced(id));
    });
    this.#worker.on("error", trouble);
    this.#loaded = places.load();
    this.#loaded.then(
      () => {
        if (!this.#closing.signal.aborted) this.#worker.run().catch(trouble);
      },
      (error: Error) => this.#trouble(error),
    );
    const { idle } = keys;
    let drained = false;
    this.#worker.on("drained", () => {
      drained = true;
    });
    this.#worker.on("active", () => {
      drained = false;
    });
    this.#idle = setInterval(() => {
      if (!drained || this.#active >= concurrency || redis.status !== "ready") return;
      SAY_IDLE.run(redis, [idle], [this.name, IDLE_MS * 2.5]).catch((error: Error) => this.#trouble(error));
    }, IDLE_MS);
    this.#idle.unref();
  }

  /**
   * Waits until it can take jobs.
   *
   * @throws P2PError `CONNECTION_FAILED`, or `INVALID_CONFIG` when its module cannot be loaded.
   */
  async ready(): Promise<void> {
    await this.#loaded;
    await untilReady(this.#redis);
    await this.#worker.waitUntilReady();
  }

  #trouble(error: Error): void {
    if (this.events.listenerCount("error") > 0) this.events.emit("error", error);
  }

  /** Stops its partitions at their cursors, gives them back to the other workers, and lets go of everything. */
  async close(): Promise<void> {
    this.#closed ??= this.#shutDown();
    await this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #shutDown(): Promise<void> {
    clearInterval(this.#idle);
    const gently = async () => {
      await this.#worker.pause(true);
      this.#closing.abort(new LetGoError("closing", "The worker is closed"));
      await this.#worker.close();
    };
    const closing = gently().catch(() => this.#tearDown());
    if (!(await endsWithin(closing, CLOSE_MS))) await this.#tearDown();
    await this.#places.close();
    this.#redis.disconnect();
  }

  async #tearDown(): Promise<void> {
    this.#closing.abort(new LetGoError("closing", "The worker is closed"));
    await endsWithin(this.#worker.close(true), TEAR_DOWN_MS);
  }
}

/**
 * Makes a worker, which begins at once.
 *
 * @example
 * ```ts
 * const worker = createTransferWorker({
 *   connection: "redis://localhost:6379",
 *   endpoints: {
 *     shop: process.env.SHOP_URL!,
 *     search: async () => ({ storageType: "elasticsearch", host: "search", database: "shop" }),
 *   },
 * });
 * process.once("SIGTERM", () => void worker.close());
 * ```
 *
 * @throws P2PError `INVALID_CONFIG`
 */
export function createTransferWorker(options: TransferWorkerOptions): TransferWorker {
  return new TransferWorker(options);
}
