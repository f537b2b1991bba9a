import { boundService } from "@omni/p2p-core/engine";
import {
  type P2PDataTransferService,
  type P2PQuery,
  type P2PRecord,
  type P2PValue,
  type RecordBatch,
  setField,
  TaggedValue,
} from "@omni/p2p-core/starter";
import { type AdapterUnderTest, referenceAdapter } from "../../src/index.ts";

/** The parts of a service that a sabotage replaces. */
export type Replaced = Partial<P2PDataTransferService>;

/** An adapter with one fault, and checks of the suite that must find it. */
export interface BrokenAdapter {
  readonly adapter: AdapterUnderTest;
  /** Beginnings of the titles of checks that must fail. */
  readonly caughtBy: readonly string[];
}

/** A good adapter with one thing broken in each service that it opens. */
export function sabotaged(
  good: AdapterUnderTest,
  spoil: (service: P2PDataTransferService) => Replaced,
): AdapterUnderTest {
  return {
    createEndpoint: good.createEndpoint,
    starter: {
      ...good.starter,
      async open(endpoint, context) {
        const service = boundService(await good.starter.open(endpoint, context));
        return { ...service, ...spoil(service) };
      },
    },
  };
}

/** Lets each batch of a read through a function that may change it. */
export function rebatched(change: (batch: RecordBatch, number: number, query: P2PQuery) => RecordBatch | undefined) {
  return (service: P2PDataTransferService): Replaced => ({
    async *readFromSource(query, options) {
      let number = 0;
      for await (const batch of service.readFromSource(query, options)) {
        const changed = change(batch, number++, query);
        if (changed) yield changed;
      }
    },
  });
}

/** Lets each value that is written through a function that may change it, at any depth. */
export function lossy(change: (value: P2PValue) => P2PValue | undefined) {
  return (service: P2PDataTransferService): Replaced => ({
    writeToTarget: (records, options) =>
      service.writeToTarget(
        records.map((record) => deepMap(record, change) as P2PRecord),
        options,
      ),
  });
}

function deepMap(value: P2PValue | undefined, change: (value: P2PValue) => P2PValue | undefined): P2PValue | undefined {
  if (value === undefined) return undefined;
  const changed = change(value);
  if (changed !== value || typeof value !== "object" || value === null) return changed;
  if (value instanceof Date || value instanceof Uint8Array) return value;
  if (value instanceof TaggedValue) return new TaggedValue(value.type, deepMap(value.value, change) ?? null);
  if (Array.isArray(value)) return value.map((item: P2PValue) => deepMap(item, change) ?? null);
  const copy: Record<string, P2PValue> = {};
  for (const [field, inner] of Object.entries(value)) {
    const kept = deepMap(inner, change);
    if (kept !== undefined) setField(copy, field, kept);
  }
  return copy;
}

/** A query whose answers are filtered or sorted by other rules than the core's, as a store would by its own. */
export function requeried(rewrite: (query: P2PQuery) => P2PQuery) {
  return (service: P2PDataTransferService): Replaced => ({
    readFromSource: (query, options) => service.readFromSource(rewrite(query), options),
    count: (query, signal) => service.count(rewrite(query), signal),
  });
}

/** The reference adapter with one fault in its services. */
export function broken(spoil: (service: P2PDataTransferService) => Replaced, ...caughtBy: string[]): BrokenAdapter {
  return { adapter: sabotaged(referenceAdapter(), spoil), caughtBy };
}

/** Breaks the opening in place of the open service. */
export function brokenOpen(
  open: (good: AdapterUnderTest["starter"]["open"]) => AdapterUnderTest["starter"]["open"],
  ...caughtBy: string[]
): BrokenAdapter {
  const good = referenceAdapter();
  return { adapter: { ...good, starter: { ...good.starter, open: open(good.starter.open) } }, caughtBy };
}
