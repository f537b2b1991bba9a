import { isP2PError, messageOf, P2PError, type P2PErrorCode } from "@omni/p2p-core/starter";
import { sqliteCode } from "./errors.ts";

/** An error, serialised for another thread or process: classes and their fields are lost on the way. */
export interface PackedError {
  readonly code: P2PErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  readonly cause?: { readonly message: string; readonly code: string | undefined };
}

/** An error of SQLite, as its driver would have thrown it here. */
class ThreadError extends Error {
  readonly code: string | undefined;

  constructor(message: string, code: string | undefined) {
    super(message);
    this.name = "SqliteError";
    this.code = code;
  }
}

/** @param otherwise the code of an error that is none of the library's, such as one of memory. */
export function packError(thrown: unknown, otherwise: "READ_FAILED" | "WRITE_FAILED"): PackedError {
  const message = messageOf(thrown);
  if (!isP2PError(thrown)) return { code: otherwise, message, retryable: false };
  const { code, retryable, cause } = thrown;
  if (cause === undefined) return { code, message, retryable };
  return { code, message, retryable, cause: { message: messageOf(cause), code: sqliteCode(cause) } };
}

export function unpackError({ code, message, retryable, cause }: PackedError): P2PError {
  if (cause === undefined) return new P2PError(code, message, { retryable });
  return new P2PError(code, message, { retryable, cause: new ThreadError(cause.message, cause.code) });
}
