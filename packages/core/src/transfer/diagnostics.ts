/** Tracing of transfers by `node:diagnostics_channel`. */
import { channel, type TracingChannel, tracingChannel } from "node:diagnostics_channel";
import type { P2PErrorCode } from "../errors.ts";

/** Names the transfer that a message is about, and the part of it where it runs in parts (`partitions`), from 0. */
export interface TracedTransfer {
  readonly transferId: string;
  readonly part?: number;
}

/** A batch that was acknowledged, on the channel `omni-p2p:batch`. */
export interface BatchMessage extends TracedTransfer {
  /** Records sent to the target. */
  readonly records: number;
  readonly written: number;
  /** Left alone because their ids were there. */
  readonly skipped: number;
  /** Refused by the target for good. */
  readonly failed: number;
  /** Records sent again, each time counted. */
  readonly retries: number;
  readonly bytes: number;
}

/** A wait before something is tried again, on the channel `omni-p2p:retry`. */
export interface RetryMessage extends TracedTransfer {
  readonly side: "source" | "target";
  readonly code: P2PErrorCode;
  readonly reason: string;
  /** How long it waits, in ms. */
  readonly delayMs: number;
}

const batches = channel("omni-p2p:batch");
const retries = channel("omni-p2p:retry");

/** Tells those who subscribed of a batch. */
export function publishBatch(message: () => BatchMessage): void {
  if (batches.hasSubscribers) batches.publish(message());
}

/** Tells those who subscribed of a wait. */
export function publishRetry(message: () => RetryMessage): void {
  if (retries.hasSubscribers) retries.publish(message());
}

/** A channel for the begin, the end and the failure of a piece of asynchronous work. */
export class Trace<Context extends object> {
  readonly #channel: TracingChannel<unknown, Context>;

  constructor(name: string) {
    this.#channel = tracingChannel<unknown, Context>(name);
  }

  /** Does the work; `context` is made when somebody has subscribed, and not otherwise. */
  run<T>(work: () => Promise<T>, context: () => Context): Promise<T> {
    return this.#channel.hasSubscribers ? this.#channel.tracePromise(work, context()) : work();
  }
}
