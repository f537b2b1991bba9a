import { unlessAborted } from "@omni/p2p-core/starter";
import { LetGoError } from "../errors.ts";
import type { DistributedResult, TransferSpec } from "../protocol.ts";
import { PartRun } from "./part-job.ts";
import { planTransfer } from "./plan.ts";
import { sumUp, targetBefore } from "./sum-job.ts";
import type { KeptTransfer, WorkerContext } from "./worker-context.ts";

/** A piece of work that a job asks for. */
export type Work =
  | { readonly kind: "plan"; readonly spec: TransferSpec }
  | { readonly kind: "part"; readonly kept: KeptTransfer; readonly part: number; readonly holder: string }
  | { readonly kind: "sum"; readonly spec: TransferSpec };

/** Does what jobs ask for, here or elsewhere. */
export interface Executor {
  /**
   * @param stop aborts, with a {@link LetGoError}, when it is to end.
   * @returns the result of a transfer, where one is added up.
   */
  run(work: Work, stop: AbortSignal): Promise<DistributedResult | undefined>;
}

/** Does it in this process. */
export class InProcess implements Executor {
  readonly #context: WorkerContext;

  constructor(context: WorkerContext) {
    this.#context = context;
  }

  async run(work: Work, stop: AbortSignal): Promise<DistributedResult | undefined> {
    if (work.kind === "part") return this.#part(work, stop);
    if (work.kind === "sum") return unlessAborted(sumUp(this.#context, work.spec), stop);
    const { endpoints } = this.#context;
    await endpoints.resolve(work.spec.target);
    const before = () => targetBefore(endpoints, work.spec);
    await endpoints.withOpen(work.spec.source, (source, signal) =>
      planTransfer(work.spec, source, this.#context, AbortSignal.any([signal, stop]), before),
    );
    return undefined;
  }

  async #part({ kept, part, holder }: Work & { readonly kind: "part" }, stop: AbortSignal): Promise<undefined> {
    const run = new PartRun(this.#context, kept, part);
    const { id: transfer } = kept.spec;
    try {
      await run.run(holder, stop);
      this.#context.tell("partEnded", { transfer, part, ended: "done" });
    } catch (error) {
      const ended = error instanceof LetGoError ? error.why : "failed";
      if (run.began) this.#context.tell("partEnded", { transfer, part, ended });
      throw error;
    }
  }
}
