import { unlessAborted } from "../async/abort.ts";
import type { ConnectionConfig } from "../config.ts";
import type { P2PQuery } from "../storage/query.ts";
import type { Checkpoint, CheckpointStore } from "./checkpoint/checkpoint.ts";
import type { TransferEnd } from "./end.ts";
import { type ResolvedTransfer, resolveTransfer, type TransferOptions } from "./options.ts";
import { PartitionedRun } from "./partitioned/run.ts";
import type { TransferResult } from "./result.ts";
import { TransferRun } from "./run.ts";
import { SinceRun } from "./since/since-run.ts";
import { stopSignal } from "./stop.ts";

/** Moves records from one open store to another. */
export interface P2PTransferBridge {
  /**
   * Runs a transfer to its end.
   *
   * @param defaults the settings of the connection it runs on; `options` go first.
   * @throws P2PTransferError, with the result until then, when the transfer was ended by an error, a timeout or the
   * signal; P2PError `INVALID_CONFIG`, `INVALID_QUERY`, `CHECKPOINT_…` before anything was done.
   */
  transfer(
    source: TransferEnd,
    target: TransferEnd,
    query: P2PQuery,
    options?: TransferOptions,
    defaults?: ConnectionConfig,
  ): Promise<TransferResult>;
}

/**
 * The bridge every manager uses unless it is given another: a pipeline with bounded memory, read-ahead, several writes
 * in flight, retry, checkpoints and dead letters.
 */
export class DefaultP2PTransferBridge implements P2PTransferBridge {
  async transfer(
    source: TransferEnd,
    target: TransferEnd,
    query: P2PQuery,
    options: TransferOptions = {},
    defaults?: ConnectionConfig,
  ): Promise<TransferResult> {
    const resolved = resolveTransfer(options, defaults);
    const move = (asked: P2PQuery) => moved(source, target, asked, resolved);
    const { since } = resolved;
    return since ? new SinceRun(source, target, query, resolved, since).run(move) : move(query);
  }
}

async function moved(
  source: TransferEnd,
  target: TransferEnd,
  query: P2PQuery,
  resolved: ResolvedTransfer,
): Promise<TransferResult> {
  const { config, resume, checkpoints } = resolved;
  const earlier = resume && checkpoints ? await loaded(checkpoints, resolved) : undefined;
  // A transfer is resumed as it began, in parts or whole.
  const inParts = earlier ? earlier.parts !== undefined : config.partitions > 1;
  return inParts
    ? new PartitionedRun(source, target, query, resolved).run(earlier)
    : new TransferRun(source, target, query, resolved).run();
}

/** The checkpoint of the transfer, unless it is told to end before the store has answered. */
async function loaded(checkpoints: CheckpointStore, resolved: ResolvedTransfer): Promise<Checkpoint | undefined> {
  const stop = stopSignal(resolved);
  try {
    return await unlessAborted(checkpoints.load(resolved.transferId), stop.signal);
  } finally {
    stop.disarm();
  }
}
