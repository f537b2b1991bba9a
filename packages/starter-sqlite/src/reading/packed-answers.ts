/** Serialises what a reader process answers. */
import type { LookUpOutcome, RecordBatch } from "@omni/p2p-core/starter";
import { packError, unpackError } from "../client/packed-error.ts";
import { packRecords, unpackRecords } from "../values/packed-records.ts";
import type { PackedBatch, PackedOutcomes } from "./reader-messages.ts";

/** Serialises a batch for the process that asked for it. */
export function packBatch({
  records,
  cursor,
  failures = [],
  bytes,
  valid = false,
  distinct = false,
}: RecordBatch): PackedBatch {
  return {
    records: packRecords(records),
    cursor,
    failures: failures.map(({ id, error }) => ({ id, error: packError(error, "READ_FAILED") })),
    bytes,
    valid,
    distinct,
  };
}

/** Serialises what became of look-ups. */
export function packOutcomes(outcomes: readonly LookUpOutcome[]): PackedOutcomes {
  return {
    outcomes: outcomes.map((outcome) =>
      outcome.state === "failed" ? packError(outcome.error, "READ_FAILED") : outcome.state,
    ),
    records: packRecords(outcomes.flatMap((outcome) => (outcome.state === "wanted" ? [outcome.record] : []))),
  };
}

/** What {@link packBatch} was given. */
export function unpackBatch({ records, cursor, failures, bytes, valid, distinct }: PackedBatch): RecordBatch {
  return {
    records: unpackRecords(records),
    cursor,
    valid,
    distinct,
    ...(bytes === undefined ? {} : { bytes }),
    ...(failures.length === 0
      ? {}
      : { failures: failures.map(({ id, error }) => ({ id, error: unpackError(error) })) }),
  };
}

/** What {@link packOutcomes} was given. */
export function unpackOutcomes({ outcomes, records }: PackedOutcomes): LookUpOutcome[] {
  const wanted = unpackRecords(records).values();
  return outcomes.map((outcome) => {
    if (outcome === "wanted") return { state: outcome, record: wanted.next().value! };
    return typeof outcome === "string" ? { state: outcome } : { state: "failed", error: unpackError(outcome) };
  });
}
