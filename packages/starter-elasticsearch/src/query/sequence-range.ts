import { foreignPartition, type JsonValue, partitionBounds } from "@omni/p2p-core/starter";
import { STORE } from "../types.ts";

/**
 * A part of an index: the documents whose last change has a number in this range. The numbers are counted in each
 * shard, belong to the document, and stay as they are until it changes, so a part means the same in every process.
 */
export interface SequenceRange {
  readonly from: number;
  /** Exclusive; the last part has no end. */
  readonly below: number | undefined;
}

/** @throws P2PError `INVALID_QUERY` */
export function sequenceRangeOf(partition: JsonValue): SequenceRange {
  const { from, below } = partitionBounds(STORE, partition, ["from", "below"]) ?? {};
  if (!Number.isSafeInteger(from) || !(below === undefined || Number.isSafeInteger(below)))
    throw foreignPartition(STORE);
  return { from: from as number, below: below as number | undefined };
}
