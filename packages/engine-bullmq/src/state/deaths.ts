import { P2PError } from "@omni/p2p-core";
import { parseConfig } from "@omni/p2p-core/engine";
import type { Redis } from "ioredis";
import type { TransferSpec } from "../protocol.ts";
import { DIED, END, JOB_LIFE } from "./grain-scripts.ts";
import type { EngineKeys } from "./keys.ts";

/** Where deaths are kept, and how many are borne. */
export interface DeathBook {
  readonly redis: Redis;
  readonly keys: EngineKeys;
  /** Deaths at one place with the last of which it is given up. */
  readonly maxDeaths: number;
}

/** The death of a process over a partition. */
export interface PartDeath {
  readonly part: number;
  /** The run of the partition, where it is known. */
  readonly run?: number;
  /** The grain that it was at; nothing when it had not come to any. */
  readonly grain: number | undefined;
  /** Records of the grain that had been read; nothing when nobody knows. */
  readonly read: number | undefined;
  /** Whether the worker saw it die, and was not the one that died. */
  readonly seen: boolean;
  /** For people, after "the last". */
  readonly how: string;
}

/** Batches that may be under way beyond what is known to have been read. */
const MARGIN = 2;
/** The same when nothing is known but the checkpoint, beside those that are being written. */
const BLIND_MARGIN = 6;
/** The largest batch of `batchSize: "auto"`. */
const AUTO = 4000;

/**
 * Notes a death at a partition, so that the next run of it knows how to go on: as before, or record by record.
 *
 * @throws P2PError `PROCESS_DIED` when there is nothing that could be set aside.
 */
export async function noteDeath(
  { redis, keys, maxDeaths }: DeathBook,
  spec: TransferSpec,
  { part, run, grain, read, seen, how }: PartDeath,
): Promise<void> {
  if (run !== undefined) await END.run(redis, [keys.parts(spec.id)], [part, run]);
  if (grain === undefined) {
    const deaths = await redis.hincrby(keys.parts(spec.id), `k:${part}`, 1);
    if (deaths >= maxDeaths) throw died(`opening both ends for partition ${part} of "${spec.id}"`, deaths, how);
    return;
  }
  const { batchSize, concurrency } = parseConfig(spec.config);
  const batch = typeof batchSize === "number" ? batchSize : AUTO;
  const margin = batch * (read === undefined ? concurrency + BLIND_MARGIN : MARGIN);
  const [deaths, what] = await DIED.run(redis, [keys.grains(spec.id)], [grain, read ?? "", margin, seen ? 2 : 1]);
  if (what === "unreadable") throw died(`reading the next record of partition ${part} of "${spec.id}"`, deaths, how);
}

/**
 * Notes what becomes of a job that plans or adds up.
 *
 * @throws P2PError `PROCESS_DIED` when it is given up.
 */
export async function noteJob(
  { redis, keys, maxDeaths }: DeathBook,
  transfer: string,
  kind: "plan" | "sum",
  what: "begin" | "died" | "ended" | "done",
  how = "its worker never came back from it",
): Promise<void> {
  const deaths = await JOB_LIFE.run(redis, [keys.transfer(transfer)], [kind, what]);
  if ((what !== "begin" && what !== "died") || deaths < maxDeaths) return;
  throw died(kind === "plan" ? `planning "${transfer}"` : `comparing both sides of "${transfer}"`, deaths, how);
}

function died(what: string, deaths: number, how: string): P2PError {
  return new P2PError(
    "PROCESS_DIED",
    `${deaths} processes of workers died or were killed while ${what}, the last since ${how}. Look whether the query or the source can ever come to an end; if it needs no more than time, raise the workers' "heartbeatTimeout" and "progressTimeout"; then resume it`,
  );
}
