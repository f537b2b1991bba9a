import { setTimeout as sleep } from "node:timers/promises";
import { DistributedTransfer } from "@omni/p2p-engine-bullmq";
import type { TestService } from "@omni/p2p-test-services";
import { Fleet } from "./fleet.ts";
import { fill, sameRecords } from "./records.ts";

/** Longest wait for progress between two kills, in ms. */
const MOST_WAIT_MS = 120_000;

/** What is to be gone through. */
export interface KillRun {
  readonly name: string;
  readonly source: string;
  readonly target: string;
  readonly records: number;
  readonly partitions: number;
  /** Pieces of each partition. Default: the engine's. */
  readonly grains?: number;
  readonly workers: number;
  readonly kills: number;
  readonly namespaces: boolean;
  /** The engine's own Redis; it is restarted once when it can be. */
  readonly redis: TestService;
  /** How long it is gone then, in ms. Default 1500. */
  readonly downMs?: number;
  /** Records per second at most, so that there is time for all kills. */
  readonly rate: number;
  /** Partitions that the target bears at a time. */
  readonly targetPartitions?: number;
  readonly random: () => number;
}

/** What came of it. */
export interface KillOutcome {
  readonly direction: string;
  readonly records: number;
  readonly partitions: number;
  readonly kills: number;
  readonly redisRestarts: number;
  readonly networks: string;
  readonly seconds: number;
  /** Runs of partitions: those beyond the number of partitions were takeovers. */
  readonly runs: number;
  readonly partitionsSplitOff: number;
  readonly trouble: readonly string[];
}

/** Kills workers in the middle of a transfer, again and again, and the engine's Redis once; then counts. */
export async function killWorkers(run: KillRun): Promise<KillOutcome> {
  const { redis, records, partitions, source, target, random } = run;
  const prefix = `{proof-${process.pid}-${Date.now().toString(36)}}`;
  await fill(source, records);
  const endpoints = { source, target };
  const fleet = new Fleet({
    ...{ connection: redis.url, prefix, endpoints, workers: run.workers, namespaces: run.namespaces },
  });
  const client = new DistributedTransfer({ connection: redis.url, prefix, endpoints, appRoot: import.meta.dirname });
  const trouble: string[] = [];
  let [kills, restarts, seen] = [0, 0, 0];
  const startedAt = performance.now();
  try {
    await client.limit("target", {
      recordsPerSecond: run.rate,
      ...(run.targetPartitions !== undefined && { partitions: run.targetPartitions }),
    });
    await client.submit({
      ...{ id: "proof", source: "source", target: "target", partitions, verify: "full" },
      ...(run.grains !== undefined && { grains: run.grains }),
    });
    await fleet.start();
    const goingOn = async () => ["planning", "running"].includes((await client.status("proof")).state);
    while (kills < run.kills && (await goingOn())) {
      // Something is to have been done since the last one, or nothing ever would.
      for (let waited = 0; waited < MOST_WAIT_MS && (await goingOn()); waited += 100) {
        if ((await client.status("proof")).records > seen) break;
        await sleep(100);
      }
      await sleep(100 + random() * 400);
      await fleet.kill(Math.floor(random() * run.workers));
      kills++;
      seen = (await client.status("proof")).records;
      console.log(`  kill ${kills}, after ${seen} records`);
      if (kills === Math.ceil(run.kills / 2) && redis.restart) {
        await redis.restart(() => sleep(run.downMs ?? 1500));
        restarts++;
      }
    }
    if (kills < run.kills) trouble.push(`it ended after ${kills} of ${run.kills} kills; lower the rate`);
    const result = await client.result("proof", { signal: AbortSignal.timeout(1_800_000) });
    const seconds = (performance.now() - startedAt) / 1000;
    const parts = await client.partitions("proof");
    for (const { part, grains, grainsDone } of parts) {
      if (grains !== grainsDone) trouble.push(`partition ${part} finished ${grainsDone} of ${grains} pieces`);
    }
    const sum = parts.reduce((all, part) => all + part.records, 0);
    if (sum !== records) trouble.push(`the partitions read ${sum} records of ${records}`);
    if (result.totalRecords !== records || result.successCount !== records) {
      trouble.push(`the result counts ${result.successCount} of ${result.totalRecords} records, not ${records}`);
    }
    if (result.verified?.equal !== true) trouble.push(`the engine's comparison: ${JSON.stringify(result.verified)}`);
    const differences = await sameRecords(source, target);
    if (differences !== undefined) trouble.push(`source and target differ: ${differences}`);
    return {
      direction: run.name,
      ...{ records, partitions, kills, redisRestarts: restarts, seconds, trouble },
      networks: fleet.shared === undefined ? "one for each worker" : `one for all (${fleet.shared})`,
      runs: parts.reduce((all, part) => all + part.runs, 0),
      partitionsSplitOff: parts.length - partitions,
    };
  } finally {
    await fleet.stop();
    await client.close();
  }
}
