import type { P2PQuery, P2PValue } from "@omni/p2p-core";
import { parseConfig, planPartitions } from "@omni/p2p-core/engine";
import { decodeJson, encodeJson, messageOf, type P2PDataTransferService, parseJson } from "@omni/p2p-core/starter";
import type { FlowProducer } from "bullmq";
import type { Redis } from "ioredis";
import { refused } from "../errors.ts";
import type { TransferSpec } from "../protocol.ts";
import type { EngineKeys } from "../state/keys.ts";
import { ENTER_PLAN } from "../state/transfer-scripts.ts";
import { transferFlow } from "./flow.ts";

/** Where a plan goes. */
export interface PlanPlace {
  readonly redis: Redis;
  readonly keys: EngineKeys;
  readonly prefix: string;
  readonly flows: FlowProducer;
}

/**
 * Parts the query of a transfer, keeps the plan and adds the jobs for it. Doing it twice is doing it once.
 *
 * @param before counts the target, where that can be told.
 */
export async function planTransfer(
  spec: TransferSpec,
  source: P2PDataTransferService,
  { redis, keys, prefix, flows }: PlanPlace,
  signal: AbortSignal,
  before: () => Promise<number | undefined>,
): Promise<void> {
  const key = keys.transfer(spec.id);
  if ((await redis.hexists(key, "parts")) === 0) {
    const query = decodeJson(spec.query) as unknown as P2PQuery;
    const total = source.capabilities.countable ? await counted(source, query, signal) : undefined;
    const plan = await planPartitions(source, query, spec.partitions * grainsFor(spec, total), signal);
    const parts = Math.min(spec.partitions, plan.queries.length);
    const held = await before();
    if (held !== undefined) await redis.hsetnx(key, "before", held);
    await ENTER_PLAN.run(
      redis,
      [key, keys.grains(spec.id), keys.parts(spec.id)],
      [
        parts,
        total ?? "",
        noteOf(spec, plan.queries.length, plan.note),
        ...plan.queries.map((q) => grainText(query, q)),
      ],
    );
  }
  const parts = Number(await redis.hget(key, "planned"));
  await flows.add(transferFlow(spec.id, parts, prefix));
}

/** Least length of a piece, in what is written at a time. */
const LEAST_ROUNDS = 4;

/**
 * Pieces of a partition. A piece begins when the last batch of the one before is written, so short ones cost more than
 * they are good for.
 */
function grainsFor({ partitions, grains, config }: TransferSpec, total: number | undefined): number {
  if (total === undefined) return grains;
  const { batchSize, concurrency } = parseConfig(config);
  const atATime = (typeof batchSize === "number" ? batchSize : 500) * concurrency;
  return Math.max(1, Math.min(grains, Math.floor(total / (partitions * atATime * LEAST_ROUNDS))));
}

async function counted(
  source: P2PDataTransferService,
  query: P2PQuery,
  signal: AbortSignal,
): Promise<number | undefined> {
  try {
    return await source.count(query, signal);
  } catch {
    // Progress without a total is no reason not to begin; what is really wrong shows when the source is read.
    signal.throwIfAborted();
    return undefined;
  }
}

/** The user asked for partitions; that these are planned in smaller pieces need not concern them. */
function noteOf({ partitions }: TransferSpec, pieces: number, note: string | undefined): string {
  if (note === undefined || pieces >= partitions) return "";
  return pieces === 1 ? note : `It ran in ${pieces} parts instead of ${partitions}: the source finds no more places`;
}

/** A grain's query as short as can be: what it has beyond the query of the transfer is its partition. */
function grainText(whole: P2PQuery, { partition, ...rest }: P2PQuery): string {
  const { partition: _, ...base } = whole;
  const alike = partition !== undefined && text(rest) === text(base);
  return alike
    ? `p${JSON.stringify(partition)}`
    : `q${text({ ...rest, ...(partition !== undefined && { partition }) })}`;
}

/**
 * The query that a grain's text stands for: that of the transfer, and of it a part. What else may stand in Redis is not
 * what was submitted.
 *
 * @param exact whether it must be that very query but for its partition; else a source may have put conditions of its own.
 * @throws P2PError `SUBMISSION_REFUSED`
 */
export function grainQuery(transfer: string, whole: P2PQuery, kept: string, exact: boolean): P2PQuery {
  try {
    const body = kept.slice(1);
    if (kept.startsWith("p")) return { ...whole, partition: parseJson(body) as NonNullable<P2PQuery["partition"]> };
    const query = decodeJson(body) as unknown as P2PQuery;
    const { partition: _, ...rest } = query;
    const { partition: __, ...base } = whole;
    const alike = exact ? text(rest) === text(base) : nativeText(rest) === nativeText(base);
    if (kept.startsWith("q") && alike) return query;
  } catch {
    // As below.
  }
  throw refused(transfer, "the query of one of its pieces is not a part of the query that was submitted");
}

function nativeText({ native }: P2PQuery): string {
  return text(native === undefined ? {} : { native });
}

function text(query: P2PQuery): string {
  return encodeJson(query as unknown as P2PValue);
}

/** What a job tells BullMQ, which keeps it: the message alone. */
export function toldError(error: unknown): Error {
  return new Error(messageOf(error));
}
