import type { P2PErrorCode, WriteFailure } from "@omni/p2p-core/starter";

/** What is wrong with the store rather than with a record. */
const UNUSABLE: ReadonlySet<P2PErrorCode> = new Set([
  "CONNECTION_LOST",
  "TIMEOUT",
  "BUSY",
  "STORAGE_FULL",
  "TARGET_NOT_WRITABLE",
  "AUTHENTICATION_FAILED",
  "INVALID_ENDPOINT",
  "CLOSED",
]);

/** When nothing could be done because of the store, that is the news, and not what it means to each record. */
export function throwIfUnusable(failures: readonly WriteFailure[]): void {
  const trouble = failures.find(({ error }) => UNUSABLE.has(error.code));
  if (trouble) throw trouble.error;
}
