import { P2PError, type WriteResult } from "@omni/p2p-core/starter";

/** Appends records to a file. */
export async function writeRecords(label: string): Promise<WriteResult> {
  throw new P2PError("UNSUPPORTED_OPERATION", `${label} cannot be written yet`);
}
