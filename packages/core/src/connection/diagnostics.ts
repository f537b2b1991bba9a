/** Tracing of connections by `node:diagnostics_channel`. */
import { channel } from "node:diagnostics_channel";
import type { FollowResult } from "../live/follow-options.ts";
import type { MirrorResult } from "../live/options.ts";
import type { EndpointInfo } from "../storage/endpoint.ts";
import type { P2PQuery } from "../storage/query.ts";
import { type BatchMessage, type RetryMessage, Trace } from "../transfer/diagnostics.ts";
import type { TransferResult } from "../transfer/result.ts";
import type { VerifyResult } from "../transfer/verify/verify.ts";
import type { ConnectionStatus } from "./status.ts";

/** Names a connection and its ends, without secrets. */
interface TracedConnection {
  readonly connectionId: string;
  readonly source: EndpointInfo;
  readonly target: EndpointInfo;
}

/** A change of state, on the channel `omni-p2p:connection`. */
interface ConnectionMessage extends TracedConnection {
  readonly transferId?: string;
  readonly from: ConnectionStatus;
  readonly to: ConnectionStatus;
}

/** A comparison, on the tracing channel `omni-p2p:verify`. */
interface VerifyTrace extends TracedConnection {
  readonly query: P2PQuery;
  /** At its end. */
  readonly result?: VerifyResult;
  readonly error?: unknown;
}

/** A transfer, on the tracing channel `omni-p2p:transfer`. */
interface TransferTrace extends TracedConnection {
  readonly transferId: string;
  readonly query: P2PQuery;
  /** At its end. */
  readonly result?: TransferResult;
  readonly error?: unknown;
}

/** A mirror, on the tracing channel `omni-p2p:mirror`. */
interface MirrorTrace extends TracedConnection {
  readonly transferId: string;
  readonly query: P2PQuery;
  /** At its end. */
  readonly result?: MirrorResult;
  readonly error?: unknown;
}

/** A follow, on the tracing channel `omni-p2p:follow`. */
interface FollowTrace extends TracedConnection {
  readonly transferId: string;
  readonly query: P2PQuery;
  /** At its end. */
  readonly result?: FollowResult;
  readonly error?: unknown;
}

/** The opening of both stores of a connection, for the first time or anew, on the tracing channel `omni-p2p:open`. */
interface OpenTrace extends TracedConnection {
  readonly error?: unknown;
}

/**
 * What is told on the channels of `node:diagnostics_channel`, by name. `omni-p2p:transfer`, `omni-p2p:mirror`, `omni-p2p:follow`,
 * `omni-p2p:verify` and `omni-p2p:open` are tracing channels. They belong to the process: all managers tell on the same ones. No message
 * carries a secret.
 *
 * @example
 * ```ts
 * import { subscribe, tracingChannel } from "node:diagnostics_channel";
 *
 * subscribe("omni-p2p:retry", (message) => {
 *   const { transferId, code, delayMs } = message as P2PDiagnostics["omni-p2p:retry"];
 *   console.warn(`${transferId}: ${code}, again in ${delayMs} ms`);
 * });
 * ```
 */
export interface P2PDiagnostics {
  "omni-p2p:batch": BatchMessage;
  "omni-p2p:retry": RetryMessage;
  "omni-p2p:connection": ConnectionMessage;
  "omni-p2p:open": OpenTrace;
  "omni-p2p:transfer": TransferTrace;
  "omni-p2p:mirror": MirrorTrace;
  "omni-p2p:follow": FollowTrace;
  "omni-p2p:verify": VerifyTrace;
}

export const openTrace = new Trace<OpenTrace>("omni-p2p:open");
export const transferTrace = new Trace<TransferTrace>("omni-p2p:transfer");
export const mirrorTrace = new Trace<MirrorTrace>("omni-p2p:mirror");
export const followTrace = new Trace<FollowTrace>("omni-p2p:follow");
export const verifyTrace = new Trace<VerifyTrace>("omni-p2p:verify");

const states = channel("omni-p2p:connection");

/** Tells those who subscribed of a change of state. */
export function publishState(message: () => ConnectionMessage): void {
  if (states.hasSubscribers) states.publish(message());
}
