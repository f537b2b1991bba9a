/** The job of one partition: transfers its grains, with a checkpoint each. */
import {
  type EndpointInfo,
  type P2PConnection,
  P2PError,
  type P2PQuery,
  type P2PRecord,
  type TransferOptions,
  type Transform,
} from "@omni/p2p-core";
import { FailureBudget, identityOf, parseConfig, parseRate } from "@omni/p2p-core/engine";
import { decodeJson, encodeJson } from "@omni/p2p-core/starter";
import { UnsuitedError } from "../endpoints/endpoints.ts";
import { type SingleRecord, type Tap, wait } from "../endpoints/taps.ts";
import { fenced, LetGoError } from "../errors.ts";
import type { TransferSpec } from "../protocol.ts";
import { noteDeath } from "../state/deaths.ts";
import { BEGIN, CLAIM, END, NOTE, SPLIT } from "../state/grain-scripts.ts";
import { assertRunning, GrainCheckpoints, type GrainClaim, GrainLetters, parseCounts } from "../state/grain-state.ts";
import { EndpointSlots, ratesOf, spend } from "../state/limits.ts";
import { lateJob } from "./flow.ts";
import { grainQuery } from "./plan.ts";
import type { KeptTransfer, WorkerContext } from "./worker-context.ts";

/** How often a run looks whether it is to go on, and renews its places at the endpoints, in ms. */
const BEAT_MS = 1000;

/** The endpoint that a partition waits for, since it bears no more of them now. */
export class EndpointFull extends Error {
  readonly endpoint: string;

  constructor(endpoint: string) {
    super(`"${endpoint}" bears no more partitions at the moment`);
    this.name = "EndpointFull";
    this.endpoint = endpoint;
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
  /** Records read of the grain that it is at, those of earlier runs included. */
  #read = 0;
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
  readonly stop = (reason: Error): void => this.#stop.abort(reason);

  /**
   * Moves what is left of the partition.
   *
   * @param holder names this run among all runs.
   * @param stop aborts, with the reason, when it is to end at its cursor.
   * @throws LetGoError when it is not to go on; EndpointFull; UnsuitedError; or what ended a transfer.
   */
  async run(holder: string, stop: AbortSignal): Promise<void> {
    const { redis, keys, endpoints, manager } = this.#context;
    const { source, target, config } = this.#spec;
    // First of all: whoever finds no place asks again and again, and endpoints may be costly to fetch.
    const slots = new EndpointSlots(redis, keys, [source, target], holder);
    const full = await slots.take();
    if (full !== undefined) throw new EndpointFull(full);
    const told = () => this.stop(stop.reason as Error);
    stop.addEventListener("abort", told, { once: true });
    const beat = setInterval(() => void this.#beat(slots).catch(() => {}), BEAT_MS);
    let connection: P2PConnection | undefined;
    try {
      const ends = { source: await endpoints.resolve(source), target: await endpoints.resolve(target) };
      await this.#assertSuited();
      stop.throwIfAborted();
      const grains = await this.#begin();
      // The whole transfer is held to these, by what all workers know.
      const { rateLimit: _, rate_limit: __, ...own } = config;
      connection = await manager.establish(ends.source, ends.target, { ...own, maxFailures: "all" });
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
      stop.removeEventListener("abort", told);
      await connection?.close();
      if (this.#run > 0) await END.run(redis, [keys.parts(this.#spec.id)], [this.#part, this.#run]).catch(() => {});
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
    const { redis, keys, name } = this.#context;
    const { id } = this.#spec;
    const [state, run, grains, split, died] = await BEGIN.run(
      redis,
      [keys.transfer(id), keys.parts(id)],
      [this.#part, name],
    );
    assertRunning(id, state);
    this.#run = Number(run);
    this.#context.tell("partStarted", { transfer: id, part: this.#part });
    this.#context.at(this.#part, this.#run);
    if (died !== "none") {
      const grain = died === "" ? undefined : Number(died);
      const how = "its worker never came back from it";
      await noteDeath(this.#context, this.#spec, { part: this.#part, grain, read: undefined, seen: false, how });
    }
    // Whoever split them off may have died before their jobs were there.
    for (const part of JSON.parse(String(split)) as number[]) await this.#addPart(part);
    return JSON.parse(String(grains)) as number[];
  }

  /** What is kept of a grain, which this run now holds; nothing when there is nothing left to do. */
  async #claim(grain: number): Promise<readonly string[] | undefined> {
    const { redis, keys } = this.#context;
    const { id } = this.#spec;
    this.#stop.signal.throwIfAborted();
    const [status, ...kept] = await CLAIM.run(
      redis,
      [keys.transfer(id), keys.grains(id), keys.parts(id)],
      [this.#part, this.#run, grain],
    );
    if (status === "done" || status === "moved") return undefined;
    if (status !== "ok") assertRunning(id, status);
    return kept;
  }

  async #grain(
    grain: number,
    { connectionId }: P2PConnection,
    ends: Record<"source" | "target", EndpointInfo>,
  ): Promise<void> {
    const { redis, keys, manager, endpoints, transforms, maxDeaths } = this.#context;
    const { id, config, deadLetters, transform } = this.#spec;
    const kept = await this.#claim(grain);
    if (!kept) return;
    const [queryText = "", cursor = "", counts = "", deaths = "0", poison = "[]"] = kept;
    const claim: GrainClaim = { redis, keys, transfer: id, part: this.#part, run: this.#run, grain };
    const query = grainQuery(id, this.#query, queryText, this.#context.signed);
    const transformVersion = transform ?? "none";
    const identity = identityOf({ endpoint: ends.source }, { endpoint: ends.target }, query, {
      config: parseConfig(config),
      transformVersion,
    });
    const checkpoints = this.#heeding(new GrainCheckpoints(claim, identity, { cursor, counts }, this.#budget));
    const transferId = `${id}.part-${grain + 1}`;
    this.#read = parseCounts(counts).recordsRead;
    this.#context.at(this.#part, this.#run, grain, this.#read);
    const throttle = await this.#throttle();
    const move = async (single?: SingleRecord, more: TransferOptions = {}) => {
      this.#context.bridge.taps.set(transferId, { ...this.#tap(grain), ...throttle, ...(single && { single }) });
      const { bytes, errors } = await manager.transferThroughConnection(connectionId, query, {
        transferId,
        resume: true,
        checkpoint: checkpoints,
        deadLetters:
          deadLetters === undefined
            ? new GrainLetters(claim, transform !== undefined)
            : { endpoint: await endpoints.resolve(deadLetters) },
        transformVersion,
        ...(transform !== undefined && { transform: transforms[transform]! }),
        signal: this.#stop.signal,
        ...more,
      });
      await this.#note(
        bytes,
        errors.map((error) => JSON.stringify(error)),
      );
    };
    try {
      if (Number(deaths) >= maxDeaths - 1) {
        const bad = new Set(JSON.parse(poison) as string[]);
        await this.#oneByOne(claim, checkpoints, bad, move);
      }
      await move();
    } finally {
      this.#context.bridge.taps.delete(transferId);
    }
  }

  /**
   * Moves one record after the other until the place is passed where processes died, each noted before anything is done
   * with it, and sets aside those that they died of.
   */
  async #oneByOne(
    claim: GrainClaim,
    checkpoints: GrainCheckpoints,
    bad: ReadonlySet<string>,
    move: (single: SingleRecord, more: TransferOptions) => Promise<void>,
  ): Promise<void> {
    const own = this.#spec.transform === undefined ? undefined : this.#context.transforms[this.#spec.transform];
    const keyOf = (record: P2PRecord | undefined) => keyText(record) ?? `#${this.#read}`;
    const transform: Transform = (record, context) => {
      if (bad.has(keyOf(record))) throw poisonous(record);
      return own ? own(record, context) : record;
    };
    checkpoints.whole = false;
    checkpoints.atPlace = true;
    await this.#noteNext(claim, "");
    for (let more = true; more && checkpoints.atPlace; ) {
      const single: SingleRecord = { given: false, note: async (record) => this.#noteNext(claim, keyOf(record)) };
      const before = checkpoints.position;
      await move(single, { transform, batchSize: 1, concurrency: 1 });
      more = single.given && checkpoints.position !== before;
    }
    checkpoints.whole = true;
  }

  async #noteNext({ redis, keys, transfer, part, run, grain }: GrainClaim, what: string): Promise<void> {
    const held = await NOTE.run(redis, [keys.grains(transfer), keys.parts(transfer)], [part, run, grain, what]);
    if (held === 0) throw fenced(transfer);
  }

  #tap(grain: number): Tap {
    return {
      read: (records) => {
        this.#read += records;
        this.#context.at(this.#part, this.#run, grain, this.#read);
      },
    };
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

  async #throttle(): Promise<Pick<Tap, "throttle">> {
    const { redis, keys } = this.#context;
    const { id, source, target, config } = this.#spec;
    const rates = await ratesOf(redis, keys, [source, target]);
    const { rateLimit } = parseConfig(config);
    const own = rateLimit === undefined ? undefined : parseRate(rateLimit).records;
    // No endpoint has such a name.
    if (own !== undefined) rates.set(`transfer:${id}`, own);
    if (rates.size === 0) return {};
    return {
      throttle: async (records, signal) => {
        await wait(await spend(redis, keys, rates, records), signal, () => this.#context.alive());
      },
    };
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

/** A record's id as text that tells it from every other, `1` from `"1"` as well; nothing when it has none. */
function keyText(record: P2PRecord | undefined): string | undefined {
  try {
    return record?.id == null ? undefined : encodeJson(record.id);
  } catch {
    return undefined;
  }
}

function poisonous(record: P2PRecord): P2PError {
  return new P2PError(
    "POISON_RECORD",
    `Processes of workers died or were killed when they came to the record ${keyText(record) ?? "without id"}, so it was set aside. See the workers' logs for how, mend the record or what handles it, and replay it`,
  );
}
