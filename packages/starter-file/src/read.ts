import { P2PError, type RecordBatch } from "@omni/p2p-core/starter";

/** The records of a file, in batches. */
// biome-ignore lint/correctness/useYield: it is being written
export async function* readBatches(label: string): AsyncGenerator<RecordBatch> {
  throw new P2PError("UNSUPPORTED_OPERATION", `${label} cannot be read yet`);
}
