import { DistributedTransfer } from "@omni/p2p-engine-bullmq";
import { Redis } from "ioredis";
import { Fleet } from "./fleet.ts";
import { fill } from "./records.ts";

export interface FootprintOutcome {
  readonly partitions: number;
  /** All partitions taken together. */
  readonly pieces: number;
  readonly records: number;
  readonly batchSize: number;
  readonly batches: number;
  /** Bytes of Redis for each partition, as planned: its job and its pieces. */
  readonly bytesPerPartitionPlanned: number;
  /** The same when all have ended, with their jobs kept. */
  readonly bytesPerPartitionDone: number;
  /** Bytes of the longest checkpoint of a piece that is under way. */
  readonly checkpointBytes: number;
  /** Commands that Redis got for each batch, those of BullMQ and of idle workers included. */
  readonly commandsPerBatch: number;
  /** Scripts of the engine and of BullMQ for each batch: round trips. */
  readonly roundTripsPerBatch: number;
}

/** What the engine asks of its Redis: bytes for each partition, and commands for each batch. */
export async function measureFootprint(
  connection: string,
  source: string,
  target: string,
  records: number,
): Promise<FootprintOutcome> {
  const [partitions, batchSize] = [64, 500];
  await fill(source, records);
  const prefix = `{footprint-${process.pid}}`;
  const redis = new Redis(connection);
  const endpoints = { source, target };
  const client = new DistributedTransfer({ connection, prefix, endpoints, appRoot: import.meta.dirname });
  const fleet = new Fleet({ connection, prefix, endpoints, workers: 1, lockDuration: 30_000, stalledInterval: 10_000 });
  try {
    await client.submit({ id: "f", source: "source", target: "target", partitions, verify: "none" });
    const parts = await client.partitions("f");
    const pieces = parts.reduce((sum, part) => sum + part.grains, 0);
    const planned = await bytesUnder(redis, prefix);
    await redis.config("RESETSTAT");
    await fleet.start();
    let checkpointBytes = 0;
    for await (const { state } of client.watch("f", { interval: 100 })) {
      if (state !== "running") continue;
      for (const [field, text] of Object.entries(await redis.hgetall(`${prefix}:grains:f`))) {
        if (field.startsWith("c:")) checkpointBytes = Math.max(checkpointBytes, field.length + text.length);
      }
    }
    const { commands, scripts } = await commandsOf(redis);
    const batches = Math.ceil(records / pieces / batchSize) * pieces;
    return {
      ...{ partitions, pieces, records, batchSize, batches, checkpointBytes },
      bytesPerPartitionPlanned: Math.round(planned / partitions),
      bytesPerPartitionDone: Math.round((await bytesUnder(redis, prefix)) / partitions),
      commandsPerBatch: Number((commands / batches).toFixed(2)),
      roundTripsPerBatch: Number((scripts / batches).toFixed(2)),
    };
  } finally {
    await fleet.stop();
    await client.close();
    redis.disconnect();
  }
}

async function bytesUnder(redis: Redis, prefix: string): Promise<number> {
  let bytes = 0;
  for await (const keys of redis.scanStream({ match: `${prefix}:*`, count: 1000 })) {
    for (const key of keys as string[]) bytes += Number(await redis.memory("USAGE", key, "SAMPLES", 0));
  }
  return bytes;
}

/** What Redis did since its counters were reset. What scripts called counts as commands, and scripts as round trips. */
async function commandsOf(redis: Redis): Promise<{ commands: number; scripts: number }> {
  const calls = new Map(
    [...(await redis.info("commandstats")).matchAll(/cmdstat_([\w|]+):calls=(\d+)/g)].map(([, name, count]) => [
      name!,
      Number(count),
    ]),
  );
  const commands = [...calls.values()].reduce((sum, count) => sum + count, 0);
  return { commands, scripts: (calls.get("evalsha") ?? 0) + (calls.get("eval") ?? 0) };
}
