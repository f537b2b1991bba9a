import type { DefaultP2PConnectionManager, TransferCounts, Transform } from "@omni/p2p-core";
import { NO_COUNTS } from "@omni/p2p-core/engine";
import type { FlowProducer, Queue } from "bullmq";
import type { Redis } from "ioredis";
import type { Endpoints } from "../endpoints/endpoints.ts";
import type { TappedBridge } from "../endpoints/taps.ts";
import { MAX_SPEC_CHARACTERS, type TransferSpec } from "../protocol.ts";
import type { DeathBook } from "../state/deaths.ts";
import type { EngineKeys } from "../state/keys.ts";
import { parseSpec, tooLong } from "../submitting/kept-spec.ts";
import { assertInTime, assertSigned } from "../submitting/signature.ts";
import type { TransferWorkerEvents } from "../worker-options.ts";

/** What the jobs of a worker work with, in its own process or in one that it started. */
export interface WorkerContext extends DeathBook {
  readonly name: string;
  readonly redis: Redis;
  readonly keys: EngineKeys;
  readonly prefix: string;
  readonly queue: Queue;
  readonly flows: FlowProducer;
  readonly endpoints: Endpoints;
  readonly transforms: Readonly<Record<string, Transform>>;
  readonly manager: DefaultP2PConnectionManager;
  readonly bridge: TappedBridge;
  /** Whether submissions are signed, and nothing that Redis says beside them is believed. */
  readonly signed: boolean;
  tell<K extends keyof TransferWorkerEvents>(name: K, ...event: TransferWorkerEvents[K]): void;
  /** Says where a run of a partition is, for whoever must tell what it died of. */
  at(part: number, run: number, grain?: number, read?: number): void;
  /** Says that it goes on, where nothing can be seen of it. */
  alive(): void;
}

/** A transfer as it is kept in Redis. */
export interface KeptTransfer {
  readonly spec: TransferSpec;
  readonly state: string;
  /** What had failed when it was resumed after a failure. */
  readonly pardoned: TransferCounts;
}

/** Where submissions are kept, and who may have signed them; anybody, when there are no keys. */
export interface SpecPlace {
  readonly redis: Redis;
  readonly keys: EngineKeys;
  readonly prefix: string;
  readonly signingKeys?: readonly string[];
}

/**
 * What was submitted under an id, and the state it is in; nothing when it was removed.
 *
 * @throws P2PError `SUBMISSION_REFUSED`
 */
export async function specOf(
  { redis, keys, prefix, signingKeys = [] }: SpecPlace,
  id: string,
): Promise<KeptTransfer | undefined> {
  const key = keys.transfer(id);
  // Nothing is fetched that is not bounded: whoever may write to this Redis may have written anything.
  const [length, signatureLength] = await Promise.all([redis.hstrlen(key, "spec"), redis.hstrlen(key, "signature")]);
  if (length > 4 * MAX_SPEC_CHARACTERS || signatureLength > 1000) throw tooLong(id);
  const [text, state, pardoned, signature] = await redis.hmget(key, "spec", "state", "pardoned", "signature");
  if (!text || !state) return undefined;
  if (signingKeys.length > 0) assertSigned(id, text, signature ?? undefined, prefix, signingKeys);
  const spec = parseSpec(id, text);
  if (signingKeys.length > 0) assertInTime(id, spec.expiresAt);
  const [failureCount = 0, totalRecords = 0] = (pardoned ?? "").slice(0, 100).split(" ").map(Number);
  return { spec, state, pardoned: { ...NO_COUNTS, failureCount, totalRecords } };
}
