import type { P2PError } from "../errors.ts";
import type { P2PQuery } from "../storage/query.ts";
import type { TransferProgress } from "../transfer/progress.ts";
import type { TransferResult } from "../transfer/result.ts";
import type { ConnectionStatus } from "./status.ts";

/**
 * What a connection tells while it works, and its manager for all of them. `transferId` names the transfer that it is about,
 * where there is one. No event ever carries a secret. What a listener throws or rejects with ends nothing: it is a
 * warning of the process with the code `HOOK_FAILED`, once for each listener.
 */
export interface EventsOf<Connection> {
  statusChanged: [event: { connection: Connection; transferId?: string; from: ConnectionStatus; to: ConnectionStatus }];
  transferStarted: [event: { connection: Connection; transferId: string; query: P2PQuery }];
  progress: [event: { connection: Connection; transferId: string; progress: TransferProgress }];
  transferCompleted: [event: { connection: Connection; transferId: string; result: TransferResult }];
  transferFailed: [event: { connection: Connection; transferId: string; error: P2PError; result?: TransferResult }];
  reconnected: [event: { connection: Connection; transferId?: string }];
  closed: [event: { connection: Connection }];
}
