import type { P2PErrorCode } from "@omni/p2p-core";
import { toP2PError } from "@omni/p2p-core/starter";
import type { Redis } from "ioredis";
import type { DistributedResult, TransferSpec, TransferState } from "../protocol.ts";
import { parseCounts } from "../state/grain-state.ts";
import type { EngineKeys } from "../state/keys.ts";
import { parseSpec } from "./kept-spec.ts";

/** How a distributed transfer is getting on. */
export interface TransferStatus {
  readonly id: string;
  readonly state: TransferState;
  /** Names of endpoints. */
  readonly source: string;
  readonly target: string;
  /** ISO 8601. */
  readonly createdAt: string;
  /** Records done with, whatever became of them. */
  readonly records: number;
  readonly failures: number;
  /** Records that the source held when it was planned, where it can count. */
  readonly total?: number;
  /** Partitions, those that were split off included; 0 until it is planned. */
  readonly partitions: number;
  /** The share of the work that is finished, from 0 to 1, by pieces. */
  readonly done: number;
  /** Why it ran in fewer partitions than were asked for. */
  readonly note?: string;
  /** What a worker lacks that could not take a partition; gone as soon as one could. */
  readonly hint?: string;
  readonly error?: { readonly code: P2PErrorCode; readonly message: string };
  readonly result?: DistributedResult;
}

/** How one partition is getting on. */
export interface PartStatus {
  readonly part: number;
  readonly state: "waiting" | "running" | "done";
  readonly records: number;
  readonly failures: number;
  /** Pieces it consists of, and those that are finished. */
  readonly grains: number;
  readonly grainsDone: number;
  /** Who ran it last. */
  readonly worker?: string;
  /** How often a worker began or took it over. */
  readonly runs: number;
}

/** Reads where a transfer stands; nothing when there is none with this id. */
export async function readStatus(redis: Redis, keys: EngineKeys, id: string): Promise<TransferStatus | undefined> {
  const fields = await redis.hgetall(keys.transfer(id));
  if (fields.spec === undefined) return undefined;
  let spec: TransferSpec;
  try {
    spec = parseSpec(id, fields.spec);
  } catch (error) {
    // One that cannot be read is shown as what it is: it must not hide the others.
    return unreadable(id, error);
  }
  const number = (name: string) => Number(fields[name] ?? 0);
  return {
    id,
    state: fields.state as TransferState,
    source: spec.source,
    target: spec.target,
    createdAt: spec.createdAt,
    records: number("n:records"),
    failures: number("n:failure"),
    ...(fields.expected !== undefined && { total: number("expected") }),
    partitions: number("parts"),
    done: number("grains") === 0 ? 0 : number("done") / number("grains"),
    ...(fields.note && { note: fields.note }),
    ...(fields.hint && { hint: fields.hint }),
    ...(fields.error && fields.state === "failed" && { error: JSON.parse(fields.error) }),
    ...(fields.result && { result: JSON.parse(fields.result) as DistributedResult }),
  };
}

function unreadable(id: string, error: unknown): TransferStatus {
  const { code, message } = toP2PError(error, "SUBMISSION_REFUSED", "It could not be read");
  const nothing = { source: "?", target: "?", createdAt: new Date(0).toISOString(), records: 0, failures: 0 };
  return { id, state: "failed", ...nothing, partitions: 0, done: 0, error: { code, message } };
}

/** Reads where each partition of a transfer stands. */
export async function readParts(redis: Redis, keys: EngineKeys, id: string): Promise<PartStatus[]> {
  const [parts, grains] = await Promise.all([redis.hgetall(keys.parts(id)), redis.hgetall(keys.grains(id))]);
  const statuses = Object.entries(parts).flatMap(([field, list]): PartStatus[] => {
    if (!field.startsWith("g:")) return [];
    const part = Number(field.slice(2));
    const numbers = JSON.parse(list) as number[];
    const counts = numbers.map((grain) => parseCounts(grains[`n:${grain}`] ?? ""));
    const grainsDone = numbers.filter((grain) => grains[`d:${grain}`] !== undefined).length;
    const runs = Number(parts[`r:${part}`] ?? 0);
    const worker = parts[`w:${part}`];
    return [
      {
        part,
        state: grainsDone === numbers.length ? "done" : runs > 0 ? "running" : "waiting",
        records: counts.reduce((sum, { recordsRead }) => sum + recordsRead, 0),
        failures: counts.reduce((sum, each) => sum + each.counts.failureCount, 0),
        grains: numbers.length,
        grainsDone,
        ...(worker !== undefined && { worker }),
        runs,
      },
    ];
  });
  return statuses.sort((a, b) => a.part - b.part);
}
