import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { DistributedTransfer } from "@omni/p2p-engine-bullmq";
import { Fleet } from "./fleet.ts";
import { fill } from "./records.ts";

export interface OverheadOutcome {
  readonly direction: string;
  readonly records: number;
  readonly partitions: number;
  /** The median of the runs, each in a fresh process. */
  readonly inProcessMs: number;
  readonly engineMs: number;
  /** What the engine adds, as a share. */
  readonly overhead: number;
  readonly allInProcessMs: readonly number[];
  readonly allEngineMs: readonly number[];
}

/** One worker with 16 partitions against an ordinary transfer with checkpoints in a file, turn by turn. */
export async function measureOverhead(
  connection: string,
  direction: string,
  source: string,
  freshTarget: () => string,
  records: number,
  runs: number,
): Promise<OverheadOutcome> {
  await fill(source, records);
  const allInProcessMs: number[] = [];
  const allEngineMs: number[] = [];
  for (let run = 0; run < runs; run++) {
    allInProcessMs.push(Math.round(await inProcess(source, freshTarget(), records)));
    allEngineMs.push(Math.round(await byEngine(connection, run, source, freshTarget(), records)));
  }
  const [inProcessMs, engineMs] = [median(allInProcessMs), median(allEngineMs)];
  const overhead = Number((engineMs / inProcessMs - 1).toFixed(3));
  return { direction, records, partitions: 16, inProcessMs, engineMs, overhead, allInProcessMs, allEngineMs };
}

async function inProcess(source: string, target: string, records: number): Promise<number> {
  const child = join(import.meta.dirname, "in-process-child.ts");
  const { stdout } = await promisify(execFile)(process.execPath, [child, source, target]);
  const told = JSON.parse(stdout) as { ms: number; records: number };
  if (told.records !== records) throw new Error(`${told.records} of ${records} records arrived`);
  return told.ms;
}

async function byEngine(connection: string, run: number, source: string, target: string, records: number) {
  const prefix = `{overhead-${process.pid}-${run}}`;
  const timing = { lockDuration: 30_000, stalledInterval: 10_000 };
  const fleet = new Fleet({ connection, prefix, endpoints: { source, target }, workers: 1, ...timing });
  const client = new DistributedTransfer({ connection, prefix });
  try {
    await fleet.start();
    await client.submit({ id: "o", source: "source", target: "target", partitions: 16, verify: "none" });
    const { durationMs, successCount } = await client.result("o");
    if (successCount !== records) throw new Error(`${successCount} of ${records} records arrived`);
    return durationMs;
  } finally {
    await fleet.stop();
    await client.close();
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
