import type { P2PRecord } from "../model/record.ts";
import type { EndpointInfo } from "../storage/endpoint.ts";
import type { P2PQuery } from "../storage/query.ts";
import type { P2PDataTransferService, ReadFailure, RecordBatch, SourceSchema } from "../storage/service.ts";
import { type ConvertedSample, conversionOf } from "./conversion/conversion.ts";
import { assertPlaceForLetters } from "./dead-letters/letter-place.ts";
import { declaredSchema } from "./lane.ts";
import { resolveTransfer, type TransferOptions, transformStep } from "./options.ts";
import { idText, siftBatch, TransformWindow } from "./transform.ts";

/** A preview (dry run) of a transfer: what would come to the target of some records. Nothing is written. */
export interface TransferPreview {
  /** What the target would be given. */
  readonly records: readonly P2PRecord[];
  /** Records of which a transform makes nothing. */
  readonly dropped: number;
  /** What would not get as far as the target. */
  readonly failures: readonly ReadFailure[];
  /** What the target would be told in `WriteOptions.schema`. */
  readonly schema: SourceSchema | undefined;
  /** Values that `as` and `recognise` made others of: a few of each field. */
  readonly converted: readonly ConvertedSample[];
  /** What the user should know of that, in sentences. */
  readonly notes: readonly string[];
}

/**
 * Takes some records of the source as far as the target, by the same steps as a transfer with these options.
 *
 * @param batch records as the source gave them for the query.
 */
export async function previewTransfer(
  source: P2PDataTransferService,
  query: P2PQuery,
  batch: Pick<RecordBatch, "records" | "failures">,
  options: Pick<
    TransferOptions,
    "schema" | "transform" | "transformTimeout" | "hookTimeout" | "as" | "recognise" | "misfits"
  >,
  signal: AbortSignal,
): Promise<TransferPreview> {
  const conversion = conversionOf(options);
  const { transform, terms } = transformStep(options, conversion);
  const schema = await declaredSchema(source, query, transform, signal);
  const { records, dropped, failures } = await siftBatch(batch, transform, signal, new TransformWindow(terms));
  return {
    records,
    dropped,
    failures: [...(batch.failures ?? []), ...failures.map(({ record, error }) => ({ id: idText(record), error }))],
    schema,
    converted: conversion?.samples() ?? [],
    notes: conversion?.notes() ?? [],
  };
}

/**
 * Finds what is wrong with the options of a transfer before its ends are opened, and whether its dead letters would go into
 * a file that it lives on.
 *
 * @throws P2PError `INVALID_CONFIG`
 */
export function assertTransferable(ends: readonly EndpointInfo[], options: TransferOptions): void {
  const { deadLetters, stateFolder } = resolveTransfer(options);
  assertPlaceForLetters(ends, deadLetters?.location, stateFolder);
}
