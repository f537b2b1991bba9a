import { randomUUID } from "node:crypto";
import {
  isP2PError,
  type P2PConnectionManager,
  type P2PQuery,
  P2PTransferError,
  type TransferCounts,
} from "@omni/p2p-core";
import { messageOf } from "@omni/p2p-core/starter";

/** How a transfer is getting on. */
export interface TransferState {
  readonly status: "running" | "completed" | "stopped" | "failed";
  readonly records: number;
  readonly total?: number;
  readonly counts?: TransferCounts;
  readonly error?: string;
}

/** Starts transfers on a connection, one at a time, and remembers how the last ones went. */
export class Transfers {
  readonly #manager: P2PConnectionManager;
  readonly #connectionId: string;
  readonly #states = new Map<string, TransferState>();
  #running: { readonly id: string; readonly stop: AbortController } | undefined;

  constructor(manager: P2PConnectionManager, connectionId: string) {
    this.#manager = manager;
    this.#connectionId = connectionId;
  }

  /** Starts a transfer in the background and returns its id, or `undefined` while another one is under way. */
  start(query: P2PQuery, id: string = randomUUID()): string | undefined {
    if (this.#running) return undefined;
    this.#running = { id, stop: new AbortController() };
    this.#states.set(id, { status: "running", records: 0 });
    void this.#run(query, id, this.#running.stop.signal);
    return id;
  }

  state(id: string): TransferState | undefined {
    return this.#states.get(id);
  }

  /** Stops the transfer with this id, if it is under way. */
  stop(id: string): boolean {
    if (this.#running?.id !== id) return false;
    this.#running.stop.abort();
    return true;
  }

  async #run(query: P2PQuery, transferId: string, signal: AbortSignal): Promise<void> {
    try {
      const result = await this.#manager.transferThroughConnection(this.#connectionId, query, {
        transferId,
        resume: true,
        signal,
        onProgress: ({ records, total }) =>
          this.#states.set(transferId, { status: "running", records, ...(total !== undefined && { total }) }),
      });
      this.#states.set(transferId, { status: "completed", records: result.totalRecords, counts: countsOf(result) });
    } catch (error) {
      const result = error instanceof P2PTransferError ? error.result : undefined;
      this.#states.set(transferId, {
        status: isP2PError(error, "ABORTED") ? "stopped" : "failed",
        records: result?.totalRecords ?? 0,
        ...(result && { counts: countsOf(result) }),
        error: messageOf(error),
      });
    } finally {
      this.#running = undefined;
    }
  }
}

function countsOf({
  totalRecords,
  successCount,
  failureCount,
  skippedCount,
  retryCount,
}: TransferCounts): TransferCounts {
  return { totalRecords, successCount, failureCount, skippedCount, retryCount };
}
