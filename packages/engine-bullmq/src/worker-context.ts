import { type DefaultP2PConnectionManager, NO_COUNTS, type TransferCounts, type Transform } from "@omni/p2p-core";
import type { FlowProducer, Queue } from "bullmq";
import type { Redis } from "ioredis";
import type { Endpoints } from "./endpoints.ts";
import type { EngineKeys } from "./keys.ts";
import type { TransferSpec } from "./protocol.ts";
import type { ThrottlingBridge } from "./throttle.ts";
import type { TransferWorkerEvents } from "./worker-options.ts";

/** What the jobs of a worker work with. */
export interface WorkerContext {
  readonly name: string;
  readonly redis: Redis;
  readonly keys: EngineKeys;
  readonly prefix: string;
  readonly queue: Queue;
  readonly flows: FlowProducer;
  readonly endpoints: Endpoints;
  readonly transforms: Readonly<Record<string, Transform>>;
  readonly manager: DefaultP2PConnectionManager;
  readonly bridge: ThrottlingBridge;
  /** Aborts, with the reason, when the worker is closed. */
  readonly closing: AbortSignal;
  /** Aborts a run whose lock was lost. */
  readonly lost: Map<string, (reason: Error) => void>;
  tell<K extends keyof TransferWorkerEvents>(name: K, ...event: TransferWorkerEvents[K]): void;
}

/** A transfer as it is kept in Redis. */
export interface KeptTransfer {
  readonly spec: TransferSpec;
  readonly state: string;
  /** What had failed when it was resumed after a failure. */
  readonly pardoned: TransferCounts;
}

/** What was submitted under an id, and the state it is in; nothing when it was removed. */
export async function specOf(
  { redis, keys }: Pick<WorkerContext, "redis" | "keys">,
  id: string,
): Promise<KeptTransfer | undefined> {
  const [spec, state, pardoned] = await redis.hmget(keys.transfer(id), "spec", "state", "pardoned");
  if (!spec || !state) return undefined;
  const [failureCount = 0, totalRecords = 0] = (pardoned ?? "").split(" ").map(Number);
  return { spec: JSON.parse(spec) as TransferSpec, state, pardoned: { ...NO_COUNTS, failureCount, totalRecords } };
}
