/** The job that adds up all partitions: a fan-in. */
import { isP2PError, type P2PQuery, type TransferCounts, type TransferFailure } from "@omni/p2p-core";
import { addUp, countOf, FieldWatch, type PartOutcome, targetSideOf } from "@omni/p2p-core/engine";
import { decodeJson, messageOf } from "@omni/p2p-core/starter";
import type { Endpoints } from "../endpoints/endpoints.ts";
import type { DistributedResult, TransferSpec, VerifySummary } from "../protocol.ts";
import { parseCounts } from "../state/grain-state.ts";
import { lateJob } from "./flow.ts";
import type { WorkerContext } from "./worker-context.ts";

/** Grains read from Redis in one go. */
const CHUNK = 1000;

/** The grains of a transfer that nobody has finished, by the partition they belong to. */
export async function unfinishedParts(
  { redis, keys }: Pick<WorkerContext, "redis" | "keys">,
  id: string,
): Promise<number[]> {
  const parts = await redis.hgetall(keys.parts(id));
  const unfinished: number[] = [];
  for (const [field, list] of Object.entries(parts)) {
    if (!field.startsWith("g:")) continue;
    const grains = JSON.parse(list) as number[];
    if (grains.length === 0) continue;
    const done = await redis.hmget(keys.grains(id), ...grains.map((grain) => `d:${grain}`));
    if (done.some((run) => run === null)) unfinished.push(Number(field.slice(2)));
  }
  return unfinished;
}

/** Adds jobs for partitions whose own were lost. */
export async function addLostParts(
  context: Pick<WorkerContext, "prefix" | "queue">,
  id: string,
  parts: readonly number[],
  round: number,
) {
  for (const part of parts) {
    const { name, data, opts } = lateJob(id, part, context.prefix, round);
    await context.queue.add(name, data, opts);
  }
}

/** Adds up what all partitions did, and compares both sides if that was asked for. */
export async function sumUp(context: WorkerContext, spec: TransferSpec): Promise<DistributedResult> {
  const { redis, keys } = context;
  const [grains, parts, bytes, note] = await redis.hmget(keys.transfer(spec.id), "grains", "parts", "bytes", "note");
  const errors = (await redis.lrange(keys.errors(spec.id), 0, 99)).map((text) => JSON.parse(text) as TransferFailure);
  const outcomes: PartOutcome[] = [];
  for (let from = 0; from < Number(grains); from += CHUNK) {
    const fields = Array.from({ length: Math.min(CHUNK, Number(grains) - from) }, (_, i) => `n:${from + i}`);
    for (const text of await redis.hmget(keys.grains(spec.id), ...fields)) {
      outcomes.push({ ...parseCounts(text ?? ""), bytes: 0, errors: [] });
    }
  }
  const { counts, recordsRead } = addUp(outcomes);
  const ofFields = await fieldNotes(context, spec, recordsRead);
  const verified = await verify(context, spec, recordsRead, counts);
  return {
    transferId: spec.id,
    ...counts,
    recordsRead,
    partitions: Number(parts),
    durationMs: Date.now() - Date.parse(spec.createdAt),
    bytes: Number(bytes),
    errors,
    notes: [...(note ? [note] : []), ...ofFields],
    ...(verified && { verified }),
  };
}

/** Tells of fields that the query names and no record has. The source is opened once more where that is not known yet. */
async function fieldNotes(
  { endpoints }: WorkerContext,
  { query, source }: TransferSpec,
  recordsRead: number,
): Promise<readonly string[]> {
  const watch = new FieldWatch(decodeJson(query) as unknown as P2PQuery);
  watch.met(recordsRead);
  if (watch.knowsAll) return [];
  try {
    return await endpoints.withOpen(source, (service, signal) => watch.notes(service, signal));
  } catch {
    // The transfer is complete all the same.
    return [];
  }
}

async function verify(
  context: WorkerContext,
  spec: TransferSpec,
  recordsRead: number,
  counts: TransferCounts,
): Promise<VerifySummary | undefined> {
  const { endpoints, manager, transforms } = context;
  const { source, target, query: text, verify: kind, config, transform } = spec;
  if (kind === "none") return undefined;
  if (kind === "count") return compareCounts(context, spec, recordsRead, counts);
  const query = decodeJson(text) as unknown as P2PQuery;
  const connection = await manager.establish(await endpoints.resolve(source), await endpoints.resolve(target), config);
  try {
    const { equal, sourceCount, targetCount, missing, extra, different } = await manager.verify(
      connection.connectionId,
      query,
      { transform: transform === undefined ? undefined : transforms[transform], maxDifferences: 0, extras: "allow" },
    );
    return { kind, equal, sourceCount, targetCount, missing, extra, different };
  } finally {
    await connection.close();
  }
}

/**
 * Counts both sides anew. All of the source must have been read; and the target, which may have held records before, must
 * hold at least what it held and what was written, and no more than both together.
 */
async function compareCounts(
  { redis, keys, endpoints }: WorkerContext,
  spec: TransferSpec,
  recordsRead: number,
  { successCount, totalRecords }: TransferCounts,
): Promise<VerifySummary> {
  const query = decodeJson(spec.query) as unknown as P2PQuery;
  const unchecked: string[] = [];
  const sourceCount = await endpoints.withOpen(spec.source, (service, signal) => countOf(service, query, signal));
  if (sourceCount === undefined)
    unchecked.push("The source cannot be counted, so it is not known whether all was read");
  const kept = await redis.hget(keys.transfer(spec.id), "before");
  const before = kept === null ? undefined : Number(kept);
  let targetCount: number | undefined;
  try {
    targetCount = await countTarget(endpoints, spec);
    if (targetCount === undefined) unchecked.push("The target cannot be counted, so it was not looked at");
  } catch (error) {
    unchecked.push(`The target could not be counted, so it was not looked at: ${messageOf(error)}`);
  }
  const allRead = sourceCount === undefined || sourceCount === recordsRead;
  const least = Math.max(before ?? 0, successCount);
  const most = before === undefined ? Number.POSITIVE_INFINITY : before + Math.max(successCount, totalRecords);
  const allThere = targetCount === undefined || (targetCount >= least && targetCount <= most);
  return {
    kind: "count",
    equal: allRead && allThere,
    ...(sourceCount !== undefined && { sourceCount }),
    ...(targetCount !== undefined && { targetCount }),
    ...(before !== undefined && { targetBefore: before }),
    ...(unchecked.length > 0 && { unchecked }),
  };
}

/** What the target holds before anything is written, where that can be told; a comparison by count needs it. */
export async function targetBefore(endpoints: Endpoints, spec: TransferSpec): Promise<number | undefined> {
  if (spec.verify !== "count") return undefined;
  try {
    return await countTarget(endpoints, spec);
  } catch {
    // What is wrong with the target shows when it is written to.
    return undefined;
  }
}

async function countTarget(endpoints: Endpoints, spec: TransferSpec): Promise<number | undefined> {
  const query = targetSideOf(decodeJson(spec.query) as unknown as P2PQuery, spec.transform !== undefined);
  const { target, source } = spec;
  try {
    return await endpoints.withOpen(target, (service, signal) => countOf(service, query, signal), source);
  } catch (error) {
    if (isP2PError(error, "SOURCE_NOT_FOUND")) return 0;
    if (!isP2PError(error, "UNSUPPORTED_QUERY") || Object.keys(query).length === 0) throw error;
    return endpoints.withOpen(target, (service, signal) => countOf(service, {}, signal), source);
  }
}
