/** The job handler of BullMQ: what becomes of a job that failed, waits or is for others. */
import { isP2PError, P2PError } from "@omni/p2p-core";
import { isConnectionError, messageOf } from "@omni/p2p-core/starter";
import { DelayedError, type Job, type Queue, UnrecoverableError, WaitingChildrenError, WaitingError } from "bullmq";
import { assertAllowed } from "../endpoints/access.ts";
import { UnsuitedError } from "../endpoints/endpoints.ts";
import { wait } from "../endpoints/taps.ts";
import { LetGoError } from "../errors.ts";
import {
  type DistributedResult,
  type JobData,
  type JobKind,
  PROTOCOL_VERSION,
  type TransferSpec,
} from "../protocol.ts";
import { type DeathBook, noteDeath, noteJob } from "../state/deaths.ts";
import type { EngineKeys } from "../state/keys.ts";
import { STEP } from "../state/transfer-scripts.ts";
import { parseJobData } from "../submitting/kept-spec.ts";
import type { Executor, Work } from "./executor.ts";
import { EndpointFull } from "./part-job.ts";
import { toldError } from "./plan.ts";
import { ProcessDied } from "./process-died.ts";
import { addLostParts, unfinishedParts } from "./sum-job.ts";
import { type KeptTransfer, type SpecPlace, specOf, type WorkerContext } from "./worker-context.ts";

export type TransferJob = Job<JobData, unknown, JobKind>;

/** How long a job is left to others that this worker cannot do, in ms; up to twice that by chance. */
const UNSUITED_MS = 400;
/** Longest that a worker with nothing else to do keeps away from such jobs, in ms. */
const MOST_AWAY_MS = 8000;
/** How soon a partition asks again for a place at an endpoint, in ms. */
const FULL_MS = 500;
/** How soon a job is done again whose process died, in ms. */
const DIED_MS = 200;
/** How long a partition of a paused transfer lies still, unless the transfer is resumed, in ms. */
const PAUSED_MS = 60_000;
/** How often partitions whose jobs were lost are added anew. */
const ROUNDS = 3;

/** What a worker decides with what becomes of jobs. */
export interface RunnerContext extends DeathBook, SpecPlace {
  readonly name: string;
  readonly keys: EngineKeys;
  readonly queue: Queue;
  /** Who does a piece of work, once its submission has been looked at. */
  executorFor(spec: TransferSpec): Promise<Executor>;
  /** An endpoint of this worker as it was given, by its name. */
  endpointGiven(name: string): unknown;
  /** Aborts, with the reason, when the worker is closed. */
  readonly closing: AbortSignal;
  /** Aborts a run whose lock was lost. */
  readonly lost: Map<string, (reason: Error) => void>;
  tell: WorkerContext["tell"];
}

/** Does the jobs of a worker, and tells BullMQ what is to become of each. */
export class JobRunner {
  readonly #context: RunnerContext;
  /** How often this worker has left a job to others. */
  readonly #left = new Map<string, number>();
  #runs = 0;

  constructor(context: RunnerContext) {
    this.#context = context;
  }

  async run(job: TransferJob, token: string): Promise<unknown> {
    let transfer: string | undefined;
    try {
      const data = parseJobData(job.name, job.data);
      transfer = data.transfer;
      if (data.v > PROTOCOL_VERSION) throw new UnsuitedError(tooNew(data.v));
      const found = await specOf(this.#context, transfer);
      // Removed meanwhile: there is nothing left to do.
      if (!found) return { ended: "gone" };
      if (found.spec.v > PROTOCOL_VERSION) throw new UnsuitedError(tooNew(found.spec.v));
      assertAllowed(found.spec, (name) => this.#context.endpointGiven(name));
      if (job.name === "part") return await this.#part(job, token, found);
      if (job.name === "sum") return await this.#sum(job, token, found.spec, found.state);
      await this.#once("plan", found.spec, job);
      return { ended: "done" };
    } catch (error) {
      return await this.#settle(job, token, transfer, error);
    }
  }

  async #part(job: TransferJob, token: string, kept: KeptTransfer): Promise<unknown> {
    const { tell } = this.#context;
    const part = job.data.part ?? 0;
    const { id: transfer } = kept.spec;
    try {
      await this.#do({ kind: "part", kept, part, holder: `${job.id}/${token}/${++this.#runs}` }, kept.spec, job);
      return { ended: "done" };
    } catch (error) {
      if (!(error instanceof ProcessDied)) throw error;
      const { at, how } = error;
      tell("partEnded", { transfer, part, ended: "died" });
      await noteDeath(this.#context, kept.spec, {
        part,
        grain: at?.grain,
        read: at?.read,
        ...(at && { run: at.run }),
        seen: true,
        how,
      });
      throw error;
    }
  }

  /** Does a job that is no partition, and counts the processes that die of it. */
  async #once(kind: "plan" | "sum", spec: TransferSpec, job: TransferJob): Promise<DistributedResult | undefined> {
    await noteJob(this.#context, spec.id, kind, "begin");
    try {
      const result = await this.#do({ kind, spec }, spec, job);
      await noteJob(this.#context, spec.id, kind, "done");
      return result;
    } catch (error) {
      if (error instanceof ProcessDied) await noteJob(this.#context, spec.id, kind, "died", error.how);
      else await noteJob(this.#context, spec.id, kind, "ended");
      throw error;
    }
  }

  async #do(work: Work, spec: TransferSpec, job: TransferJob): Promise<DistributedResult | undefined> {
    const { lost, closing, tell } = this.#context;
    const own = new AbortController();
    lost.set(job.id!, (reason) => own.abort(reason));
    try {
      const executor = await this.#context.executorFor(spec);
      return await executor.run(work, AbortSignal.any([own.signal, closing]));
    } catch (error) {
      if (error instanceof ProcessDied) {
        const { part } = job.data;
        tell("died", { transfer: spec.id, ...(part !== undefined && { part }), how: error.how });
      }
      throw error;
    } finally {
      lost.delete(job.id!);
    }
  }

  async #sum(job: TransferJob, token: string, spec: TransferSpec, state: string): Promise<unknown> {
    const { redis, keys } = this.#context;
    const key = keys.transfer(spec.id);
    if (state === "cancelled") return { ended: "cancelled" };
    if (state === "failed") throw new UnrecoverableError(await this.#errorOf(spec.id));
    if (state !== "completed") {
      const missing = await unfinishedParts(this.#context, spec.id);
      if (missing.length > 0) {
        if (state === "paused") throw new LetGoError("paused", `The transfer "${spec.id}" is paused`);
        const round = await redis.hincrby(key, "rounds", 1);
        if (round > ROUNDS) {
          throw new P2PError(
            "WRITE_FAILED",
            `${missing.length} partitions of "${spec.id}" do not come to an end: every worker that takes one dies or stalls. See the workers' logs, then resume it`,
          );
        }
        await addLostParts(this.#context, spec.id, missing, round);
        if (await job.moveToWaitingChildren(token)) throw new WaitingChildrenError();
      }
    }
    const result = await this.#once("sum", spec, job);
    await redis.hset(key, "result", JSON.stringify(result));
    await STEP.run(redis, [key], ["completed", "", "running", "paused"]);
    return result;
  }

  async #errorOf(id: string): Promise<string> {
    const error = await this.#context.redis.hget(this.#context.keys.transfer(id), "error");
    return error ? (JSON.parse(error) as { message: string }).message : "The transfer failed";
  }

  /** Says what becomes of a job that did not come to its end. */
  async #settle(job: TransferJob, token: string, transfer: string | undefined, error: unknown): Promise<unknown> {
    const { tell, redis, keys, name } = this.#context;
    // A job that is none of ours: there is no transfer that could be told of it.
    if (transfer === undefined) throw new UnrecoverableError(messageOf(error));
    if (error instanceof UnrecoverableError || error instanceof WaitingChildrenError) throw error;
    if (error instanceof UnsuitedError) {
      tell("unsuited", { transfer, error });
      // For people who wonder why nothing happens. A transfer that was removed is not to come back by it.
      if (await redis.exists(keys.transfer(transfer))) {
        await redis.hset(keys.transfer(transfer), "hint", `${name}: ${error.message}`);
      }
      return this.#leave(job, token);
    }
    if (error instanceof EndpointFull) return delay(job, token, FULL_MS * (1 + Math.random()));
    if (error instanceof ProcessDied) return delay(job, token, DIED_MS);
    if (error instanceof LetGoError) {
      if (error.why === "stopped") return { ended: "stopped" };
      if (error.why === "paused") return delay(job, token, PAUSED_MS);
      // Back to the others; without the lock that fails, and then it is with them already.
      await job.moveToWait(token);
      throw new WaitingError();
    }
    const last = job.attemptsMade + 1 >= (job.opts.attempts ?? 1);
    if (!last && mayPass(error)) throw toldError(error);
    await this.#fail(transfer, error);
    throw new UnrecoverableError(messageOf(error));
  }

  /**
   * Leaves a job to others. Of workers that wait for one, the same is first each time; so one that cannot do it and has
   * nothing else to do keeps away, longer with each time that it meets it.
   */
  async #leave(job: TransferJob, token: string): Promise<never> {
    const { queue, closing } = this.#context;
    const ms = UNSUITED_MS * (1 + Math.random());
    await job.moveToDelayed(Date.now() + Math.ceil(ms), token);
    const times = this.#left.get(job.id!) ?? 0;
    this.#left.set(job.id!, times + 1);
    if ((await queue.getWaitingCount()) === 0) {
      const away = Math.min(MOST_AWAY_MS, UNSUITED_MS * 2 ** times);
      await wait(ms + away * Math.random(), closing).catch(() => {});
    }
    throw new DelayedError();
  }

  async #fail(transfer: string, error: unknown): Promise<void> {
    const { redis, keys } = this.#context;
    const told = JSON.stringify({
      code: isP2PError(error) ? error.code : "WRITE_FAILED",
      message: messageOf(error),
    });
    await STEP.run(redis, [keys.transfer(transfer)], ["failed", told, "running", "paused", "planning"]);
  }
}

/** Whether another try may go better. What is no error of ours comes from the engine's Redis, which comes back. */
function mayPass(error: unknown): boolean {
  if (!isP2PError(error)) return true;
  if (error.code === "AUTHENTICATION_FAILED") return false;
  return error.retryable || error.code === "TIMEOUT" || isConnectionError(error);
}

async function delay(job: TransferJob, token: string, ms: number): Promise<never> {
  await job.moveToDelayed(Date.now() + Math.ceil(ms), token);
  throw new DelayedError();
}

function tooNew(version: number): P2PError {
  return new P2PError(
    "JOB_TOO_NEW",
    `This worker understands jobs up to version ${PROTOCOL_VERSION}, and this one has version ${version}: it is left to newer workers; upgrade @omni/p2p-engine-bullmq`,
  );
}
