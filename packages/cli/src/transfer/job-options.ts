import { type ManagedTransferOptions, parseConfig } from "@omni/p2p-core/engine";
import type { Session } from "../session/session.ts";
import { withinLimit } from "../supervision/channel.ts";
import type { TransferJob } from "./job.ts";

/** What the core is told of a job, whether it copies, mirrors or follows. */
export function jobOptions(job: TransferJob): Pick<ManagedTransferOptions, SharedOption> {
  return {
    transferId: job.transferId,
    resume: job.resume,
    checkpoint: job.stateDir,
    deadLetters: job.deadLetters,
    earlierDeadLetters: job.deadLetterOverwrite ? "overwrite" : "keep",
    ...(job.since && { since: job.since }),
    transform: job.transform?.transform,
    transformVersion: job.transform?.version,
  };
}

type SharedOption =
  | "transferId"
  | "resume"
  | "checkpoint"
  | "deadLetters"
  | "earlierDeadLetters"
  | "since"
  | "transform"
  | "transformVersion";

/** Says at the first Ctrl-C that it was heard. */
export function sayStopping({ interrupts, out }: Session): void {
  interrupts.onFirst = () => out.note("Stopping: what is under way is brought to an end. Ctrl-C again stops at once.");
}

/** What to type where the source was not found. */
export function inspectCommand({ source }: TransferJob): string {
  return `omni-p2p inspect ${source.shown.replace(/\?.*$/, "")}`;
}

/** Has the work ended by force where it heeds its own timeout no more: a store or a transform may block for ever. */
export function withinTransferTimeout<T>(
  job: TransferJob,
  what: "transfer" | "mirror",
  work: () => Promise<T>,
): Promise<T> {
  const { transferTimeout } = parseConfig(job.config);
  if (transferTimeout === 0) return work();
  return withinLimit(transferTimeout, `The ${what} took longer than its ${transferTimeout} ms`, work);
}
