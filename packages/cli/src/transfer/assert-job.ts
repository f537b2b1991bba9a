import { P2PError } from "@omni/p2p-core";
import { assertTransferable } from "@omni/p2p-core/engine";
import type { TransferJob } from "./job.ts";
import { isPipe } from "./pipe-target.ts";

/**
 * Finds what is wrong with a job before a store is opened, in the words of the core: whether dead letters would go into a
 * file that the transfer lives on, for instance the one that is replayed; and whether a pipe is to be verified.
 *
 * @throws P2PError `INVALID_CONFIG`, `UNSUPPORTED_OPERATION`
 */
export function assertJob(job: TransferJob): void {
  const { source, target, config, transferId, stateDir, deadLetters } = job;
  if (job.verify && isPipe(job)) {
    throw new P2PError(
      "UNSUPPORTED_OPERATION",
      `What is written to ${target.shown} cannot be read back, since it is a pipe; leave out --verify, or write a file and compare that`,
    );
  }
  assertTransferable([source.endpoint, target.endpoint], {
    ...config,
    transferId,
    checkpoint: stateDir,
    // What goes to an endpoint goes into no file here.
    deadLetters: typeof deadLetters === "object" ? false : deadLetters,
  });
}
