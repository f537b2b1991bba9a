import { P2PError, type P2PStarter } from "@omni/p2p-core";
import { endsWithin, type JsonValue, parseJson, sleep } from "@omni/p2p-core/starter";
import { FlowProducer, Queue } from "bullmq";
import type { Redis } from "ioredis";
import { connectRedis, type EngineConnection, untilReady } from "./connection.ts";
import { Endpoints, findAmong, type NamedEndpoint, UnsuitedError } from "./endpoints/endpoints.ts";
import { invalid, notFound } from "./errors.ts";
import { partJob, planJob, sumJob, transferFlow } from "./jobs/flow.ts";
import { planTransfer } from "./jobs/plan.ts";
import { targetBefore } from "./jobs/sum-job.ts";
import { specOf } from "./jobs/worker-context.ts";
import { DEFAULT_PREFIX, type DistributedResult, QUEUE, type TransferSpec, type TransferState } from "./protocol.ts";
import { FORGET_DEATHS } from "./state/grain-scripts.ts";
import { engineKeys } from "./state/keys.ts";
import { checkLimits, type EndpointLimits } from "./state/limits.ts";
import { CREATE, STEP } from "./state/transfer-scripts.ts";
import { assertSigned, checkSigningKey, signatureOf } from "./submitting/signature.ts";
import { type PartStatus, readParts, readStatus, type TransferStatus } from "./submitting/status.ts";
import { specFrom, specText, type TransferSubmission } from "./submitting/submission.ts";

/** What a {@link DistributedTransfer} is made with. */
export interface DistributedTransferOptions {
  /** Where the engine's Redis is: a URL or ioredis options. */
  readonly connection: EngineConnection;
  /**
   * Endpoints that this process can open. A transfer whose source is among them is planned here, so that what is wrong
   * with the source comes out when it is submitted; any other is planned by a worker. Default: none.
   */
  readonly endpoints?: Readonly<Record<string, NamedEndpoint>>;
  /** Starters to use before those that are installed. Default: none. */
  readonly starters?: readonly P2PStarter[];
  /** A folder of the application, whose `package.json` names the installed starters. Default: found. */
  readonly appRoot?: string;
  /**
   * Signs submissions, for workers that take none without: a secret of 32 characters or more that they know as well.
   * Default: they are not signed.
   */
  readonly signingKey?: string;
  /** Before all keys in Redis; the same for all who work together. Default `{omni-p2p}`. */
  readonly prefix?: string;
}

/** How long what is closed may take, in ms. */
const CLOSE_MS = 1000;

/** States that nothing leads out of by itself. */
const ENDED: readonly TransferState[] = ["completed", "failed", "cancelled"];

/**
 * Submits transfers to workers on any number of machines, and watches and steers them.
 *
 * @example
 * ```ts
 * await using transfers = new DistributedTransfer({ connection: "redis://localhost:6379" });
 * await transfers.submit({ id: "shop-2026", source: "shop", target: "search", partitions: 64 });
 * for await (const { records, total } of transfers.watch("shop-2026")) console.log(`${records} of ${total}`);
 * console.log(await transfers.result("shop-2026"));
 * ```
 */
export class DistributedTransfer implements AsyncDisposable {
  readonly #redis: Redis;
  readonly #keys: ReturnType<typeof engineKeys>;
  readonly #prefix: string;
  readonly #queue: Queue;
  readonly #flows: FlowProducer;
  readonly #endpoints: Endpoints;
  readonly #signingKey: string | undefined;

  constructor(options: DistributedTransferOptions) {
    if (options.connection === undefined) throw invalid('"connection" must be a Redis URL or ioredis options');
    this.#prefix = options.prefix ?? DEFAULT_PREFIX;
    this.#keys = engineKeys(this.#prefix);
    this.#redis = connectRedis(options.connection);
    const place = { connection: this.#redis, prefix: this.#prefix };
    this.#queue = new Queue(QUEUE, place);
    this.#flows = new FlowProducer(place);
    // Who calls hears of trouble by what does not come back.
    this.#queue.on("error", () => {});
    this.#flows.on("error", () => {});
    this.#endpoints = new Endpoints(findAmong(options.endpoints ?? {}), options.starters, options.appRoot);
    this.#signingKey = options.signingKey === undefined ? undefined : checkSigningKey(options.signingKey, "signingKey");
  }

  /**
   * Submits a transfer. It runs as soon as there are workers.
   *
   * @throws P2PError `TRANSFER_EXISTS` when there is one with this id; `INVALID_CONFIG`, `INVALID_QUERY`;
   * `CONNECTION_FAILED`; or what the source throws, when it is planned here.
   */
  async submit(submission: TransferSubmission): Promise<void> {
    const spec = specFrom(submission, this.#signingKey !== undefined);
    await untilReady(this.#redis);
    const { id } = spec;
    const text = specText(spec);
    const created = await CREATE.run(
      this.#redis,
      [this.#keys.transfer(id), this.#keys.index],
      [id, text, Date.now(), this.#sign(text)],
    );
    if (created === 0) {
      throw new P2PError(
        "TRANSFER_EXISTS",
        `There is a distributed transfer "${id}" already; give this one another id, or remove that one when it has ended`,
      );
    }
    try {
      await this.#plan(spec);
    } catch (error) {
      await this.#forget(id);
      throw error;
    }
  }

  /** Plans the transfer here if that can be, or else lets a worker do it. */
  async #plan(spec: TransferSpec): Promise<void> {
    const place = { redis: this.#redis, keys: this.#keys, prefix: this.#prefix, flows: this.#flows };
    try {
      await this.#endpoints.withOpen(spec.source, (source, signal) =>
        planTransfer(spec, source, place, signal, () => targetBefore(this.#endpoints, spec)),
      );
    } catch (error) {
      if (!(error instanceof UnsuitedError)) throw error;
      const { name, data, opts } = planJob(spec.id);
      await this.#queue.add(name, data, opts);
    }
  }

  /** @throws P2PError `TRANSFER_NOT_FOUND` */
  async status(id: string): Promise<TransferStatus> {
    await untilReady(this.#redis);
    const status = await readStatus(this.#redis, this.#keys, id);
    if (!status) throw notFound(id);
    return status;
  }

  /** How each partition is getting on, by their numbers. */
  async partitions(id: string): Promise<PartStatus[]> {
    await this.status(id);
    return readParts(this.#redis, this.#keys, id);
  }

  /** All transfers, the latest first. */
  async list(): Promise<TransferStatus[]> {
    await untilReady(this.#redis);
    const ids = await this.#redis.zrevrange(this.#keys.index, 0, -1);
    const all = await Promise.all(ids.map((id) => readStatus(this.#redis, this.#keys, id)));
    return all.filter((status) => status !== undefined);
  }

  /**
   * Tells how a transfer is getting on, again and again until it has ended.
   *
   * @param interval how often, in ms. Default 500.
   * @throws P2PError `TRANSFER_NOT_FOUND`, or the signal's reason.
   */
  async *watch(
    id: string,
    { interval = 500, signal }: { readonly interval?: number; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<TransferStatus> {
    for (;;) {
      signal?.throwIfAborted();
      const status = await this.status(id);
      yield status;
      if (ENDED.includes(status.state)) return;
      await sleep(interval, signal).catch(() => {});
    }
  }

  /**
   * Waits for a transfer to end.
   *
   * @throws P2PError with the code that ended it; `ABORTED` when it was cancelled; `TRANSFER_NOT_FOUND`.
   */
  async result(id: string, options: { readonly signal?: AbortSignal } = {}): Promise<DistributedResult> {
    for await (const { state, result, error } of this.watch(id, options)) {
      if (state === "completed" && result) return result;
      if (state === "failed")
        throw new P2PError(error?.code ?? "WRITE_FAILED", error?.message ?? "The transfer failed");
      if (state === "cancelled") throw new P2PError("ABORTED", `The transfer "${id}" was cancelled`);
    }
    throw notFound(id);
  }

  /** Stops all partitions at their cursors, until it is resumed. */
  async pause(id: string): Promise<void> {
    await this.#step(id, "paused", ["running", "planning"]);
  }

  /** Goes on with a transfer that is paused, or that failed, once what was wrong has been mended. */
  async resume(id: string): Promise<void> {
    const { state, partitions } = await this.status(id);
    if (state === "failed") await this.#pardon(id);
    await this.#signAnew(id);
    if (partitions === 0) {
      await this.#step(id, "planning", ["paused", "failed"]);
      await this.#queue.remove(planJob(id).opts.jobId);
      const { name, data, opts } = planJob(id);
      await this.#queue.add(name, data, opts);
      return;
    }
    if (state === "failed") await this.#clearJobs(id, partitions);
    await this.#step(id, "running", ["paused", "failed"]);
    if (state === "failed") await this.#flows.add(transferFlow(id, partitions, this.#prefix));
    else await this.#promote(id, partitions);
  }

  /** Ends a transfer for good. What was moved until then stays in the target. */
  async cancel(id: string): Promise<void> {
    await this.#step(id, "cancelled", ["running", "planning", "paused"]);
    await this.#promote(id, (await this.status(id)).partitions);
  }

  /**
   * Forgets a transfer that has ended, with its dead letters.
   *
   * @throws P2PError `INVALID_STATE` when it has not ended.
   */
  async remove(id: string): Promise<void> {
    const { state, partitions } = await this.status(id);
    if (!ENDED.includes(state)) {
      throw new P2PError("INVALID_STATE", `The transfer "${id}" is ${state}; cancel it before it is removed`);
    }
    await this.#clearJobs(id, partitions);
    await this.#forget(id);
  }

  /**
   * Sets what an endpoint bears, for all workers and from now on.
   *
   * @param limits nothing lifts what was set before.
   */
  async limit(endpoint: string, limits: EndpointLimits = {}): Promise<void> {
    checkLimits(limits);
    await untilReady(this.#redis);
    if (Object.keys(limits).length === 0) await this.#redis.hdel(this.#keys.limits, endpoint);
    else await this.#redis.hset(this.#keys.limits, endpoint, JSON.stringify(limits));
  }

  /** What endpoints bear, by their names. */
  async limits(): Promise<Readonly<Record<string, EndpointLimits>>> {
    await untilReady(this.#redis);
    const texts = await this.#redis.hgetall(this.#keys.limits);
    return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, JSON.parse(text) as EndpointLimits]));
  }

  /** The dead letters of a transfer that keeps them in Redis, as they would stand in a file, in the order of its pieces. */
  async *deadLetters(id: string): AsyncGenerator<JsonValue> {
    await this.status(id);
    const grains = Number(await this.#redis.hget(this.#keys.transfer(id), "grains"));
    for (let grain = 0; grain < grains; grain++) {
      const key = this.#keys.letters(id, grain);
      for (let from = 0, page: string[] = []; ; from += page.length) {
        page = await this.#redis.lrange(key, from, from + 99);
        for (const text of page) yield parseJson(text);
        if (page.length < 100) break;
      }
    }
  }

  async close(): Promise<void> {
    await endsWithin(Promise.allSettled([this.#queue.close(), this.#flows.close()]), CLOSE_MS);
    this.#redis.disconnect();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #sign(text: string): string {
    return this.#signingKey === undefined ? "" : signatureOf(text, this.#prefix, this.#signingKey);
  }

  /** Signs a submission for another while, if it bears our signature; what somebody else put there stays as it is. */
  async #signAnew(id: string): Promise<void> {
    if (this.#signingKey === undefined) return;
    const kept = await specOf({ redis: this.#redis, keys: this.#keys, prefix: this.#prefix }, id);
    const [text, signature] = await this.#redis.hmget(this.#keys.transfer(id), "spec", "signature");
    if (!kept || !text || !signature) return;
    assertSigned(id, text, signature, this.#prefix, [this.#signingKey]);
    const until = Date.parse(kept.spec.expiresAt ?? "") - Date.parse(kept.spec.createdAt);
    const anew = specText({ ...kept.spec, expiresAt: new Date(Date.now() + until).toISOString() });
    await this.#redis.hset(this.#keys.transfer(id), "spec", anew, "signature", this.#sign(anew));
  }

  /** Lets the failures and deaths until now be: who resumes has seen to them. */
  async #pardon(id: string): Promise<void> {
    const key = this.#keys.transfer(id);
    const [failures, total] = await this.#redis.hmget(key, "n:failure", "n:total");
    await this.#redis.hset(key, "pardoned", `${failures ?? 0} ${total ?? 0}`);
    await FORGET_DEATHS.run(this.#redis, [key, this.#keys.grains(id), this.#keys.parts(id)], []);
  }

  async #step(id: string, to: TransferState, from: readonly TransferState[]): Promise<void> {
    await untilReady(this.#redis);
    const state = await STEP.run(this.#redis, [this.#keys.transfer(id)], [to, "", ...from]);
    if (state === null) throw notFound(id);
    if ((from as readonly string[]).includes(state)) return;
    throw new P2PError(
      "INVALID_STATE",
      `The transfer "${id}" is ${state}, and only one that is ${from.join(" or ")} can become ${to}`,
    );
  }

  /** Lets partitions that lie still hear of a new state at once. */
  async #promote(id: string, partitions: number): Promise<void> {
    const ids = [...Array(partitions).keys()].map((part) => partJob(id, part).opts.jobId);
    for (const job of await Promise.all([sumJob(id).opts.jobId, ...ids].map((each) => this.#queue.getJob(each)))) {
      // It may be waiting or active, and then it hears of it by itself.
      await job?.promote().catch(() => {});
    }
  }

  async #clearJobs(id: string, partitions: number): Promise<void> {
    const ids = [...Array(partitions).keys()].map((part) => partJob(id, part).opts.jobId);
    for (const each of [sumJob(id).opts.jobId, ...ids, planJob(id).opts.jobId]) await this.#queue.remove(each);
    await this.#redis.hdel(this.#keys.transfer(id), "rounds", "error");
  }

  async #forget(id: string): Promise<void> {
    const keys = this.#keys;
    const grains = Number(await this.#redis.hget(keys.transfer(id), "grains"));
    const pipeline = this.#redis.pipeline();
    for (let grain = 0; grain < grains; grain++) pipeline.del(keys.letters(id, grain));
    pipeline.del(keys.transfer(id), keys.grains(id), keys.parts(id), keys.errors(id)).zrem(keys.index, id);
    await pipeline.exec();
  }
}
