import { EventEmitter } from "node:events";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { FlowProducer, Queue, Worker } from "bullmq";
import type { Redis } from "ioredis";
import { connectRedis, untilReady } from "./connection.ts";
import { Endpoints } from "./endpoints.ts";
import { fenced, LetGoError } from "./errors.ts";
import { JobRunner, type TransferJob } from "./job-runner.ts";
import { engineKeys } from "./keys.ts";
import { DEFAULT_PREFIX, type JobData, type JobKind, QUEUE } from "./protocol.ts";
import { ThrottlingBridge } from "./throttle.ts";
import { SAY_IDLE } from "./transfer-scripts.ts";
import type { WorkerContext } from "./worker-context.ts";
import { checkWorkerOptions, type TransferWorkerEvents, type TransferWorkerOptions } from "./worker-options.ts";

/** How often an idle worker says so, in ms. */
const IDLE_MS = 1000;
/** How long stores stay open between two partitions, in ms. */
const STORE_TTL_MS = 30_000;
/** Most times that a partition is taken over without coming to its end. */
const MAX_STALLED = 30;
/** How long a worker that is closed waits for what cannot be brought to an end, such as a Redis that is away, in ms. */
const CLOSE_MS = 10_000;

/** A worker: it runs partitions of whatever transfers are submitted, until it is closed. */
export class TransferWorker implements AsyncDisposable {
  readonly events = new EventEmitter<TransferWorkerEvents>();
  /** How it is called in lists. */
  readonly name: string;
  readonly #redis: Redis;
  readonly #worker: Worker<JobData, unknown, JobKind>;
  readonly #queue: Queue;
  readonly #flows: FlowProducer;
  readonly #manager: DefaultP2PConnectionManager;
  readonly #closing = new AbortController();
  readonly #idle: NodeJS.Timeout;
  #active = 0;
  #closed: Promise<void> | undefined;

  /** @throws P2PError `INVALID_CONFIG` */
  constructor(options: TransferWorkerOptions) {
    checkWorkerOptions(options);
    const { prefix = DEFAULT_PREFIX, concurrency = 1, appRoot, starters, transforms = {} } = options;
    this.name = options.name ?? `${hostname()}-${process.pid}`;
    const redis = connectRedis(options.connection);
    this.#redis = redis;
    const keys = engineKeys(prefix);
    const bridge = new ThrottlingBridge();
    this.#manager = new DefaultP2PConnectionManager({
      bridge,
      pool: { idleTtl: STORE_TTL_MS },
      ...(appRoot !== undefined && { appRoot }),
    });
    for (const starter of starters ?? []) this.#manager.registerService(starter.storageType, starter);
    const place = { connection: redis, prefix };
    this.#queue = new Queue(QUEUE, place);
    this.#flows = new FlowProducer(place);
    const context: WorkerContext = {
      ...{ name: this.name, redis, keys, prefix, queue: this.#queue, flows: this.#flows, transforms, bridge },
      endpoints: new Endpoints(options.endpoints, starters, appRoot),
      manager: this.#manager,
      closing: this.#closing.signal,
      lost: new Map(),
      tell: (name, ...event) => void (this.events as EventEmitter).emit(name, ...event),
    };
    const runner = new JobRunner(context);
    const run = async (job: TransferJob, token = "") => {
      this.#active++;
      return runner.run(job, token).finally(() => this.#active--);
    };
    this.#worker = new Worker(QUEUE, run, {
      ...place,
      concurrency,
      name: this.name,
      lockDuration: options.lockDuration ?? 30_000,
      stalledInterval: options.stalledInterval ?? 10_000,
      maxStalledCount: MAX_STALLED,
      drainDelay: 2,
      // After a loss of Redis a worker looks for jobs again as soon as this; BullMQ waits 15 s.
      runRetryDelay: 2000,
    });
    this.#worker.on("lockRenewalFailed", (ids) => {
      for (const id of ids) context.lost.get(id)?.(fenced(id));
    });
    const trouble = (error: Error) => this.#trouble(error);
    this.#worker.on("error", trouble);
    this.#queue.on("error", trouble);
    this.#flows.on("error", trouble);
    let drained = false;
    this.#worker.on("drained", () => {
      drained = true;
    });
    this.#worker.on("active", () => {
      drained = false;
    });
    this.#idle = setInterval(() => {
      if (!drained || this.#active >= concurrency || redis.status !== "ready") return;
      SAY_IDLE.run(redis, [keys.idle], [this.name, IDLE_MS * 2.5]).catch((error: Error) => this.#trouble(error));
    }, IDLE_MS);
    this.#idle.unref();
  }

  /**
   * Waits until it can take jobs.
   *
   * @throws P2PError `CONNECTION_FAILED`
   */
  async ready(): Promise<void> {
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
    const late = new AbortController();
    const gently = async () => {
      await this.#worker.pause(true);
      this.#closing.abort(new LetGoError("closing", "The worker is closed"));
      await this.#worker.close();
    };
    const tooLong = sleep(CLOSE_MS, "late", { signal: late.signal }).catch(() => {});
    if ((await Promise.race([gently().catch(() => "late"), tooLong])) === "late") {
      this.#closing.abort(new LetGoError("closing", "The worker is closed"));
      await Promise.race([this.#worker.close(true).catch(() => {}), sleep(1000)]);
    }
    late.abort();
    await this.#manager.close({ drainTimeout: 0 });
    await Promise.race([Promise.allSettled([this.#queue.close(), this.#flows.close()]), sleep(1000)]);
    this.#redis.disconnect();
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
