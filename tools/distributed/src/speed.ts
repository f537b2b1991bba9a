import { DistributedTransfer } from "@omni/p2p-engine-bullmq";
import { LATENCY_MS } from "./delayed-starter.ts";
import { Fleet } from "./fleet.ts";
import { fill, sameRecords } from "./records.ts";

/** How fast so many workers were. */
interface Speed {
  readonly workers: number;
  readonly seconds: number;
  readonly recordsPerSecond: number;
  /** Against one worker. */
  readonly times: number;
}

export interface SpeedOutcome {
  readonly direction: string;
  readonly records: number;
  readonly batchSize: number;
  readonly latencyMs: number;
  readonly speeds: readonly Speed[];
}

/** Records in a batch, and one batch at a time: so that it is the latency that one worker waits for. */
const CONFIG = { batchSize: 100, concurrency: 1 } as const;

/** The same transfer by 1, 2 and 4 workers, into a target that adds a network's latency to every batch. */
export async function measureSpeed(
  connection: string,
  source: string,
  freshTarget: () => string,
  records: number,
): Promise<SpeedOutcome> {
  await fill(source, records);
  const speeds: Speed[] = [];
  for (const workers of [1, 2, 4]) {
    const prefix = `{speed-${process.pid}-${workers}}`;
    const target = freshTarget();
    const endpoints = { source, target: target.replace(/^redis:/, "delayed-redis:") };
    const fleet = new Fleet({ connection, prefix, endpoints, workers, lockDuration: 30_000, stalledInterval: 10_000 });
    const client = new DistributedTransfer({ connection, prefix });
    try {
      await fleet.start();
      const submission = { id: "speed", source: "source", target: "target", partitions: 16, config: CONFIG } as const;
      await client.submit({ ...submission, verify: "none" });
      const { durationMs, successCount } = await client.result("speed");
      if (successCount !== records) throw new Error(`${successCount} of ${records} records arrived`);
      const seconds = durationMs / 1000;
      speeds.push({
        ...{ workers, seconds, recordsPerSecond: Math.round(records / seconds) },
        times: Number(((speeds[0]?.seconds ?? seconds) / seconds).toFixed(2)),
      });
    } finally {
      await fleet.stop();
      await client.close();
    }
    const differences = await sameRecords(source, target);
    if (differences !== undefined) throw new Error(`source and target differ: ${differences}`);
  }
  return { direction: "sqlite to redis", records, batchSize: CONFIG.batchSize, latencyMs: LATENCY_MS, speeds };
}
