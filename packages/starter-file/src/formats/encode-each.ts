/** Encodes records one by one; one that cannot be encoded is a failure by its index. */
import { P2PError, type P2PRecord, toP2PError, type WriteFailure } from "@omni/p2p-core/starter";

/** @param encode throws for a record that the format cannot hold. */
export function encodeEach(
  records: readonly P2PRecord[],
  encode: (record: P2PRecord) => string,
): { readonly texts: readonly string[]; readonly failures: readonly WriteFailure[] } {
  const texts: string[] = [];
  const failures: WriteFailure[] = [];
  for (const [index, record] of records.entries()) {
    try {
      texts.push(encode(record));
    } catch (error) {
      const cause = error instanceof RangeError ? tooLarge(error) : error;
      failures.push({ index, id: record.id, error: toP2PError(cause, "WRITE_FAILED", "The record cannot be encoded") });
    }
  }
  return { texts, failures };
}

/** A text in JavaScript has about 512 million characters at most. */
function tooLarge(cause: RangeError): P2PError {
  return new P2PError("RECORD_TOO_LARGE", "The record is longer than a line can be", { cause });
}
