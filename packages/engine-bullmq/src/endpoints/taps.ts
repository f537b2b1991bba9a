/** Throttling and watching of a transfer, by wrapping its source. */
import {
  DefaultP2PTransferBridge,
  P2PError,
  type P2PQuery,
  type P2PRecord,
  type P2PTransferBridge,
} from "@omni/p2p-core";
import { boundService, type TransferEnd } from "@omni/p2p-core/engine";
import { endpointLabel, type P2PDataTransferService, sleep } from "@omni/p2p-core/starter";

/** What looks at a transfer while it reads, and holds it back. */
export interface Tap {
  /** Waits until so many records may be moved. */
  readonly throttle?: (records: number, signal: AbortSignal) => Promise<void>;
  /** So many records more were read, or nothing was, but it is alive. */
  readonly read: (records: number) => void;
  /** Lets one record through and no more. */
  readonly single?: SingleRecord;
}

/** A transfer of one record, so that it is known of which one a process dies. */
export interface SingleRecord {
  /** Whether there was one; the source is at its end otherwise. */
  given: boolean;
  /** Notes the record before anything is done with it. */
  note(record: P2PRecord | undefined): Promise<void>;
}

/** Longest wait in one piece, in ms. */
const STEP_MS = 60_000;

/** Waits a time of any length, in ms, and gives a sign of life now and then. */
export async function wait(ms: number, signal: AbortSignal, alive?: () => void): Promise<void> {
  for (let left = ms; left > 0; left -= STEP_MS) {
    await sleep(Math.min(left, STEP_MS), signal);
    alive?.();
  }
}

/** The bridge of a worker: the core's own, whose reading is looked at. */
export class TappedBridge implements P2PTransferBridge {
  readonly #bridge = new DefaultP2PTransferBridge();
  /** By the id of the transfer. */
  readonly taps = new Map<string, Tap>();

  async transfer(...[source, ...rest]: Parameters<P2PTransferBridge["transfer"]>) {
    const [target] = rest;
    if (target.service.sequential) {
      throw new P2PError(
        "UNSUPPORTED_OPERATION",
        `${endpointLabel(target.endpoint)} is written from its beginning to its end, and not in parts by many workers; copy to it without the engine`,
      );
    }
    const tap = this.taps.get(rest[2]?.transferId ?? "");
    return this.#bridge.transfer(tap ? tapped(source, rest[1], tap) : source, ...rest);
  }
}

/** The same end, as the tap lets it be read. */
function tapped(end: TransferEnd, query: P2PQuery, tap: Tap): TransferEnd {
  const { service } = end;
  const { single } = tap;
  // Records are also looked up on the side, to know whether the store is still the same: that is not the reading.
  const isReading = ({ where, partition, native }: P2PQuery) =>
    where === query.where && partition === query.partition && native === query.native;
  return {
    ...end,
    service: single ? oneRecordOf(service, isReading, tap, single) : watched(service, isReading, tap),
  };
}

type IsReading = (query: P2PQuery) => boolean;

function watched(service: P2PDataTransferService, isReading: IsReading, tap: Tap): P2PDataTransferService {
  const { rawSource } = service;
  return {
    ...boundService(service),
    async *readFromSource(query, options) {
      if (!isReading(query)) return yield* service.readFromSource(query, options);
      for await (const batch of service.readFromSource(query, options)) {
        tap.read(batch.records.length + (batch.failures?.length ?? 0));
        await tap.throttle?.(batch.records.length, options.signal);
        yield batch;
      }
    },
    ...(rawSource && {
      rawSource: {
        format: rawSource.format,
        decode: (document) => rawSource.decode(document),
        async *read(query, options) {
          for await (const batch of rawSource.read(query, options)) {
            tap.read(batch.documents.length + (batch.failures?.length ?? 0));
            await tap.throttle?.(batch.documents.length, options.signal);
            yield batch;
          }
        },
      },
    }),
  };
}

function oneRecordOf(
  service: P2PDataTransferService,
  isReading: IsReading,
  tap: Tap,
  single: SingleRecord,
): P2PDataTransferService {
  return {
    ...boundService(service),
    async *readFromSource(query, options) {
      if (!isReading(query)) return yield* service.readFromSource(query, options);
      if (!service.capabilities.resumable) {
        throw new P2PError(
          "PROCESS_DIED",
          "Processes died over this transfer, and its source cannot be read on from a place, so that the record which did it cannot be looked for. See the workers' logs",
        );
      }
      for await (const batch of service.readFromSource(query, { ...options, batchSize: 1 })) {
        single.given = true;
        tap.read(batch.records.length + (batch.failures?.length ?? 0));
        await tap.throttle?.(batch.records.length, options.signal);
        await single.note(batch.records[0]);
        yield batch;
        return;
      }
    },
  };
}
