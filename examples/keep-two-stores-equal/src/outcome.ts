import { isP2PError, type MirrorResult } from "@omni/p2p-core";

/** What a mirror did, or why it did nothing. Errors that are no guard of a mirror go on. */
export async function outcomeOf(mirroring: Promise<MirrorResult>): Promise<string> {
  try {
    const { successCount, deletedCount } = await mirroring;
    return `${successCount} written, ${deletedCount} deleted`;
  } catch (error) {
    if (isP2PError(error, "EMPTY_SOURCE") || isP2PError(error, "TOO_MANY_DELETES")) return `refused: ${error.message}`;
    throw error;
  }
}
