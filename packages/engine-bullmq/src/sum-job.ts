import { addUp, decodeJson, type P2PQuery, type PartOutcome, type TransferFailure } from "@omni/p2p-core";
import { lateJob } from "./flow.ts";
import { parseCounts } from "./grain-state.ts";
import type { DistributedResult, TransferSpec, VerifySummary } from "./protocol.ts";
import type { WorkerContext } from "./worker-context.ts";

/** Grains read from Redis in one go. */
const CHUNK = 1000;

/** The grains of a transfer that nobody has finished, by the partition they belong to. */
export async function unfinishedParts({ redis, keys }: WorkerContext, id: string): Promise<number[]> {
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
export async function addLostParts(context: WorkerContext, id: string, parts: readonly number[], round: number) {
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
  const verified = await verify(context, spec, recordsRead);
  return {
    transferId: spec.id,
    ...counts,
    recordsRead,
    partitions: Number(parts),
    durationMs: Date.now() - Date.parse(spec.createdAt),
    bytes: Number(bytes),
    errors,
    notes: note ? [note] : [],
    ...(verified && { verified }),
  };
}

async function verify(
  { endpoints, manager, transforms }: WorkerContext,
  { source, target, query: text, verify: kind, config, transform }: TransferSpec,
  recordsRead: number,
): Promise<VerifySummary | undefined> {
  const query = decodeJson(text) as unknown as P2PQuery;
  if (kind === "none") return undefined;
  if (kind === "count") {
    const sourceCount = await endpoints.withSource(source, (service, signal) => service.count(query, signal));
    if (sourceCount === undefined) return undefined;
    return { kind, equal: sourceCount === recordsRead, sourceCount, targetCount: recordsRead };
  }
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
