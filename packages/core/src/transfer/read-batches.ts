import type { ConnectionConfig } from "../config.ts";
import { isConnectionError, P2PError } from "../errors.ts";
import type { JsonValue } from "../model/json-value.ts";
import type { MutableRecord } from "../model/record.ts";
import { endpointLabel } from "../storage/endpoint.ts";
import type { P2PQuery } from "../storage/query.ts";
import type { ReadFailure, ReadOptions, RecordBatch } from "../storage/service.ts";
import type { TransferEnd } from "./end.ts";
import { transformStep } from "./options.ts";
import { resumingRead } from "./resuming-read.ts";
import { RetryBudget } from "./retry.ts";
import type { StandardSchemaV1 } from "./standard-schema.ts";
import { idText, siftBatch, TransformWindow } from "./transform.ts";

/** Records that were read, in the order of the source. */
export interface ReadBatch<Doc extends object = MutableRecord> {
  /** Yours: they may be changed and kept. */
  readonly records: Doc[];
  /** What could not be made out, is no valid record, or does not meet the schema. */
  readonly failures: readonly ReadFailure[];
  /** Points behind this batch, as plain JSON: the option `after` goes on from here, also in another process where the source is resumable. */
  readonly cursor: JsonValue;
}

/** How batches are read, checked and completed. */
export interface BatchReading {
  readonly batchSize: number;
  readonly after: JsonValue | undefined;
  readonly schema: StandardSchemaV1<unknown, MutableRecord> | undefined;
  readonly hookTimeout: number | undefined;
  readonly config: ConnectionConfig;
}

/** Reads the records of a query, each batch when it is asked for. */
export async function* readBatches(
  source: TransferEnd,
  query: P2PQuery,
  { batchSize, after, schema, hookTimeout, config }: BatchReading,
  signal: AbortSignal,
): AsyncGenerator<ReadBatch, void, undefined> {
  const { transform, terms } = transformStep({ schema, hookTimeout }, undefined);
  const window = new TransformWindow(terms);
  const batches = resumingRead(
    {
      read: sameSource(source, signal),
      lengthOf: ({ records, failures }: RecordBatch) => records.length + (failures?.length ?? 0),
      batchSize: () => batchSize,
      batchBytes: config.maxBytesInFlight,
      budget: new RetryBudget(config),
    },
    query,
    { cursor: after, recordsRead: 0 },
    signal,
  );
  for await (const batch of batches) {
    const { records, failures } = await siftBatch(batch, transform, signal, window);
    yield {
      records: records as MutableRecord[],
      failures: [
        ...failures.map(({ record, error }) => ({ id: idText(record), error })),
        ...(batch.failures ?? []).map(({ id, error }) => ({ id, error })),
      ],
      cursor: batch.cursor,
    };
  }
}

/** The source's reading, which looks whether the source is still the same after it went away and came back, as far as it can tell. */
function sameSource({ service, endpoint }: TransferEnd, signal: AbortSignal) {
  const incarnation = async () => (await service.identity?.(signal))?.incarnation;
  let first: { readonly incarnation: string | undefined } | undefined;
  let isLost = false;
  return async function* (query: P2PQuery, options: ReadOptions): AsyncGenerator<RecordBatch> {
    try {
      first ??= { incarnation: await incarnation() };
      if (isLost && first.incarnation !== undefined && (await incarnation()) !== first.incarnation) {
        throw new P2PError(
          "STORE_CHANGED",
          `The source ${endpointLabel(endpoint)} is gone or was replaced by another of its name while it was read; see what happened to it, and read it anew`,
        );
      }
      isLost = false;
      yield* service.readFromSource(query, options);
    } catch (error) {
      isLost ||= isConnectionError(error);
      throw error;
    }
  };
}
