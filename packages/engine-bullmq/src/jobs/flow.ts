/** The jobs of a transfer as a flow of BullMQ: partitions first, then their sum. */
import type { FlowJob, JobsOptions } from "bullmq";
import { type JobData, type JobKind, PROTOCOL_VERSION, QUEUE } from "../protocol.ts";
import { jobId } from "../state/keys.ts";

/** Tries of a partition that failed for a reason that may pass. */
const ATTEMPTS = 8;

/** How long ended jobs are kept for people to look at, in seconds. */
const KEEP = { age: 7 * 24 * 3600, count: 10_000 };

const COMMON: JobsOptions = { removeOnComplete: KEEP, removeOnFail: KEEP, stackTraceLimit: 1 };

/** A job of a transfer, by its kind. */
interface TransferJob {
  readonly name: JobKind;
  readonly data: JobData;
  readonly opts: JobsOptions & { readonly jobId: string };
}

export function planJob(transfer: string): TransferJob {
  return {
    name: "plan",
    data: { v: PROTOCOL_VERSION, transfer },
    opts: { ...COMMON, ...retrying(), jobId: jobId(transfer, "plan") },
  };
}

/** The job that adds up, which waits for all partitions. */
export function sumJob(transfer: string): TransferJob {
  return {
    name: "sum",
    data: { v: PROTOCOL_VERSION, transfer },
    opts: { ...COMMON, ...retrying(), jobId: jobId(transfer, "sum") },
  };
}

/** @param round above 0 for a partition that is added once more, since its first job was lost. */
export function partJob(transfer: string, part: number, round = 0): TransferJob {
  return {
    name: "part",
    data: { v: PROTOCOL_VERSION, transfer, part },
    opts: {
      ...COMMON,
      ...retrying(),
      jobId: jobId(transfer, round === 0 ? `part-${part}` : `part-${part}-${round}`),
      // The job that adds up comes in any case, and tells what became of the whole.
      ignoreDependencyOnFailure: true,
    },
  };
}

/** A partition that is added while the one that adds up is waiting. */
export function lateJob(transfer: string, part: number, prefix: string, round = 0): TransferJob {
  const job = partJob(transfer, part, round);
  return { ...job, opts: { ...job.opts, parent: { id: jobId(transfer, "sum"), queue: `${prefix}:${QUEUE}` } } };
}

/** All jobs of a transfer that is planned: the partitions, and above them the one that adds up. */
export function transferFlow(transfer: string, parts: number, prefix: string): FlowJob {
  const place = { queueName: QUEUE, prefix };
  const children = Array.from({ length: parts }, (_, part) => ({ ...partJob(transfer, part), ...place }));
  return { ...sumJob(transfer), ...place, children };
}

function retrying(): JobsOptions {
  return { attempts: ATTEMPTS, backoff: { type: "exponential", delay: 1000, jitter: 0.5 } };
}
