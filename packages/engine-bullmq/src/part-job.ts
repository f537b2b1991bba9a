import {
  decodeJson,
  type EndpointInfo,
  FailureBudget,
  identityOf,
  type P2PConnection,
  P2PError,
  type P2PQuery,
} from "@omni/p2p-core";
import { UnsuitedError } from "./endpoints.ts";
import { LetGoError } from "./errors.ts";
import { lateJob } from "./flow.ts";
import { BEGIN, CLAIM, SPLIT } from "./grain-scripts.ts";
import { assertRunning, GrainCheckpoints, type GrainClaim, GrainLetters } from "./grain-state.ts";
import { EndpointSlots, ratesOf, spend } from "./limits.ts";
import { grainQuery } from "./plan.ts";
import type { TransferSpec } from "./protocol.ts";
import { wait } from "./throttle.ts";
import type { KeptTransfer, WorkerContext } from "./worker-context.ts";

/** How often a run looks whether it is to go on, and renews its places at the endpoints, in ms. */
const BEAT_MS = 1000;

/** The endpoint that a partition waits for, since it bears no more of them now. */
export class EndpointFull extends Error {
  constructor(endpoint: string) {
    super(`"${endpoint}" bears no more partitions at the moment`);
    this.name = "EndpointFull";
  }
}

/** One run of a partition: its grains one after the other, each an ordinary transfer with a checkpoint in Redis. */
export class PartRun {
  readonly #context: WorkerContext;
  readonly #spec: TransferSpec;
  readonly #part: number;
  readonly #stop = new AbortController();
  readonly #query: P2PQuery;
  readonly #budget: FailureBudget;
  #run = 0;
  /** Grains that nobody has begun, as far as is known here. */
  #open = 0;

  constructor(context: WorkerContext, { spec, pardoned }: KeptTransfer, part: number) {
    this.#context = context;
    this.#spec = spec;
    this.#budget = new FailureBudget(spec.maxFailures, pardoned);
    this.#part = part;
    this.#query = decodeJson(spec.query) as unknown as P2PQuery;
  }

  /** Whether it came so far as to move anything. */
  get began(): boolean {
    return this.#run > 0;
  }

  /** Ends the run at its cursor. */
  stop(reason: Error): void {
    this.#stop.abort(reason);
  }

  /**
   * Moves what is left of the partition.
   *
   * @param holder names this run among all runs.
   * @throws LetGoError when it is not to go on; EndpointFull; UnsuitedError; or what ended a transfer.
   */
  async run(holder: string): Promise<void> {
    const { redis, keys, endpoints, manager, closing } = this.#context;
    const { source, target, config } = this.#spec;
    // First of all: whoever finds no place asks again and again, and endpoints may be costly to fetch.
    const slots = new EndpointSlots(redis, keys, [source, target], holder);
    const full = await slots.take();
    if (full !== undefined) throw new EndpointFull(full);
    const close = () => this.stop(closing.reason);
    closing.addEventListener("abort", close, { once: true });
    const beat = setInterval(() => void this.#beat(slots).catch(() => {}), BEAT_MS);
    let connection: P2PConnection | undefined;
    try {
      const ends = { source: await endpoints.resolve(source), target: await endpoints.resolve(target) };
      await this.#assertSuited();
      const grains = await this.#begin();
      connection = await manager.establish(ends.source, ends.target, { ...config, maxFailures: "all" });
      this.#open = grains.length;
      for (const grain of grains) {
        this.#open--;
        await this.#grain(grain, connection, ends);
      }
    } catch (error) {
      // Whatever it looks like further out, this is why it ended.
      throw this.#stop.signal.aborted ? this.#stop.signal.reason : error;
    } finally {
      clearInterval(beat);
      closing.removeEventListener("abort", close);
      await connection?.close();
      await slots.release().catch(() => {});
    }
  }

  /** @throws UnsuitedError when this worker lacks what the transfer names beside its two ends. */
  async #assertSuited(): Promise<void> {
    const { endpoints, transforms } = this.#context;
    const { deadLetters, transform } = this.#spec;
    if (deadLetters !== undefined) await endpoints.resolve(deadLetters);
    if (transform === undefined || Object.hasOwn(transforms, transform)) return;
    throw new UnsuitedError(
      new P2PError("INVALID_CONFIG", `This worker has no transform named "${transform}"; add it to its transforms`),
    );
  }

  async #begin(): Promise<number[]> {
    const { redis, keys, name, closing } = this.#context;
    const { id } = this.#spec;
    closing.throwIfAborted();
    const [state, run, grains, split] = await BEGIN.run(redis, [keys.transfer(id), keys.parts(id)], [this.#part, name]);
    assertRunning(id, state);
    this.#run = Number(run);
    this.#context.tell("partStarted", { transfer: id, part: this.#part });
    // Whoever split them off may have died before their jobs were there.
    for (const part of JSON.parse(String(split)) as number[]) await this.#addPart(part);
    return JSON.parse(String(grains)) as number[];
  }

  async #grain(
    grain: number,
    { connectionId }: P2PConnection,
    ends: Record<"source" | "target", EndpointInfo>,
  ): Promise<void> {
    const { redis, keys, manager, bridge, endpoints, transforms } = this.#context;
    const { id, config, deadLetters, transform } = this.#spec;
    this.#stop.signal.throwIfAborted();
    const [status, kept = "", cursor = "", counts = ""] = await CLAIM.run(
      redis,
      [keys.transfer(id), keys.grains(id), keys.parts(id)],
      [this.#part, this.#run, grain],
    );
    if (status === "done" || status === "moved") return;
    if (status !== "ok") assertRunning(id, status);
    const claim: GrainClaim = { redis, keys, transfer: id, part: this.#part, run: this.#run, grain };
    const query = grainQuery(this.#query, kept);
    const transformVersion = transform ?? "none";
    const identity = identityOf({ endpoint: ends.source }, { endpoint: ends.target }, query, {
      config: { mode: config.mode ?? "upsert" },
      transformVersion,
    });
    const checkpoints = new GrainCheckpoints(claim, identity, { cursor, counts }, this.#budget);
    const transferId = `${id}.part-${grain + 1}`;
    await this.#throttle(transferId);
    try {
      const result = await manager.transferThroughConnection(connectionId, query, {
        transferId,
        resume: true,
        checkpoint: this.#heeding(checkpoints),
        deadLetters:
          deadLetters === undefined ? new GrainLetters(claim) : { endpoint: await endpoints.resolve(deadLetters) },
        ...(transform !== undefined && { transform: transforms[transform]!, transformVersion }),
        signal: this.#stop.signal,
      });
      await this.#note(
        result.bytes,
        result.errors.map((error) => JSON.stringify(error)),
      );
    } finally {
      bridge.throttles.delete(transferId);
    }
  }

  /** A checkpoint store whose refusal to go on ends the run with its own reason. */
  #heeding(checkpoints: GrainCheckpoints): GrainCheckpoints {
    const save = checkpoints.save.bind(checkpoints);
    checkpoints.save = async (checkpoint) => {
      try {
        await save(checkpoint);
      } catch (error) {
        if (error instanceof LetGoError) this.stop(error);
        throw error;
      }
    };
    return checkpoints;
  }

  async #throttle(transferId: string): Promise<void> {
    const { redis, keys, bridge } = this.#context;
    const rates = await ratesOf(redis, keys, [this.#spec.source, this.#spec.target]);
    if (rates.size === 0) return;
    bridge.throttles.set(transferId, async (records, signal) => {
      await wait(await spend(redis, keys, rates, records), signal);
    });
  }

  async #note(bytes: number, errors: readonly string[]): Promise<void> {
    const { redis, keys } = this.#context;
    const pipeline = redis.pipeline().hincrby(keys.transfer(this.#spec.id), "bytes", bytes);
    if (errors.length > 0)
      pipeline.rpush(keys.errors(this.#spec.id), ...errors).ltrim(keys.errors(this.#spec.id), 0, 99);
    await pipeline.exec();
  }

  /** Looks whether to go on, keeps the places at the endpoints, and gives away what an idle worker could do. */
  async #beat(slots: EndpointSlots): Promise<void> {
    const { redis, keys } = this.#context;
    const { id } = this.#spec;
    await slots.take();
    try {
      assertRunning(id, (await redis.hget(keys.transfer(id), "state")) ?? "gone");
    } catch (error) {
      this.stop(error as Error);
    }
    if (this.#open === 0 || this.#run === 0) return;
    const part = await SPLIT.run(
      redis,
      [keys.transfer(id), keys.grains(id), keys.parts(id), keys.idle],
      [this.#part, this.#run],
    );
    if (part >= 0) await this.#addPart(part);
  }

  async #addPart(part: number): Promise<void> {
    const { queue, prefix } = this.#context;
    const { name, data, opts } = lateJob(this.#spec.id, part, prefix);
    await queue.add(name, data, opts);
  }
}
