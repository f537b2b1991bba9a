/** A distributed semaphore: how many partitions an endpoint bears, over all workers. */
import type { Redis } from "ioredis";
import { invalid } from "../errors.ts";
import type { EngineKeys } from "./keys.ts";
import { SPEND, TAKE_SLOTS } from "./transfer-scripts.ts";

/** What an endpoint bears, all workers taken together. */
export interface EndpointLimits {
  /** Partitions that read from or write to it at a time. Default: no limit. */
  readonly partitions?: number;
  /** Records read from or written to it in a second. Default: no limit. */
  readonly recordsPerSecond?: number;
}

/** How long a place at an endpoint is held without being renewed, in ms: as long as a dead worker takes one away. */
const LEASE_MS = 15_000;

/** What may be moved at once when nothing was for a while, in ms of the rate. */
const BURST_MS = 500;

/** @throws P2PError `INVALID_CONFIG` */
export function checkLimits(limits: EndpointLimits): EndpointLimits {
  for (const [key, value] of Object.entries(limits)) {
    if (key !== "partitions" && key !== "recordsPerSecond") throw invalid(`unknown limit "${key}"`);
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1)) {
      throw invalid(`the limit "${key}" must be a whole number from 1 up`);
    }
  }
  return limits;
}

/** A place at both endpoints of a transfer for one partition. */
export class EndpointSlots {
  readonly #redis: Redis;
  readonly #keys: EngineKeys;
  readonly #ends: readonly [string, string];
  readonly #holder: string;

  /** @param holder tells this run of a partition from every other. */
  constructor(redis: Redis, keys: EngineKeys, ends: readonly [string, string], holder: string) {
    this.#redis = redis;
    this.#keys = keys;
    this.#ends = ends;
    this.#holder = holder;
  }

  /** Takes the places, or renews them. The name of the endpoint that has none, or nothing when all is well. */
  async take(): Promise<string | undefined> {
    const keys = [this.#keys.limits, ...this.#ends.map((end) => this.#keys.slots(end))];
    return (await TAKE_SLOTS.run(this.#redis, keys, [...this.#ends, this.#holder, LEASE_MS])) ?? undefined;
  }

  async release(): Promise<void> {
    const pipeline = this.#redis.pipeline();
    for (const end of this.#ends) pipeline.zrem(this.#keys.slots(end), this.#holder);
    await pipeline.exec();
  }
}

/** The rates of the endpoints, in records per second, of those that have one. */
export async function ratesOf(redis: Redis, keys: EngineKeys, ends: readonly string[]): Promise<Map<string, number>> {
  const texts = await redis.hmget(keys.limits, ...ends);
  const rates = new Map<string, number>();
  for (const [i, text] of texts.entries()) {
    const { recordsPerSecond } = JSON.parse(text ?? "{}") as EndpointLimits;
    if (recordsPerSecond !== undefined) rates.set(ends[i]!, recordsPerSecond);
  }
  return rates;
}

/** Spends records of the rates of all endpoints, and tells how long to wait first, in ms. */
export async function spend(
  redis: Redis,
  keys: EngineKeys,
  rates: ReadonlyMap<string, number>,
  records: number,
): Promise<number> {
  const waits = await Promise.all(
    [...rates].map(([end, rate]) => SPEND.run(redis, [keys.rate(end)], [records, rate, BURST_MS])),
  );
  return Math.max(0, ...waits);
}
