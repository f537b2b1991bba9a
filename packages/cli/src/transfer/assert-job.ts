import { assertTransferable } from "@omni/p2p-core/engine";
import type { TransferJob } from "./job.ts";

/**
 * Finds what is wrong with a job before a store is opened, in the words of the core: whether dead letters would go into a
 * file that the transfer lives on, for instance the one that is replayed.
 *
 * @throws P2PError `INVALID_CONFIG`
 */
export function assertJob({ source, target, config, transferId, stateDir, deadLetters }: TransferJob): void {
  assertTransferable([source.endpoint, target.endpoint], {
    ...config,
    transferId,
    checkpoint: stateDir,
    // What goes to an endpoint goes into no file here.
    deadLetters: typeof deadLetters === "object" ? false : deadLetters,
  });
}
