import {
  cloneValue,
  encodeJson,
  type P2PDataTransferService,
  type P2PRecord,
  type RawSource,
  type RawTarget,
} from "@omni/p2p-core/starter";
import { type BrokenAdapter, broken, type Replaced } from "./sabotage.ts";

/** A record in a wrapper, as a form of documents. */
interface Wrapped {
  readonly wrapped: P2PRecord;
}

const FORMAT = "reference:wrapped";
const never = new AbortController().signal;

/** A raw lane that keeps the contract, made of the lane of the records. */
export function rawLaneOf(service: P2PDataTransferService): { rawSource: RawSource; rawTarget: RawTarget } {
  return {
    rawSource: {
      format: FORMAT,
      async *read(query, options) {
        for await (const { records, cursor } of service.readFromSource(query, options)) {
          const bytes = records.reduce((sum, record) => sum + encodeJson(record).length, 0);
          yield { documents: records.map((wrapped): Wrapped => ({ wrapped })), cursor, bytes };
        }
      },
      decode: (document) => cloneValue((document as Wrapped).wrapped) as P2PRecord,
    },
    rawTarget: {
      accepts: (format) => format === FORMAT,
      write: (documents, options) =>
        service.writeToTarget(
          documents.map((document) => (document as Wrapped).wrapped),
          options,
        ),
    },
  };
}

/** The reference adapter with a raw lane that has one fault. */
function brokenLane(
  spoil: (source: RawSource, target: RawTarget) => { rawSource?: Partial<RawSource>; rawTarget?: Partial<RawTarget> },
  ...caughtBy: string[]
): BrokenAdapter {
  return broken(
    (service): Replaced => {
      const { rawSource, rawTarget } = rawLaneOf(service);
      const spoilt = spoil(rawSource, rawTarget);
      return {
        rawSource: { ...rawSource, ...spoilt.rawSource },
        rawTarget: { ...rawTarget, ...spoilt.rawTarget },
      };
    },
    ...caughtBy,
  );
}

/** Faults of the raw lane, by what is wrong. */
export const brokenRawLanes: Readonly<Record<string, BrokenAdapter>> = {
  "reads whole documents whatever fields are asked for": brokenLane(
    (source) => ({ rawSource: { read: ({ fields: _, ...query }, options) => source.read(query, options) } }),
    "raw lane: documents are those of the records",
    "raw lane: only the fields asked for",
  ),
  "has raw cursors of its own": brokenLane(
    (source) => ({
      rawSource: {
        async *read(query, options) {
          const after = (options.after as { raw: string } | undefined)?.raw;
          for await (const batch of source.read(query, { ...options, after })) {
            yield { ...batch, cursor: { raw: batch.cursor } };
          }
        },
      },
    }),
    "law 4, resume: raw lane, its cursors",
    "law 4, resume: raw lane, a transfer goes on",
  ),
  "does not weigh its documents": brokenLane(
    (source) => ({
      rawSource: {
        async *read(query, options) {
          for await (const batch of source.read(query, options)) yield { ...batch, bytes: 0 };
        },
      },
    }),
    "raw lane: documents are those of the records",
  ),
  "mis-indexes raw failures": brokenLane(
    (_, target) => ({
      rawTarget: {
        async write(documents, options) {
          const { failures, ...result } = await target.write(documents, options);
          return { ...result, failures: failures.map((failure, index) => ({ ...failure, index })) };
        },
      },
    }),
    "raw lane: modes and failures",
    "raw lane: a transfer takes it",
  ),
  "upserts raw documents whatever the mode": brokenLane(
    (_, target) => ({
      rawTarget: { write: (documents, options) => target.write(documents, { ...options, mode: "upsert" }) },
    }),
    "raw lane: modes and failures",
  ),
  "spoils the documents that it writes": brokenLane(
    (_, target) => ({
      rawTarget: {
        async write(documents, options) {
          const result = await target.write(documents, options);
          for (const document of documents) Object.assign(document as object, { wrapped: { id: "spoilt" } });
          return result;
        },
      },
    }),
    "raw lane: modes and failures",
  ),
  "makes texts of bigints on the raw lane": brokenLane(
    (_, target) => ({
      rawTarget: {
        write: (documents, options) =>
          target.write(
            (documents as readonly Wrapped[]).map(({ wrapped }) => ({
              wrapped: Object.fromEntries(
                Object.entries(wrapped).map(([field, value]) => [
                  field,
                  typeof value === "bigint" ? String(value) : value,
                ]),
              ),
            })),
            options,
          ),
      },
    }),
    "law 2, round trip: raw lane",
  ),
  "takes documents of any form": brokenLane(
    () => ({ rawTarget: { accepts: () => true } }),
    "raw lane: the form of another store",
  ),
  "ignores an abort on the raw lane": brokenLane(
    (source, target) => ({
      rawSource: { read: (query, options) => source.read(query, { ...options, signal: never }) },
      rawTarget: { write: (documents, options) => target.write(documents, { ...options, signal: never }) },
    }),
    "raw lane: an abort",
  ),
};
