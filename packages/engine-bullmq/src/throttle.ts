import { setTimeout as sleep } from "node:timers/promises";
import {
  boundService,
  DefaultP2PTransferBridge,
  type P2PDataTransferService,
  type P2PTransferBridge,
  type TransferEnd,
} from "@omni/p2p-core";

/** Waits until so many records may be moved. */
export type Throttle = (records: number, signal: AbortSignal) => Promise<void>;

/** Longest wait in one piece, in ms. */
const STEP_MS = 60_000;

/** Waits a time of any length, in ms. */
export async function wait(ms: number, signal: AbortSignal): Promise<void> {
  for (let left = ms; left > 0; left -= STEP_MS) await sleep(Math.min(left, STEP_MS), undefined, { signal });
}

/** The bridge of a worker: the core's own, which a throttle may hold back while it reads. */
export class ThrottlingBridge implements P2PTransferBridge {
  readonly #bridge = new DefaultP2PTransferBridge();
  /** By the id of the transfer that is held back. */
  readonly throttles = new Map<string, Throttle>();

  async transfer(...[source, ...rest]: Parameters<P2PTransferBridge["transfer"]>) {
    const throttle = this.throttles.get(rest[2]?.transferId ?? "");
    return this.#bridge.transfer(throttle ? throttled(source, throttle) : source, ...rest);
  }
}

/** The same end, whose batches come no faster than the throttle lets them. */
function throttled(end: TransferEnd, throttle: Throttle): TransferEnd {
  const { service } = end;
  const { rawSource } = service;
  const slow: P2PDataTransferService = {
    ...boundService(service),
    async *readFromSource(query, options) {
      for await (const batch of service.readFromSource(query, options)) {
        await throttle(batch.records.length, options.signal);
        yield batch;
      }
    },
    ...(rawSource && {
      rawSource: {
        format: rawSource.format,
        decode: (document) => rawSource.decode(document),
        async *read(query, options) {
          for await (const batch of rawSource.read(query, options)) {
            await throttle(batch.documents.length, options.signal);
            yield batch;
          }
        },
      },
    }),
  };
  return { ...end, service: slow };
}
