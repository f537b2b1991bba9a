/** Lanes: a transfer carries records, or documents in the stores' own form. */
import type { JsonValue } from "../model/json-value.ts";
import { idKey, type P2PRecord } from "../model/record.ts";
import { estimateBytes } from "../model/size.ts";
import type { P2PQuery } from "../storage/query.ts";
import type {
  P2PDataTransferService,
  RawSource,
  RawTarget,
  ReadFailure,
  ReadOptions,
  SourceSchema,
  WriteOptions,
  WriteResult,
} from "../storage/service.ts";
import { siftBatch, type Transform, type TransformFailure, type TransformTerms, TransformWindow } from "./transform.ts";

/** A batch as it is read. What its items are only the lane knows. */
export interface LaneBatch {
  readonly items: unknown[];
  readonly cursor: JsonValue;
  readonly failures?: readonly ReadFailure[] | undefined;
  readonly bytes?: number | undefined;
  readonly valid?: boolean | undefined;
  /** No item has the id of another one, as the target keeps ids. */
  readonly distinct?: boolean | undefined;
}

/** What of a batch goes to the target. */
export interface Sifted {
  readonly items: unknown[];
  /** For each item the place in the batch it came from; `undefined` when the two are the same. */
  readonly origins: readonly number[] | undefined;
  readonly dropped: number;
  readonly failures: readonly TransformFailure[];
  readonly bytes: number;
}

/**
 * What the pipeline carries from one store to the other: records, or documents in the stores' own form. Whatever can
 * happen on the way happens in the pipeline; the lane only knows how to take an item up, look at it and put it down.
 */
export interface Lane {
  read(query: P2PQuery, options: ReadOptions): AsyncIterable<LaneBatch>;
  sift(batch: LaneBatch, signal: AbortSignal): Sifted | Promise<Sifted>;
  write(items: readonly unknown[], options: WriteOptions): Promise<WriteResult>;
  /** The item as a record, for a dead letter; `undefined` when it cannot be made out. */
  recordOf(item: unknown): P2PRecord | undefined;
  /** The item's id as the target keeps it, and as people know it; `undefined` where only a record would tell. */
  idOf(item: unknown): { readonly form: string; readonly text: string } | undefined;
}

/** The shortest lane: the raw one where the two stores know each other's form and nobody wants to see the records. */
export function laneBetween(
  source: P2PDataTransferService,
  target: P2PDataTransferService,
  transform: Transform | undefined,
  terms: TransformTerms,
): Lane {
  const { rawSource } = source;
  const { rawTarget } = target;
  if (rawSource && rawTarget && !transform && rawTarget.accepts(rawSource.format)) {
    return rawLane(source, rawSource, rawTarget);
  }
  return recordLane(source, target, transform, new TransformWindow(terms));
}

/** What the source declares of the records that the target gets; nothing where a transform makes other ones of them. */
export async function declaredSchema(
  source: P2PDataTransferService,
  query: P2PQuery,
  transform: Transform | undefined,
  signal: AbortSignal,
): Promise<SourceSchema | undefined> {
  return transform ? undefined : source.schema?.(query, signal);
}

function recordLane(
  source: P2PDataTransferService,
  target: P2PDataTransferService,
  transform: Transform | undefined,
  window: TransformWindow,
): Lane {
  let schema: SourceSchema | undefined;
  // A transform makes other ids, and another form of them may be the same for two.
  const mayTrustIds = transform === undefined && target.idForm === undefined;
  return {
    async *read(query, options) {
      schema = await declaredSchema(source, query, transform, options.signal);
      for await (const { records: items, cursor, failures, bytes, valid, distinct } of source.readFromSource(
        query,
        options,
      )) {
        yield { items, cursor, failures, bytes, valid, distinct: distinct && mayTrustIds };
      }
    },
    async sift({ items, bytes, valid }, signal) {
      const batch = { records: items as P2PRecord[], valid: valid ?? false };
      const { records, origins, dropped, failures } = await siftBatch(batch, transform, signal, window);
      return { items: records, origins, dropped, failures, bytes: bytes ?? sizeOf(records) };
    },
    write: (items, options) => target.writeToTarget(items as readonly P2PRecord[], withSchema(options, schema)),
    recordOf: (item) => item as P2PRecord,
    idOf(item) {
      const text = idKey((item as P2PRecord).id);
      return { form: target.idForm?.((item as P2PRecord).id) ?? text, text };
    },
  };
}

function withSchema(options: WriteOptions, schema: SourceSchema | undefined): WriteOptions {
  return schema === undefined ? options : { ...options, schema };
}

function rawLane(service: P2PDataTransferService, source: RawSource, target: RawTarget): Lane {
  let schema: SourceSchema | undefined;
  return {
    async *read(query, options) {
      schema = await service.schema?.(query, options.signal);
      for await (const { documents: items, cursor, failures, bytes } of source.read(query, options)) {
        yield { items, cursor, failures, bytes };
      }
    },
    sift: ({ items, bytes }) => ({ items, origins: undefined, dropped: 0, failures: [], bytes: bytes ?? 0 }),
    write: (items, options) => target.write(items, withSchema(options, schema)),
    recordOf(item) {
      try {
        return source.decode(item);
      } catch {
        return undefined;
      }
    },
    idOf(item) {
      const text = source.idText?.(item);
      return text === undefined ? undefined : { form: text, text };
    },
  };
}

function sizeOf(records: readonly P2PRecord[]): number {
  let bytes = 0;
  for (const record of records) bytes += estimateBytes(record);
  return bytes;
}
